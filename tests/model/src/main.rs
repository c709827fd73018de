//! `model`: explores every configuration, then every model that lacks a rule, and prints figures and stories.
//!
//! Exit codes: 0 all promises hold and every rule is needed · 1 they do not · 2 wrong usage.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use saga_model::graph::Violation;
use saga_model::subject::{Found, Subject};
use serde_json::json;

/// Explores one order's rows and messages, and the circuit breaker's row, completely.
#[derive(Parser)]
#[command(name = "cargo xtask model", max_term_width = 110)]
struct Arguments {
    /// Prints one JSON document: {configurations, withoutRule}
    #[arg(long)]
    json: bool,
    /// Only the configuration of this name
    #[arg(long, value_name = "CONFIGURATION")]
    only: Option<String>,
    /// Only the model without this rule
    #[arg(long, value_name = "RULE", conflicts_with = "only")]
    without: Option<String>,
    /// Leaves out the models that lack a rule
    #[arg(long, conflicts_with = "without")]
    whole: bool,
    /// Lists the configurations and the rules
    #[arg(long)]
    list: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let subjects = match chosen(&arguments) {
        Ok(subjects) => subjects,
        Err(reason) => {
            eprintln!("error: {reason}");
            return Ok(ExitCode::from(2));
        }
    };
    if arguments.list {
        list(&subjects);
        return Ok(ExitCode::SUCCESS);
    }
    let bar = bar(subjects.len());
    let (mut good, mut configurations, mut removed) = (true, Vec::new(), Vec::new());
    for subject in &subjects {
        let name = subject.name();
        let title = if subject.is_whole() { name } else { format!("without {name}") };
        bar.set_message(title.clone());
        let found = subject.explore(&|states| bar.set_message(format!("{title}: {states} states")))?;
        bar.inc(1);
        good &= subject.is_as_it_must_be(&found);
        if !arguments.json {
            bar.suspend(|| tell(subject, &found));
        }
        let kind = if subject.is_whole() { &mut configurations } else { &mut removed };
        kind.push(subject.json(&found));
    }
    bar.finish_and_clear();
    if arguments.json {
        println!("{:#}", json!({ "configurations": configurations, "withoutRule": removed }));
    } else {
        println!("{}", verdict(good, configurations.len(), removed.len()));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(arguments: &Arguments) -> Result<Vec<Subject>, String> {
    let mut subjects = Subject::all();
    if arguments.whole {
        subjects.retain(Subject::is_whole);
    }
    let (kind, whole, wanted) = match (&arguments.only, &arguments.without) {
        (Some(name), _) => ("configuration", true, name),
        (_, Some(name)) => ("rule", false, name),
        (None, None) => return Ok(subjects),
    };
    let (subjects, others): (Vec<_>, Vec<_>) = subjects
        .into_iter()
        .filter(|subject| subject.is_whole() == whole)
        .partition(|subject| subject.name() == *wanted);
    if subjects.is_empty() {
        let names: Vec<_> = others.iter().map(Subject::name).collect();
        return Err(format!("there is no {kind} {wanted}; there are {}", names.join(", ")));
    }
    Ok(subjects)
}

fn list(subjects: &[Subject]) {
    for (title, whole) in [("Configurations:", true), ("Rules:", false)] {
        println!("{title}");
        for subject in subjects.iter().filter(|subject| subject.is_whole() == whole) {
            println!("  {:<28} {:<8} {}", subject.name(), subject.model(), subject.help());
        }
    }
}

fn bar(subjects: usize) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(u64::try_from(subjects).ok(), target);
    bar.enable_steady_tick(Duration::from_millis(200));
    ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {msg}")
        .map(|style| bar.with_style(style))
        .unwrap_or_else(|_| ProgressBar::hidden())
}

fn tell(subject: &Subject, found: &Found) {
    let explored = &found.explored;
    if subject.is_whole() {
        println!(
            "{}, {}: {} states, {} steps, depth {}, {:.1} s",
            subject.model(),
            subject.name(),
            explored.states,
            explored.steps,
            explored.depth,
            found.seconds
        );
    } else {
        println!(
            "\n{}, without {} ({}): {}",
            subject.model(),
            subject.name(),
            found.configuration,
            subject.help()
        );
    }
    match &explored.violation {
        Some(Violation { promise, story }) => {
            println!("  broken: {promise}");
            for (index, line) in story.iter().enumerate() {
                println!("  {:2}. {line}", index + 1);
            }
        }
        None if subject.is_whole() => {}
        None => println!("  NOT CAUGHT: nothing breaks without it"),
    }
}

fn verdict(good: bool, configurations: usize, removed: usize) -> String {
    match good {
        true => format!(
            "\nEvery promise holds in every state of {configurations} configurations; without any of {removed} rules one breaks."
        ),
        false => "\nThis is not as it must be; see above.".to_owned(),
    }
}
