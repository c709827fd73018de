//! `ops`: runs the package `ops` against the local cloud that is up.

use std::process::ExitCode;

use localcloud::{Running, Workspace};
use tokio::process::Command;

use crate::error::Error;
use crate::program::{self, AS_IN_TESTS};

/// The story of an order.
pub(crate) async fn trace(order: String, json: bool) -> Result<ExitCode, Error> {
    let mut arguments = vec!["order".to_owned(), order];
    arguments.extend(json.then(|| "--json".to_owned()));
    run(&arguments).await
}

pub(crate) async fn run(arguments: &[String]) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let asks_for_help = arguments.iter().any(|word| matches!(word.as_str(), "help" | "--help" | "-h"));
    let running = match Running::find(&workspace).await? {
        Some(running) => Some(running),
        None if asks_for_help => None,
        None => return Err(localcloud::Error::NotRunning.into()),
    };
    let mut command = Command::new(program::build(&workspace, "ops", AS_IN_TESTS).await?);
    if let Some(running) = running {
        command.args(["--stack", &running.stack]).envs(running.access());
    }
    program::run(command.args(arguments)).await
}
