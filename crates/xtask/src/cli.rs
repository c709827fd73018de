//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use simulation_cli::Simulation;

use crate::model::Exploration;

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
    /// About a minute and a half of it is spent waiting for orders to expire.
    #[command(after_help = "\
For example:
  cargo xtask demo
  cargo xtask demo --orders 60 --json > report.json
  cargo xtask demo --keep                and then look around: the local cloud is left running")]
    Demo {
        /// How many orders; twenty tell every story of both sagas
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

    /// Runs everything that CI runs: format, security, licences, lint, unit, component, contract and end-to-end tests
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
    /// The real functions over the real SDK clients, each run in one thread, with everything between them simulated as AWS documents it and
    /// everything going wrong that may: duplicates, losses, deaths, conflicts, clocks, a gateway that fails in all its ways. A seed is
    /// a story, the same each time. A broken promise is shown with the shortest story that breaks it and the command that shows
    /// it again. Exits with 0 only if no promise was broken, or, with --planted, if every mistake was noticed.
    #[command(after_help = "\
For example:
  cargo xtask simulate                             200 runs of 20 orders
  cargo xtask simulate --seeds 10000 --json        as many runs at a time as there are cores
  cargo xtask simulate --from 42 --seeds 1 --orders 2 --trace
  cargo xtask simulate --faults duplicate,kill-after,gateway-lost-reply
  cargo xtask simulate --systematic                every call is the one that kills its function
  cargo xtask simulate --planted                   can it fail? each known mistake must be noticed
  cargo xtask simulate --list                      the faults and the mistakes")]
    Simulate(Simulation),

    /// Explores one order, and the circuit breaker, completely: every state that anything can lead to
    ///
    /// The writes, their conditions and the deciders are those of the functions. Messages come for ever in any order, functions die
    /// anywhere, the gateway loses replies, saves errors and forgets keys, and a message may be lost for good. In every state
    /// every promise must hold, and an end must stay reachable. Then each rule of the saga and of the breaker is left out: something
    /// must go wrong, and the shortest way to it is told. Takes a few minutes. Exits with 0 only if all promises hold and no rule is needless.
    #[command(after_help = "\
For example:
  cargo xtask model                                figures, then a story for each rule
  cargo xtask model --whole                        only whether all promises hold
  cargo xtask model --without ExpiryClosesPivot    why does expiry close the shipment first?
  cargo xtask model --list                         the configurations and the rules
  cargo xtask model --json")]
    Model(Exploration),

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

    /// Builds the orders' views anew beside the live ones on the running local cloud, then switches
    ///
    /// Shows how far the build has come. An interrupted command leaves the build to the function's schedule.
    Rebuild {
        /// What to do
        #[arg(value_enum, default_value_t = RebuildAction::Start)]
        action: RebuildAction,
        /// Orders per second, at most
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// Prints the generations and the latest build as JSON
        #[arg(long)]
        json: bool,
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

    /// Runs `ops`, the operator's program, against the running local cloud: failures, outbox, orders, health
    ///
    /// Exits as `ops` does: 0 all is well, 3 something needs attention.
    #[command(after_help = "\
For example:
  cargo xtask ops doctor                 what is wrong, and what to do about it
  cargo xtask ops failed groups
  cargo xtask ops help")]
    #[command(disable_help_flag = true)]
    Ops {
        /// What `ops` is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },

    /// Prints the story of one order on the running local cloud: what happened, which function did it, how long it took
    ///
    /// It is told from what the system stored: events, rows and the ids in them, and the history of the execution where a state
    /// machine coordinated it. The same as `ops order`.
    #[command(after_help = "\
For example:
  cargo xtask trace 0af21a73-c1c6-58d1-806d-832f9d99e2fe
  cargo xtask trace 0af21a73-c1c6-58d1-806d-832f9d99e2fe --json")]
    Trace {
        /// The order
        order: String,
        /// Prints one JSON document
        #[arg(long)]
        json: bool,
    },

    /// Publishes the events of files on the running local cloud's bus, and shows what followed from them
    ///
    /// Exits with 1 if something that was expected did not follow. An event that was published before is known again by its id, and
    /// nothing follows from it.
    #[command(after_help = "\
A file holds events as the bus delivers them, {source, detail-type, detail}, or is a sample of a function that a queue feeds.
For example:
  cargo xtask replay functions/reserve-inventory/events/order-placed.json --expect InventoryReserved")]
    Replay {
        /// Files of events, published in this order
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// An event that is to follow; may be repeated. Without, it listens until nothing follows any more
        #[arg(long, value_name = "EVENT")]
        expect: Vec<String>,
        /// Seconds to wait for what is expected
        #[arg(long, default_value_t = 60)]
        within: u64,
        /// Prints one JSON document: {published, followed, missing}
        #[arg(long)]
        json: bool,
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

/// What a rebuild is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RebuildAction {
    /// Begin a build and follow it to its end
    Start,
    /// Tell how things stand
    Status,
    /// Give a build up
    Cancel,
    /// Send readers back to the generation that they saw before
    Rollback,
}

impl RebuildAction {
    /// As the function calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Rollback => "rollback",
        }
    }
}
