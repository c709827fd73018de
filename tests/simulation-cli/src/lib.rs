//! The command line of `cargo xtask simulate`, and the names that it knows. Two programs have it: `xtask`, built without the
//! functions, which explains and checks it, and `simulate`, which does as it says.

mod fault;
mod named;
mod order;
mod planted;

use std::fmt::Write as _;
use std::num::NonZero;
use std::str::FromStr;

pub use fault::Kind;
pub use order::{KillPoint, Story, Worth};
pub use planted::Planted;

/// What is simulated.
#[derive(Debug, clap::Args)]
pub struct Simulation {
    /// How many runs; with --planted, the most per mistake [default: 200, with --planted 1000]
    #[arg(long)]
    pub seeds: Option<u64>,
    /// Orders per run
    #[arg(long, default_value_t = 20)]
    pub orders: usize,
    /// Kinds of faults, separated by commas: all, of which each seed takes half, none, or names that --list shows
    #[arg(long, default_value = "all")]
    pub faults: Kinds,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// Runs at a time, each on a core of its own [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,
    /// Prints one JSON document: {seeds, orders, steps, awsCalls, ordersPerSecond (of one core), faults, violations}, or {planted}
    #[arg(long)]
    pub json: bool,
    /// Makes known mistakes on purpose, one at a time, and shows which seed notices each; a name makes that one only
    #[arg(long, num_args = 0..=1, default_missing_value = "all", value_name = "MISTAKE")]
    pub planted: Option<Mistakes>,
    /// Kills the function before, and after, every single call of each story, and of each story that loses a message
    #[arg(long)]
    pub systematic: bool,
    /// The most faults per run; then all goes well
    #[arg(long, value_name = "N")]
    pub most_faults: Option<u32>,
    /// Makes faults so many times as frequent
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub times: u32,
    /// What all orders are like: standard, out-of-stock, declined, not-chargeable, unserved, needs-authentication
    #[arg(long)]
    pub story: Option<Story>,
    /// What all orders are worth, and so which saga they run: standard, or high
    #[arg(long)]
    pub worth: Option<Worth>,
    /// Kills the function at one call: before:N or after:N
    #[arg(long, value_name = "POINT")]
    pub kill: Option<KillPoint>,
    /// Loses one delivery of the bus for good, by its number
    #[arg(long, value_name = "N")]
    pub lose: Option<u64>,
    /// Puts something undecodable on these queues, by their names in the template, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "QUEUES")]
    pub poison: Vec<String>,
    /// Puts a file of orders with so many lines into the bucket
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    pub import: u64,
    /// Prints the story of the first run
    #[arg(long)]
    pub trace: bool,
    /// Lists the kinds of faults and the mistakes
    #[arg(long)]
    pub list: bool,
}

/// Kinds of faults that may strike: `all`, `none`, or their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(pub Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "all" => Kind::ALL.to_vec(),
            "none" => Vec::new(),
            names => names.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>()?,
        }))
    }
}

/// Which mistakes are made on purpose: `all`, or the name of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistakes {
    /// Each, one at a time.
    All,
    /// This one only.
    One(Planted),
}

impl FromStr for Mistakes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

/// The kinds of faults and the mistakes, one per line, with what they are.
#[must_use]
pub fn names() -> String {
    let mut names = "Faults:\n".to_owned();
    for kind in Kind::ALL {
        let _ = writeln!(names, "  {:<24} {}", kind.name(), kind.help());
    }
    names.push_str("Planted mistakes:\n");
    for planted in Planted::ALL {
        let _ = writeln!(names, "  {:<24} {}", planted.name(), planted.help());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        simulation: Simulation,
    }

    fn parsed(arguments: &[&str]) -> Result<Simulation, String> {
        let program = Program::try_parse_from(["simulate"].iter().chain(arguments));
        program.map(|program| program.simulation).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_those_that_are() {
        let wrong = [
            (["--faults", "duplicate,delya"], "there is no fault delya; there are duplicate, "),
            (
                ["--planted", "sweeper"],
                "there is no planted mistake sweeper; there are unguarded-transition, ",
            ),
            (["--story", "sad"], "there is no story sad; there are standard, "),
            (["--worth", "much"], "there is no worth much; there are standard, high"),
            (["--kill", "during:3"], "during:3 is neither before:N nor after:N"),
        ];
        for (arguments, told) in wrong {
            let error = parsed(&arguments).unwrap_err();
            assert!(error.contains(told), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn what_is_said_is_what_is_simulated() {
        let simulation = parsed(&["--faults", "delay, poison", "--planted", "--kill", "after:3"]).unwrap();
        assert_eq!(simulation.faults, Kinds(vec![Kind::Delay, Kind::Poison]));
        assert_eq!(simulation.planted, Some(Mistakes::All));
        assert_eq!(simulation.kill, Some(KillPoint { call: 3, after: true }));
        let one = parsed(&["--planted", "sweeper-off", "--faults", "none"]).unwrap();
        assert_eq!(one.planted, Some(Mistakes::One(Planted::SweeperOff)));
        assert_eq!(one.faults, Kinds(Vec::new()));
        assert_eq!(parsed(&[]).unwrap().faults, Kinds(Kind::ALL.to_vec()));
    }

    #[test]
    fn every_name_is_listed_and_can_be_said() {
        let names = names();
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert!(names.contains(&format!("  {} ", kind.name())), "{kind}");
        }
        for planted in Planted::ALL {
            assert_eq!(planted.name().parse(), Ok(*planted));
            assert!(names.contains(&format!("  {} ", planted.name())), "{planted}");
        }
    }
}
