//! The command line of `cargo xtask simulate`. Two programs have it: `xtask`, built without the functions, which explains and
//! checks it, and `simulate`, which does as it says.

use std::num::NonZero;

/// What is simulated.
#[derive(Debug, clap::Args)]
pub(crate) struct Simulation {
    /// How many runs; with --planted, the most per mistake [default: 200, with --planted 1000]
    #[arg(long)]
    pub(crate) seeds: Option<u64>,
    /// Orders per run
    #[arg(long, default_value_t = 20)]
    pub(crate) orders: usize,
    /// Kinds of faults, separated by commas: all, of which each seed takes half, none, or names that --list shows
    #[arg(long, default_value = "all")]
    pub(crate) faults: String,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,
    /// Runs at a time, each on a core of its own [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Prints one JSON document: {seeds, orders, steps, awsCalls, ordersPerSecond (of one core), faults, violations}, or {planted}
    #[arg(long)]
    pub(crate) json: bool,
    /// Makes known mistakes on purpose, one at a time, and shows which seed notices each; a name makes that one only
    #[arg(long, num_args = 0..=1, default_missing_value = "all", value_name = "MISTAKE")]
    pub(crate) planted: Option<String>,
    /// Kills the function before, and after, every single call of each story, and of each story that loses a message
    #[arg(long)]
    pub(crate) systematic: bool,
    /// The most faults per run; then all goes well
    #[arg(long, value_name = "N")]
    pub(crate) most_faults: Option<u32>,
    /// Makes faults so many times as frequent
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) times: u32,
    /// What all orders are like: standard, out-of-stock, declined, not-chargeable, unserved, needs-authentication
    #[arg(long)]
    pub(crate) story: Option<String>,
    /// What all orders are worth, and so which saga they run: standard, or high
    #[arg(long)]
    pub(crate) worth: Option<String>,
    /// Kills the function at one call: before:N or after:N
    #[arg(long, value_name = "POINT")]
    pub(crate) kill: Option<String>,
    /// Loses one delivery of the bus for good, by its number
    #[arg(long, value_name = "N")]
    pub(crate) lose: Option<u64>,
    /// Puts something undecodable on these queues, by their names in the template, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "QUEUES")]
    pub(crate) poison: Vec<String>,
    /// Puts a file of orders with so many lines into the bucket
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    pub(crate) import: u64,
    /// Prints the story of the first run
    #[arg(long)]
    pub(crate) trace: bool,
    /// Lists the kinds of faults and the mistakes
    #[arg(long)]
    pub(crate) list: bool,
}
