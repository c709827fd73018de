//! `model`: runs the program of that name, so that this one is built without the model checker.

use std::process::ExitCode;

use clap::Args;
use localcloud::Workspace;
use tokio::process::Command;

use crate::error::Error;
use crate::program::{self, AS_IN_TESTS};

/// What is explored.
#[derive(Debug, Args)]
pub(crate) struct Exploration {
    /// Only the configuration of this name, as --list tells it
    #[arg(long, value_name = "CONFIGURATION")]
    only: Option<String>,
    /// Only the model without this rule, and the story of what then goes wrong
    #[arg(long, value_name = "RULE", conflicts_with = "only")]
    without: Option<String>,
    /// Leaves out the models that lack a rule
    #[arg(long, conflicts_with = "without")]
    whole: bool,
    /// Prints one JSON document: {configurations: [{model, name, states, steps, depth, seconds, violation}],
    /// withoutRule: [{model, rule, demands, caught, configuration, violation}]}
    #[arg(long)]
    json: bool,
    /// Lists the configurations and the rules
    #[arg(long)]
    list: bool,
}

pub(crate) async fn run(exploration: &Exploration) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let mut command = Command::new(program::build(&workspace, "model", AS_IN_TESTS).await?);
    for (option, value) in [("--only", &exploration.only), ("--without", &exploration.without)] {
        command.args(value.iter().flat_map(|value| [option, value.as_str()]));
    }
    let flags = [("--whole", exploration.whole), ("--json", exploration.json), ("--list", exploration.list)];
    command.args(flags.iter().filter(|(_, on)| *on).map(|(flag, _)| flag));
    program::run(&mut command).await
}
