//! `test`: everything that CI runs, step by step.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use localcloud::{Progress, Tools, Workspace};
use tokio::process::Command;

use crate::error::Error;

struct Step {
    name: &'static str,
    program: Program,
    arguments: Vec<&'static str>,
}

enum Program {
    Cargo,
    Sam,
    Audit(&'static str),
}

/// Quick answers first. All of cargo's steps name the whole workspace, for the same features, so none compiles again what
/// another has compiled.
fn steps(fast: bool) -> Vec<Step> {
    let cargo = |name, arguments: &[&'static str]| Step {
        name,
        program: Program::Cargo,
        arguments: arguments.to_vec(),
    };
    let sam = |name, arguments: &[&'static str]| Step {
        name,
        program: Program::Sam,
        arguments: arguments.to_vec(),
    };
    let audit = |name, program, arguments: &[&'static str]| Step {
        name,
        program: Program::Audit(program),
        arguments: arguments.to_vec(),
    };
    let mut steps = vec![
        cargo("format", &["fmt", "--all", "--check"]),
        sam("template", &["validate", "--lint"]),
        audit("template's security", "checkov", &["--config-file", ".checkov.yaml"]),
        audit("dependencies", "cargo-deny", &["--locked", "check", "licenses", "bans", "sources"]),
        cargo("lint", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        cargo(
            "unit, component and contract tests",
            // The module of the end-to-end tests, whose turn comes last.
            &["test", "--locked", "--workspace", "--no-fail-fast", "--", "--skip", "end_to_end::"],
        ),
    ];
    if !fast {
        steps.push(cargo("end-to-end tests", &["test", "--locked", "--workspace", "--test", "e2e"]));
    }
    steps
}

/// Runs the steps in their order, until one fails.
pub(crate) async fn run(fast: bool) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let begun = Instant::now();
    // Some tests start emulators, and would wait for the tools one after the other.
    let tools = Tools::ensure(&workspace, &Progress::stderr()).await?;
    let audit = Tools::ensure_audit(&workspace, &Progress::stderr()).await?;
    if !fast {
        Tools::ensure_tester(&workspace, &Progress::stderr()).await?;
    }
    let steps = steps(fast);
    let mut took = Vec::new();
    for step in &steps {
        eprintln!("\n=== {} ===", step.name);
        let started = Instant::now();
        let status = command(step, &workspace, &tools, &audit).status().await;
        let status = status.map_err(|source| Error::Run { step: step.name, source })?;
        if !status.success() {
            eprintln!("\nerror: {} failed ({status}) after {}", step.name, told(started.elapsed()));
            return Ok(ExitCode::FAILURE);
        }
        took.push((step.name, started.elapsed()));
    }
    eprintln!();
    for (name, time) in took {
        eprintln!("✓ {name} ({})", told(time));
    }
    eprintln!("All passed in {}.", told(begun.elapsed()));
    Ok(ExitCode::SUCCESS)
}

fn command(step: &Step, workspace: &Workspace, tools: &Tools, audit: &Tools) -> Command {
    let mut command = match step.program {
        // By name, so that rustup chooses the checkout's toolchain.
        Program::Cargo => Command::new("cargo"),
        Program::Audit(program) => Command::new(audit.program(program)),
        Program::Sam => {
            let mut sam = Command::new(tools.sam());
            // Credentials are not needed, but a region is.
            sam.env("AWS_DEFAULT_REGION", "us-east-1").env("SAM_CLI_TELEMETRY", "0");
            sam
        }
    };
    command.args(&step.arguments).current_dir(workspace.root()).stdin(Stdio::null()).kill_on_drop(true);
    // Set by the cargo that runs us; to the cargo that we run they would describe the wrong package.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}
