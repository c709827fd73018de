//! `cargo xtask`: the local cloud and the checks of this repository, from the command line.
//!
//! Exit codes: 0 done · 1 failed, with one line saying why · 2 wrong usage · 130 interrupted.

mod cli;
mod contracts;
mod demo;
mod error;
mod local;
mod model;
mod ops;
mod output;
mod program;
mod rebuild;
mod replay;
mod simulate;
mod test;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::error::Error;

/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Dropping the command's future ends all it has started, so an interruption leaves nothing behind.
    let outcome = tokio::select! {
        outcome = run(cli.command) => outcome,
        outcome = interruption() => outcome,
    };
    match outcome {
        Ok(code) => code,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Demo { orders, seed, json, keep } => demo::run(orders, seed, json, keep).await,
        Command::Simulate(simulation) => simulate::run(&simulation).await,
        Command::Model(exploration) => model::run(&exploration).await,
        Command::Test { fast } => test::run(fast).await,
        Command::Up { json } => local::up(json).await,
        Command::Down => local::down().await,
        Command::Deploy => local::deploy().await,
        Command::Invoke { function, sample } => local::invoke(&function, sample.as_deref()).await,
        Command::Rebuild { action, rate, json } => rebuild::run(action, rate, json).await,
        Command::Contracts { check, print } => contracts::run(check, print).await,
        Command::Ops { arguments } => ops::run(&arguments).await,
        Command::Trace { order, json } => ops::trace(order, json).await,
        Command::Replay { files, expect, within, json } => replay::run(&files, &expect, within, json).await,
        Command::Gateway => local::gateway().await,
    }
}

/// Resolves when somebody wants us to end.
async fn interruption() -> Result<ExitCode, Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(Error::Signal)?;
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
        _ = hang_up.recv() => (),
    }
    Err(Error::Interrupted)
}
