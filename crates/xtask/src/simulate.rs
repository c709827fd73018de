//! `simulate`: runs the package `simulation`, built to be fast, so that this one is built without the functions.

use std::env;
use std::process::ExitCode;

use clap::Args;
use localcloud::Workspace;
use tokio::process::Command;

use crate::error::Error;

/// What is simulated.
#[derive(Debug, Args)]
pub(crate) struct Simulation {
    /// How many runs; with --planted, the most per mistake [default: 200, with --planted 1000]
    #[arg(long)]
    seeds: Option<u64>,
    /// Orders per run
    #[arg(long, default_value_t = 20)]
    orders: u64,
    /// Kinds of faults, separated by commas: all, none, or names that --list shows
    #[arg(long, default_value = "all")]
    faults: String,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Prints one JSON document: {seeds, orders, steps, awsCalls, ordersPerSecond, faults, violations}, or {planted}
    #[arg(long)]
    json: bool,
    /// Makes known mistakes on purpose, one at a time, and shows which seed notices each; a name makes that one only
    #[arg(long, num_args = 0..=1, default_missing_value = "all", value_name = "MISTAKE")]
    planted: Option<String>,
    /// Kills the function before, and after, every single call of each story, and of each story that loses a message
    #[arg(long)]
    systematic: bool,
    /// The most faults per run; then all goes well
    #[arg(long, value_name = "N")]
    most_faults: Option<u32>,
    /// What all orders are like: standard, out-of-stock, declined, not-chargeable, unserved, needs-authentication
    #[arg(long)]
    story: Option<String>,
    /// What all orders are worth, and so which saga they run: standard, or high
    #[arg(long)]
    worth: Option<String>,
    /// Kills the function at one call: before:N or after:N
    #[arg(long, value_name = "POINT")]
    kill: Option<String>,
    /// Loses one delivery of the bus for good, by its number
    #[arg(long, value_name = "N")]
    lose: Option<u64>,
    /// Prints the story of the first run
    #[arg(long)]
    trace: bool,
    /// Lists the kinds of faults and the mistakes
    #[arg(long)]
    list: bool,
}

impl Simulation {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut with = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([format!("--{name}"), value]);
            }
        };
        with("seeds", self.seeds.map(|seeds| seeds.to_string()));
        with("orders", Some(self.orders.to_string()));
        with("faults", Some(self.faults.clone()));
        with("from", Some(self.from.to_string()));
        with("planted", self.planted.clone());
        with("most-faults", self.most_faults.map(|most| most.to_string()));
        with("story", self.story.clone());
        with("worth", self.worth.clone());
        with("kill", self.kill.clone());
        with("lose", self.lose.map(|delivery| delivery.to_string()));
        let flags = [
            ("--json", self.json),
            ("--systematic", self.systematic),
            ("--trace", self.trace),
            ("--list", self.list),
        ];
        arguments.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned()));
        arguments
    }
}

pub(crate) async fn run(simulation: &Simulation) -> Result<ExitCode, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--profile", "simulation", "--package", "simulation", "--"]);
    command.args(simulation.arguments()).current_dir(Workspace::find()?.root());
    let status = command.kill_on_drop(true).status().await.map_err(Error::Cargo)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
