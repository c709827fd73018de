//! Explores every configuration, then every saga that lacks a rule, and prints figures and stories.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use saga_model::CONFIGURATIONS;
use saga_model::graph::explore;
use saga_model::rules::Rule;
use saga_model::saga::Saga;
use serde_json::json;

/// Explores one order's rows and messages completely.
#[derive(Parser)]
struct Arguments {
    /// Prints one JSON document: {configurations, withoutRule}
    #[arg(long)]
    json: bool,
    /// Only the configuration of this name
    #[arg(long)]
    only: Option<String>,
    /// Leaves out the sagas that lack a rule
    #[arg(long)]
    whole: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let say = |line: String| {
        if !arguments.json {
            println!("{line}");
        }
    };
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    let (mut good, mut configurations, mut removed) = (true, Vec::new(), Vec::new());
    for bounds in CONFIGURATIONS.iter().filter(|bounds| wanted(bounds.name)) {
        let begun = Instant::now();
        let explored = explore(&Saga::new(*bounds, None)?);
        let seconds = begun.elapsed().as_secs_f64();
        let (states, steps, depth) = (explored.states, explored.steps, explored.depth);
        say(format!("{}: {states} states, {steps} steps, depth {depth}, {seconds:.1} s", bounds.name));
        let violation = explored.violation.map(|broken| {
            good = false;
            tell(&say, broken.promise, &broken.story);
            json!({ "promise": broken.promise, "story": broken.story })
        });
        configurations.push(json!({
            "name": bounds.name, "states": states, "steps": steps, "depth": depth, "seconds": seconds,
            "violation": violation,
        }));
    }
    for rule in Rule::ALL.iter().filter(|_| !arguments.whole) {
        let found = saga_model::counterexample(*rule)?;
        let Some((configuration, broken)) = found else {
            good = false;
            say(format!("\nwithout {rule:?}: NOT CAUGHT"));
            removed.push(json!({ "rule": format!("{rule:?}"), "caught": false }));
            continue;
        };
        say(format!("\nwithout {rule:?} ({configuration})"));
        tell(&say, broken.promise, &broken.story);
        removed.push(json!({
            "rule": format!("{rule:?}"), "caught": true, "configuration": configuration,
            "promise": broken.promise, "story": broken.story,
        }));
    }
    if arguments.json {
        println!("{}", json!({ "configurations": configurations, "withoutRule": removed }));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(say: &impl Fn(String), promise: &str, story: &[String]) {
    say(format!("  broken: {promise}"));
    for (index, line) in story.iter().enumerate() {
        say(format!("  {:2}. {line}", index + 1));
    }
}
