//! `contracts`: runs the package of that name, so that this one and the local cloud are built without schemas.

use std::env;
use std::process::ExitCode;

use clap::ValueEnum as _;
use localcloud::Workspace;
use tokio::process::Command;

use crate::cli::Document;
use crate::error::Error;

pub(crate) async fn run(check: bool, print: Option<Document>) -> Result<ExitCode, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "contracts", "--"]).current_dir(Workspace::find()?.root());
    if check {
        command.arg("--check");
    }
    if let Some(document) = print.and_then(|document| document.to_possible_value()) {
        command.args(["--print", document.get_name()]);
    }
    let status = command.kill_on_drop(true).status().await.map_err(Error::Cargo)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
