//! `demo`: the whole system, from nothing to proof.

use std::process::ExitCode;

use localcloud::demo::{self, Options};
use localcloud::{LocalCloud, Progress, Workspace};

use crate::error::Error;
use crate::local;
use crate::output::print;

pub(crate) async fn run(orders: u64, seed: u64, json: bool, keep: bool) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let progress = Progress::stderr();
    let cloud = LocalCloud::up(&workspace, local::options(), &progress).await?;
    let report = demo::run(&cloud, &Options { orders, seed, killed: false }, &progress).await?;
    let logs = cloud.folder().to_owned();
    if json {
        print(serde_json::to_string_pretty(&report).map_err(Error::Json)?)?;
    } else {
        print(format_args!("\n{report}"))?;
    }
    if keep {
        let running = cloud.detach().await?;
        eprintln!("Left running: {} (stop it with `cargo xtask down`)", running.api_url);
    }
    let broken: Vec<_> = report.broken().map(ToString::to_string).collect();
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: not kept: {}; the logs are in {}", broken.join("; "), logs.display());
    Ok(ExitCode::FAILURE)
}
