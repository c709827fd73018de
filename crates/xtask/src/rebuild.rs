//! `rebuild`: has the orders' views built anew on the running local cloud, and shows how far the build has come.

use std::process::ExitCode;
use std::time::Duration;

use eda::view::{Build, BuildState, Generations};
use localcloud::{Progress, Running, Stack, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::RebuildAction;
use crate::error::Error;
use crate::output::print;

const FUNCTION: &str = "rebuild-orders-view";

/// Between two looks at a build; each lets it go on.
const PAUSE: Duration = Duration::from_secs(1);

/// How many looks in a row may fail. A build that was left alone goes on with the function's schedule.
const FAILURES: u32 = 5;

/// Parts of the bar.
const PERCENT: u64 = 100;

/// What the function answers.
#[derive(Debug, Deserialize, Serialize)]
struct Report {
    #[serde(flatten)]
    generations: Generations,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(crate) async fn run(action: RebuildAction, rate: Option<u32>, as_json: bool) -> Result<ExitCode, Error> {
    let running = Running::find(&Workspace::find()?).await?.ok_or(localcloud::Error::NotRunning)?;
    let stack = running.describe().await?;
    let mut report = ask(&stack, &json!({ "action": action.name(), "rate": rate })).await?;
    let follows = action == RebuildAction::Start && report.refused.is_none();
    if follows && let Some(build) = report.generations.building() {
        report = follow(&stack, build.clone()).await?;
    }
    if as_json {
        print(serde_json::to_string_pretty(&report).map_err(Error::Json)?)?;
    } else {
        print(told(&report.generations))?;
    }
    if let Some(reason) = report.refused {
        eprintln!("error: {reason}");
        return Ok(ExitCode::FAILURE);
    }
    match report.generations.build {
        Some(Build { state, .. }) if follows && state != BuildState::Switched => {
            eprintln!("error: readers do not see what was built: the build {}", described(state));
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Lets a build go on until it ends, however it does.
async fn follow(stack: &Stack, mut build: Build) -> Result<Report, Error> {
    let step = Progress::stderr().counted("rebuilding the orders' views", PERCENT);
    let (mut shown, mut failures) = (0, 0);
    loop {
        // The total is an estimate: the bar is full when the build says so.
        let percent = (build.walked * PERCENT).checked_div(build.total).unwrap_or_default().min(PERCENT - 1);
        (shown..percent).for_each(|_| step.advance());
        shown = shown.max(percent);
        step.say(&format!("{} items walked over, {} orders", build.walked, build.projected));
        tokio::time::sleep(PAUSE).await;
        let report = match ask(stack, &json!({ "action": "continue" })).await {
            Err(error) if failures < FAILURES => {
                failures += 1;
                step.note(&error.to_string());
                continue;
            }
            answer => answer?,
        };
        failures = 0;
        match report.generations.building() {
            Some(other) if other.generation == build.generation => build = other.clone(),
            _ => {
                (shown..PERCENT).for_each(|_| step.advance());
                step.done();
                return Ok(report);
            }
        }
    }
}

async fn ask(stack: &Stack, request: &Value) -> Result<Report, Error> {
    let answer = stack.invoke(FUNCTION, request.to_string().as_bytes()).await?;
    if answer.error.is_some() {
        let message = answer.payload.get("errorMessage").and_then(Value::as_str).unwrap_or("no reason given");
        return Err(Error::Function { function: FUNCTION, message: message.to_owned() });
    }
    serde_json::from_value(answer.payload).map_err(Error::Answer)
}

/// How things stand, for a person.
fn told(generations: &Generations) -> String {
    let live = generations.live;
    let build = generations.build.as_ref().map_or_else(
        || "the views were never built anew".to_owned(),
        |build| {
            let (generation, walked, projected) = (build.generation, build.walked, build.projected);
            let state = described(build.state);
            format!(
                "the build of generation {generation} {state}, after {walked} items with {projected} orders"
            )
        },
    );
    format!("Readers see generation {live}; {build}.")
}

fn described(state: BuildState) -> &'static str {
    match state {
        BuildState::Building => "is under way",
        BuildState::Switched => "took over",
        BuildState::RolledBack => "was taken back",
        BuildState::Cancelled => "was cancelled",
        BuildState::Incomplete => "ended without orders that nobody can read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_function_answers_is_told_and_printed_as_it_came() {
        let answer = json!({
            "projection": "orders", "revision": 3, "live": 2, "previous": 1, "switchedAt": 30,
            "build": {
                "generation": 2, "state": "switched", "startedAt": 10, "rate": 100, "total": 40, "walked": 42,
                "projected": 14, "unreadable": 0,
            },
        });
        let report: Report = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), answer);
        assert_eq!(
            told(&report.generations),
            "Readers see generation 2; the build of generation 2 took over, after 42 items with 14 orders."
        );
        assert_eq!(
            told(&Generations::first("orders")),
            "Readers see generation 1; the views were never built anew."
        );
    }
}
