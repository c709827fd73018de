//! `simulate`: runs the package `simulation`, built to be fast, so that this one is built without the functions.

use std::env;
use std::process::ExitCode;

use localcloud::Workspace;
use tokio::process::Command;

use crate::error::Error;

#[path = "../../../tests/simulation/src/cli.rs"]
mod cli;

pub(crate) use cli::Simulation;

/// Hands over this program's own arguments, which have been checked.
pub(crate) async fn run() -> Result<ExitCode, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--profile", "simulation", "--package", "simulation", "--"]);
    command.args(env::args_os().skip_while(|argument| argument != "simulate").skip(1));
    command.current_dir(Workspace::find()?.root());
    let status = command.kill_on_drop(true).status().await.map_err(Error::Cargo)?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
