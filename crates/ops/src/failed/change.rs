//! Retrying failures, and putting them away.

use std::collections::BTreeSet;
use std::time::Duration;

use eda::dead_letters::{FailedMessage, Retried, Routes};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{chosen, count, leave};
use crate::Verdict;
use crate::cli::{Chosen, Manner};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{print, print_json};

/// Sends failures again, one after the other: so those of a message group keep their order, and a group in which one could
/// not be sent stops there.
pub(super) async fn retry(
    deployment: &Deployment,
    manner: Manner,
    selected: &Chosen,
    rate: u32,
) -> Result<Verdict, Error> {
    if rate == 0 {
        return Err(Error::Usage("--rate must be 1 or more".to_owned()));
    }
    let desk = deployment.desk()?;
    let rows = chosen(&desk, selected).await?;
    if !leave(manner, "retry", &rows)? {
        return Ok(Verdict::Well);
    }
    let routes = deployment.routes().await?;
    let bar = progress(manner, rows.len());
    let mut pace = interval(Duration::from_secs(1) / rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut done, mut stopped) = (Vec::new(), BTreeSet::new());
    let mut verdict = Verdict::Well;
    for row in &rows {
        let group = row.message_group.as_ref().map(|group| (&row.dead_letter_queue, group));
        let (outcome, told) = if group.is_some_and(|group| stopped.contains(&group)) {
            ("held", "one before it in its message group could not be sent".to_owned())
        } else {
            pace.tick().await;
            let retried = desk.retry(&row.failure_id, &routes).await;
            if !matches!(retried, Ok(Retried::Sent | Retried::Done)) {
                stopped.extend(group);
            }
            outcome(retried)
        };
        if !matches!(outcome, "sent" | "done") {
            verdict = Verdict::Attention;
        }
        bar.inc(1);
        done.push((row, outcome, told));
    }
    bar.finish_and_clear();
    report(manner, "retried", &done)?;
    Ok(verdict)
}

fn outcome(retried: Result<Retried, eda::Failure>) -> (&'static str, String) {
    match retried {
        Ok(Retried::Sent) => ("sent", "is in its queue again".to_owned()),
        Ok(Retried::Done) => ("done", "its function has done it".to_owned()),
        Ok(Retried::FailedAgain(reason)) => ("failed", reason),
        Ok(Retried::Standing(status)) => ("left", format!("stands {}", eda::step::State::name(status))),
        Ok(Retried::Unknown) => ("gone", "is no longer kept".to_owned()),
        Ok(Retried::Taken) => ("left", "somebody else has it in hand".to_owned()),
        Err(failure) => ("unsent", failure.chain()),
    }
}

pub(super) async fn archive(
    deployment: &Deployment,
    manner: Manner,
    selected: &Chosen,
    note: &str,
) -> Result<Verdict, Error> {
    let desk = deployment.desk()?;
    let rows = chosen(&desk, selected).await?;
    if !leave(manner, "archive", &rows)? {
        return Ok(Verdict::Well);
    }
    let routes = match rows.iter().any(FailedMessage::holds_its_group) {
        true => deployment.routes().await?,
        false => Routes::default(),
    };
    let bar = progress(manner, rows.len());
    let mut done = Vec::new();
    for row in &rows {
        let archived = desk.archive(&row.failure_id, note, &routes).await?;
        let (outcome, told) = match archived {
            Some(true) => ("archived", note.to_owned()),
            Some(false) => ("left", "it changed meanwhile".to_owned()),
            None => ("gone", "is no longer kept".to_owned()),
        };
        bar.inc(1);
        done.push((row, outcome, told));
    }
    bar.finish_and_clear();
    report(manner, "archived", &done)?;
    let all = done.iter().all(|(_, outcome, _)| *outcome == "archived");
    Ok(if all { Verdict::Well } else { Verdict::Attention })
}

/// A bar on standard error, if that is a terminal.
fn progress(manner: Manner, length: usize) -> ProgressBar {
    if manner.json || length < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(manner: Manner, verb: &str, done: &[(&FailedMessage, &str, String)]) -> Result<(), Error> {
    if manner.json {
        let done: Vec<Value> = done
            .iter()
            .map(|(row, outcome, told)| json!({ "failureId": row.failure_id, "outcome": outcome, "told": told }))
            .collect();
        return print_json(&json!({ "done": done }));
    }
    for (row, outcome, told) in done {
        print(format_args!("{}  {outcome:8}  {told}", row.failure_id))?;
    }
    print(format_args!("{} {verb}; what fails again returns to its group.", count(done.len())))
}
