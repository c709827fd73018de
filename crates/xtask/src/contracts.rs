//! `contracts`: runs the package of that name, so that this one and the local cloud are built without schemas.

use std::process::ExitCode;

use clap::ValueEnum as _;
use localcloud::Workspace;
use tokio::process::Command;

use crate::cli::Document;
use crate::error::Error;
use crate::program::{self, AS_IN_TESTS};

pub(crate) async fn run(check: bool, print: Option<Document>) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let mut command = Command::new(program::build(&workspace, "contracts", AS_IN_TESTS).await?);
    if check {
        command.arg("--check");
    }
    if let Some(document) = print.and_then(|document| document.to_possible_value()) {
        command.args(["--print", document.get_name()]);
    }
    program::run(command.current_dir(workspace.root())).await
}
