//! The command line.

use crate::simulate::Simulation;
use clap::{Parser, Subcommand, ValueEnum};

/// The order-fulfilment system on this machine: deployed for real, without Docker and without an AWS account.
///
/// The first run installs its tools below target/ and compiles everything, which takes minutes; later runs take seconds.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sets everything up, places orders over HTTP that live through every scenario, and proves how they ended
    ///
    /// Shows how each order ended with its chain of events, and checks the system's promises against the tables and the
    /// payment gateway's books. Exits with 0 only if every order ended as its scenario says and every promise was kept.
    /// About a minute of it is spent waiting for orders to expire.
    #[command(after_help = "\
For example:
  cargo xtask demo
  cargo xtask demo --orders 60 --json > report.json
  cargo xtask demo --keep                and then look around: the local cloud is left running")]
    Demo {
        /// How many orders; ten tell every story
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=5000))]
        orders: u64,
        /// Decides products, quantities, customers and cards
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Prints one JSON document: {orders, sagas, invariants, outboxPending, dlq, timings}
        #[arg(long)]
        json: bool,
        /// Leaves the local cloud running afterwards
        #[arg(long)]
        keep: bool,
    },

    /// Runs everything that CI runs: format, template, lint, unit, component, contract and end-to-end tests
    ///
    /// Stops at the first step that fails, and exits with 1 then. The end-to-end tests deploy the stack to local clouds of
    /// their own; what you left running is left in peace.
    #[command(after_help = "\
For example:
  cargo xtask test
  cargo xtask test --fast                while you work: everything that needs no deployment")]
    Test {
        /// Leaves the end-to-end tests out, which take most of the time
        #[arg(long)]
        fast: bool,
    },

    /// Runs the whole system under a hostile scheduler, seed by seed, and checks every promise
    ///
    /// The real functions over the real SDK clients, in one thread, with everything between them simulated as AWS documents it and
    /// everything going wrong that may: duplicates, losses, deaths, conflicts, clocks, a gateway that fails in all its ways. A seed is
    /// a story, the same each time. A broken promise is shown with the shortest story that breaks it and the command that shows
    /// it again. Exits with 0 only if no promise was broken, or, with --planted, if every mistake was noticed.
    #[command(after_help = "\
For example:
  cargo xtask simulate                             200 runs of 20 orders
  cargo xtask simulate --seeds 10000 --json
  cargo xtask simulate --from 42 --seeds 1 --orders 2 --trace
  cargo xtask simulate --faults duplicate,kill-after,gateway-lost-reply
  cargo xtask simulate --systematic                every call is the one that kills its function
  cargo xtask simulate --planted                   can it fail? each known mistake must be noticed
  cargo xtask simulate --list                      the faults and the mistakes")]
    Simulate(Simulation),

    /// Starts a local cloud, deploys the stack onto it, fills in customers and stock, and leaves it running
    ///
    /// If one is running already, it is left as it is and described again; `deploy` brings it up to date.
    #[command(after_help = "\
Then, for example:
  cargo xtask invoke place-order
  cargo lambda watch --env-file FILE     with the printed env file: functions outside, everything else inside
  AWS_ENDPOINT_URL=… aws dynamodb list-tables
  cargo xtask down")]
    Up {
        /// Prints one JSON document: {endpoint, apiUrl, envFile, stack, outputs, sampleOrder}
        #[arg(long)]
        json: bool,
    },

    /// Stops every local cloud of this checkout that was left running
    Down,

    /// Builds the functions again and deploys them onto the running local cloud; its data stays
    Deploy,

    /// Invokes a deployed function with one of its sample events and prints its answer
    ///
    /// Exits with 1 if the function failed.
    #[command(after_help = "\
Samples are the files functions/FUNCTION/events/*.json, in the shape that AWS sends. For example:
  cargo xtask invoke reserve-inventory
  cargo xtask invoke reserve-inventory order-placed")]
    Invoke {
        /// The function's package, for example reserve-inventory
        function: String,
        /// The sample's file name without .json; the first in alphabetical order if left out
        sample: Option<String>,
    },

    /// Publishes the schemas of new events and versions, or checks the contracts
    ///
    /// Schemas are made from the Rust types and written below crates/shop/schemas, and into template.yaml for the schema
    /// registry. What is published is never written again: a changed type needs a new version.
    #[command(after_help = "\
For example:
  cargo xtask contracts --check          names every field that breaks a promise, and writes nothing
  cargo xtask contracts --print openapi  the HTTP API's description, OpenAPI 3.1")]
    Contracts {
        /// Writes nothing; exits with 1 if anything is wrong
        #[arg(long)]
        check: bool,
        /// Prints a document instead
        #[arg(long, value_enum, conflicts_with = "check")]
        print: Option<Document>,
    },

    /// Serves the payment gateway; started by `up`
    #[command(hide = true)]
    Gateway,
}

/// What `contracts --print` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Document {
    /// The HTTP API, as OpenAPI 3.1
    Openapi,
    /// All schemas, by path
    Schemas,
}
