//! `simulate`: random seeds, every kill point, every planted mistake, and what an order costs.
//!
//! Exit codes: 0 nothing broke · 1 something did, or a planted mistake went unnoticed · 2 wrong usage.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use simulation::campaign::{self, Caught, Report, Step};
use simulation::{Options, Planted, SetupError, Simulator, Story};
use simulation_cli::{Mistakes, Simulation};

/// Simulations of the whole system under a hostile scheduler.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", max_term_width = 110)]
struct Program {
    #[command(flatten)]
    simulation: Simulation,
}

fn main() -> ExitCode {
    match run(&Program::parse().simulation) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Simulation) -> Result<bool, Box<dyn std::error::Error>> {
    if cli.list {
        print!("{}", simulation_cli::names());
        return Ok(true);
    }
    let jobs = cli.jobs.map_or_else(available_parallelism, Ok)?.get();
    let simulator = Simulator::of_workspace()?.with_jobs(jobs);
    let options = options(cli);
    if cli.planted == Some(Mistakes::All) {
        return Ok(planted(cli, &simulator, &options)?);
    }
    let seeds = cli.seeds.unwrap_or(200);
    let bar = bar(seeds, cli.systematic);
    let told = |step: Step| match step {
        Step::Done { runs, orders } => {
            bar.set_position(runs);
            let seconds = bar.elapsed().as_secs_f64().max(0.001);
            bar.set_message(format!(
                "{:.1} seeds/s, {:.0} orders/s",
                runs as f64 / seconds,
                orders as f64 / seconds
            ));
        }
        Step::Broken { seed, violations } => bar.suspend(|| {
            for violation in violations {
                eprintln!("✗ seed {seed}: {}: {}", violation.promise, violation.detail);
            }
            eprintln!("  Looking for a shorter run that breaks it; this may take minutes.");
        }),
    };
    if cli.trace {
        println!("{}", simulator.run(&Options { traced: true, ..options.clone() })?.trace);
    }
    let report = if cli.systematic {
        let stories = options.story.map_or(Story::ALL.to_vec(), |story| vec![story]);
        let small = Options { orders: 1, ..options };
        campaign::systematic(&simulator, &small, &stories, &|_| true, &told)?
    } else {
        campaign::random(&simulator, &options, seeds, &told)?
    };
    bar.finish_and_clear();
    if cli.json {
        println!("{:#}", report.json());
    } else {
        print(&report);
        print_cost(&simulator)?;
    }
    Ok(report.failures.is_empty())
}

fn options(cli: &Simulation) -> Options {
    let faults = cli.faults.0.clone();
    let calm = faults.is_empty();
    Options {
        faults,
        most_faults: cli.most_faults.unwrap_or(if calm { 0 } else { u32::MAX }),
        story: cli.story,
        worth: cli.worth,
        kill: cli.kill,
        lost: cli.lose,
        times: cli.times,
        poisoned: cli.poison.clone(),
        imported: cli.import,
        planted: match cli.planted {
            Some(Mistakes::One(planted)) => Some(planted),
            _ => None,
        },
        ..Options::new(cli.from, cli.orders)
    }
}

fn bar(seeds: u64, systematic: bool) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let template = if systematic { "{spinner} {pos} runs {msg}" } else { "{bar:40} {pos}/{len} {msg} {eta}" };
    let bar = ProgressBar::with_draw_target(Some(seeds), target);
    ProgressStyle::with_template(template)
        .map(|style| bar.with_style(style))
        .unwrap_or_else(|_| ProgressBar::hidden())
}

fn planted(cli: &Simulation, simulator: &Simulator, options: &Options) -> Result<bool, SetupError> {
    let mut all = BTreeMap::new();
    let options = Options { orders: options.orders.min(8), ..options.clone() };
    let most = cli.seeds.unwrap_or(1_000);
    let bar = bar(u64::try_from(Planted::ALL.len()).unwrap_or_default(), false);
    bar.enable_steady_tick(Duration::from_millis(200));
    campaign::all_planted(simulator, &options, most, |caught| {
        bar.inc(1);
        if !cli.json {
            bar.suspend(|| print_caught(&caught));
        }
        all.insert(caught.planted, caught);
    })?;
    bar.finish_and_clear();
    if cli.json {
        println!("{:#}", json!({ "planted": all.values().map(Caught::json).collect::<Vec<_>>() }));
    }
    Ok(all.values().all(|caught| caught.seed.is_some()))
}

fn print_caught(caught: &Caught) {
    let name = caught.planted.name();
    match (caught.seed, &caught.violation) {
        (Some(seed), Some(violation)) => {
            println!("✓ {name:<24} seed {seed}: {}: {}", violation.promise, violation.detail);
        }
        _ => println!("✗ {name:<24} nobody noticed: {}", caught.planted.help()),
    }
}

fn print(report: &Report) {
    for failure in &report.failures {
        println!("{}\n", failure.trace);
        for violation in &failure.violations {
            println!("✗ {}: {}", violation.promise, violation.detail);
        }
        println!("  again: {}\n", failure.command());
    }
    println!(
        "{} runs, {} orders, {} steps, {} AWS calls in {:.1} s of one core: {:.1} orders/s",
        report.seeds,
        report.orders,
        report.steps,
        report.aws_calls,
        report.took.as_secs_f64(),
        report.orders_per_second()
    );
    let faults: Vec<_> = report.faults.iter().map(|(kind, times)| format!("{times} {kind}")).collect();
    println!("faults: {}", faults.join(" · "));
    match report.failures.len() {
        0 => println!("No promise was broken."),
        failures => println!("{failures} runs broke a promise; each is shown above, shortened."),
    }
}

fn print_cost(simulator: &Simulator) -> Result<(), SetupError> {
    let cost = campaign::measure(simulator)?;
    println!(
        "A standard order of two products, nothing failing: {:.1} write units, {:.1} read units, {:.1} events, {:.1} SQS \
         requests; ${:.2} per million orders for these (us-east-1, without Lambda).",
        cost.write_units, cost.read_units, cost.events, cost.sqs_requests, cost.dollars_per_million
    );
    Ok(())
}
