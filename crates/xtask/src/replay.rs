//! `replay`: events from files, and what follows from them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use localcloud::rehearsal::{events_in, rehearse};
use localcloud::{Running, Workspace};

use crate::error::Error;
use crate::output::print;

pub(crate) async fn run(
    files: &[PathBuf],
    expect: &[String],
    within: u64,
    json: bool,
) -> Result<ExitCode, Error> {
    let mut events = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).map_err(|source| Error::Read { path: file.clone(), source })?;
        let read = events_in(&text).map_err(|source| Error::Events { path: file.clone(), source })?;
        events.extend(read);
    }
    let running = Running::find(&Workspace::find()?).await?.ok_or(localcloud::Error::NotRunning)?;
    let stack = running.describe().await?;
    let rehearsal = rehearse(&stack, &events, expect, Duration::from_secs(within)).await?;
    if json {
        print(format_args!("{:#}", serde_json::json!(rehearsal)))?;
    } else {
        for event in &rehearsal.followed {
            print(format_args!("{:>7} ms  {}", event.after_ms, event.event))?;
        }
        for event in &rehearsal.missing {
            print(format_args!("  missing   {event}"))?;
        }
        print(format_args!("{} published, {} followed.", rehearsal.published, rehearsal.followed.len()))?;
    }
    Ok(if rehearsal.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
