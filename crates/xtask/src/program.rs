//! Programs of this workspace that this one is built without.

use std::env;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use localcloud::Workspace;
use serde_json::Value;
use tokio::process::Command;

use crate::error::Error;

/// With the features of the whole workspace, so that what a test has compiled is not compiled again.
pub(crate) const AS_IN_TESTS: &[&str] = &["--workspace"];

/// Builds a program of this name. Who watches sees how far it is, for a first build takes minutes.
pub(crate) async fn build(
    workspace: &Workspace,
    program: &'static str,
    how: &[&str],
) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", program, "--message-format", "json-render-diagnostics"]).args(how);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    // Not `output`, which would take what cargo says on standard error, errors and all.
    let build = command.current_dir(workspace.root()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
    let output = build.map_err(Error::Cargo)?.wait_with_output().await.map_err(Error::Cargo)?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(message.get("executable")?.as_str()?.into()));
    programs.next_back().filter(|_| output.status.success()).ok_or(Error::Build { package: program })
}

/// Runs it, and ends as it does.
pub(crate) async fn run(command: &mut Command) -> Result<ExitCode, Error> {
    let status = command.kill_on_drop(true).status().await.map_err(Error::Cargo)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
