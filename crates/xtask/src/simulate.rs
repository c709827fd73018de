//! `simulate`: runs the program of that name, built to be fast, so that this one is built without the functions.

use std::env;
use std::process::ExitCode;

use localcloud::Workspace;
use simulation_cli::Simulation;
use tokio::process::Command;

use crate::error::Error;
use crate::output::print;
use crate::program;

/// Hands over this program's own arguments, which have been checked.
pub(crate) async fn run(simulation: &Simulation) -> Result<ExitCode, Error> {
    if simulation.list {
        print(simulation_cli::names().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    let fast = ["--profile", "simulation", "--package", "simulation"];
    let mut command = Command::new(program::build(&workspace, "simulate", &fast).await?);
    command.args(env::args_os().skip_while(|argument| argument != "simulate").skip(1));
    program::run(command.current_dir(workspace.root())).await
}
