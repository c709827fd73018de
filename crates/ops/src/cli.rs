//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use eda::dead_letters::FailureState;
use jiff::Timestamp;

/// Looks after a deployment: what failed and why, what waits, and what to do about it.
///
/// Start with `ops doctor`. Credentials and region come from where the AWS command line takes them; a local cloud is
/// reached with `cargo xtask ops …`.
#[derive(Debug, Parser)]
#[command(name = "ops", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 all is well · 1 failed · 2 wrong usage · 3 something needs attention")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) manner: Manner,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which deployment.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The CloudFormation stack
    #[arg(long, global = true, default_value = "order-fulfilment")]
    pub(crate) stack: String,
    /// The URL of the AWS APIs, where it is not AWS itself
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The AWS region, if not the configured one
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,
}

/// How it is told and done.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Manner {
    /// Answers with one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Changes things without asking first; for scripts
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Shows what would be changed, and changes nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Messages that could not be handled: groups by cause, details, retry, edit, archive
    #[command(subcommand)]
    Failed(Failed),
    /// Events that wait to be published
    #[command(subcommand)]
    Outbox(Outbox),
    /// The story of one order: its steps and how long each took, its rows, its execution, what waits and what failed
    ///
    /// Of a state machine's execution it tells the states, with their times, retries and errors, and how it ended. Executions are
    /// known for 90 days after their end.
    Order {
        /// The order
        id: String,
    },
    /// Sagas
    #[command(subcommand)]
    Saga(Saga),
    /// The circuits of what functions call: shows them, or moves one by hand
    ///
    /// While a circuit is open nobody calls, and what needs the call waits; it is tried again by itself.
    Breaker {
        #[command(subcommand)]
        command: Option<Breaker>,
    },
    /// Replays archived events to our own rules; nothing is charged, shipped, mailed or counted twice
    #[command(subcommand)]
    Replay(Replay),
    /// Checks the whole deployment and says what to do about each thing that is wrong
    Doctor,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Failed {
    /// Takes what lies in the dead-letter queues into the table, now
    ///
    /// A stack that was deployed with ProcessDeadLetters=true does so by itself.
    Collect,
    /// Lists causes: how many failed, where, since when
    Groups,
    /// Lists failures, each with its reason
    List(Filter),
    /// Shows one failure: reason, source, history and what it holds
    Show {
        /// The failure, or the beginning of its id
        id: String,
    },
    /// Sends failures again: to the queue they came from, or to the function that failed
    ///
    /// Messages of one message group are sent in their order. What fails again returns to its group with its history.
    Retry {
        #[command(flatten)]
        chosen: Chosen,
        /// The most to send per second
        #[arg(long, default_value_t = 10)]
        rate: u32,
    },
    /// Makes an edited copy of a failure under a new id and retries that; the original is kept
    ///
    /// Without --set and --body the message opens in $EDITOR.
    Edit {
        /// The failure, or the beginning of its id
        id: String,
        /// A JSON pointer and its new value, such as /detail/items/0/quantity=2
        #[arg(long, value_name = "POINTER=JSON")]
        set: Vec<String>,
        /// A file with the whole new message; - is standard input
        #[arg(long, conflicts_with = "set")]
        body: Option<PathBuf>,
        /// Only makes the copy, to be retried later
        #[arg(long)]
        no_retry: bool,
    },
    /// Puts failures away that nothing is to be done about
    Archive {
        #[command(flatten)]
        chosen: Chosen,
        /// Why, for whoever looks later
        #[arg(long, default_value = "archived")]
        note: String,
    },
    /// Writes failures with all they hold, one JSON document per line
    Export {
        #[command(flatten)]
        filter: Filter,
        /// The file; standard output if there is none
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

/// Where a failure stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Status {
    Failed,
    Retrying,
    Retried,
    Replaced,
    Archived,
}

impl From<Status> for FailureState {
    fn from(status: Status) -> Self {
        match status {
            Status::Failed => Self::Failed,
            Status::Retrying => Self::Retrying,
            Status::Retried => Self::Retried,
            Status::Replaced => Self::Replaced,
            Status::Archived => Self::Archived,
        }
    }
}

/// Which failures.
#[derive(Clone, Debug, Args)]
pub(crate) struct Filter {
    /// Of this group, as `ops failed groups` shows it
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// That failed in this function, queue or rule
    #[arg(long)]
    pub(crate) place: Option<String>,
    /// That stand so
    #[arg(long, value_enum)]
    pub(crate) status: Option<Status>,
    /// About events of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Whose reason has this text in it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// Which failures are worked on: some by their ids, or all of a filter.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chosen {
    /// Failures, or the beginnings of their ids
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// All that wait
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// Lists events that wait, the oldest first
    Pending,
    /// Publishes what has waited for a minute or longer, as the sweeper does
    Republish,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Saga {
    /// Lists orders that are past their deadline, and where each is stuck
    Stuck {
        /// Lists all open orders
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Breaker {
    /// Closes a circuit: everybody calls again
    Close {
        /// What it guards, as `ops breaker` shows it
        resource: String,
    },
    /// Opens a circuit: nobody calls for a while
    Open {
        /// What it guards, as `ops breaker` shows it
        resource: String,
        /// How long, before it is tried again
        #[arg(long = "for", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Replay {
    /// Starts a replay and follows it to its end
    Start {
        #[command(flatten)]
        window: Window,
        /// Only starts it
        #[arg(long)]
        no_follow: bool,
    },
    /// Tells how a replay stands
    Status {
        /// The replay, as `ops replay start` called it
        name: String,
        /// Follows it to its end
        #[arg(long)]
        follow: bool,
    },
    /// Cancels a replay; events that are out already are handled all the same
    Cancel {
        /// The replay, as `ops replay start` called it
        name: String,
    },
}

/// What is replayed, and where to. An archive knows the time of an event and nothing else.
#[derive(Clone, Debug, Args)]
pub(crate) struct Window {
    /// From this event time on, such as 2026-01-15T10:00:00Z
    #[arg(long)]
    pub(crate) from: Timestamp,
    /// Up to this event time; now if there is none
    #[arg(long)]
    pub(crate) to: Option<Timestamp>,
    /// Only to this rule, named by a part of its name that no other has; may be repeated
    #[arg(long = "rule", value_name = "RULE")]
    pub(crate) rules: Vec<String>,
    /// Only to rules that match events of this name; they get whatever else they match as well; may be repeated
    #[arg(long = "event", value_name = "NAME")]
    pub(crate) events: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::Cli;

    /// The commands of this program that a text names in code spans, word by word.
    fn named(text: &str) -> Vec<Vec<&str>> {
        let spans = text.split('`').skip(1).step_by(2);
        let commands = spans.filter_map(|span| span.trim_start_matches("cargo xtask ").strip_prefix("ops "));
        commands.map(|command| command.split_whitespace().collect()).collect()
    }

    /// What is wrong with a command that a text names.
    fn unknown(words: &[&str]) -> Option<String> {
        let mut root = Cli::command();
        root.build();
        let mut command = &root;
        for word in words {
            if let Some(flag) = word.strip_prefix("--") {
                let known = command.get_arguments().any(|argument| argument.get_long() == Some(flag));
                if !known {
                    return Some(format!("{} has no --{flag}", command.get_name()));
                }
            } else if command.has_subcommands() {
                match command.find_subcommand(word) {
                    Some(further) => command = further,
                    None => return Some(format!("{} has no command {word}", command.get_name())),
                }
            }
        }
        command.is_subcommand_required_set().then(|| format!("{} alone does nothing", command.get_name()))
    }

    #[test]
    fn every_command_that_the_documentation_or_an_advice_names_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let advices =
            ["src/doctor/checks.rs", "src/doctor/alarms.rs", "src/error.rs", "src/order.rs", "src/outbox.rs"];
        let mut seen = 0;
        for file in ["../../README.md", "../../docs/runbook.md"].into_iter().chain(advices) {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("//!")).collect();
            let text = lines.join("\n");
            for words in named(&text) {
                assert_eq!(unknown(&words), None, "{file}: ops {}", words.join(" "));
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen} commands are named");
    }

    #[test]
    fn a_command_that_does_not_exist_is_noticed() {
        assert!(unknown(&["failed", "destroy"]).is_some());
        assert!(unknown(&["failed", "retry", "--louder"]).is_some());
        assert!(unknown(&["outbox"]).is_some());
        assert_eq!(unknown(&["failed", "show", "ID"]), None);
    }
}
