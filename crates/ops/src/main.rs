//! `ops`: what somebody needs who runs this system, at three in the morning too.
//!
//! The same on AWS and on a local cloud: it finds everything through the stack. Exit codes: 0 done and well · 1 failed, with
//! one line saying why and what to do · 2 wrong usage · 3 done, and something needs attention.

mod breaker;
mod cli;
mod deployment;
mod doctor;
mod error;
mod execution;
mod failed;
mod invoke;
mod order;
mod outbox;
mod output;
mod replay;
mod saga;
mod steps;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::deployment::Deployment;
use crate::error::Error;

/// Something needs attention.
const ATTENTION: u8 = 3;

/// Whether all is well with what a command looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    Attention,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Attention) => ExitCode::from(ATTENTION),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<Verdict, Error> {
    let Cli { target, manner, command } = cli;
    let deployment = Deployment::find(&target).await?;
    match command {
        Command::Failed(command) => failed::run(&deployment, manner, command).await,
        Command::Outbox(command) => outbox::run(&deployment, manner, command).await,
        Command::Order { id } => order::run(&deployment, manner, &id).await,
        Command::Saga(cli::Saga::Stuck { all }) => saga::run(&deployment, manner, all).await,
        Command::Breaker { command } => breaker::run(&deployment, manner, command).await,
        Command::Replay(command) => replay::run(&deployment, manner, command).await,
        Command::Doctor => doctor::run(&deployment, manner).await,
    }
}
