//! `ops failed`: what could not be handled.

mod change;
mod edit;
mod show;

use eda::dead_letters::{Desk, FailedMessage, FailureState, Selection};
use serde_json::{Value, json};

use crate::Verdict;
use crate::cli::{Chosen, Failed, Filter, Manner};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{confirm, json as document, print, print_json};

pub(crate) async fn run(deployment: &Deployment, manner: Manner, command: Failed) -> Result<Verdict, Error> {
    match command {
        Failed::Collect => collect(deployment, manner).await,
        Failed::Groups => show::groups(deployment, manner).await,
        Failed::List(filter) => show::list(deployment, manner, &filter).await,
        Failed::Show { id } => show::show(deployment, manner, &id).await,
        Failed::Retry { chosen, rate } => change::retry(deployment, manner, &chosen, rate).await,
        Failed::Edit { id, set, body, no_retry } => {
            let edit = edit::Edit { set, body, retry: !no_retry };
            edit::run(deployment, manner, &id, &edit).await
        }
        Failed::Archive { chosen, note } => change::archive(deployment, manner, &chosen, &note).await,
        Failed::Export { filter, output } => {
            show::export(deployment, manner, &filter, output.as_deref()).await
        }
    }
}

impl Filter {
    fn selection(&self) -> Selection {
        Selection {
            group: self.group.clone(),
            place: self.place.clone(),
            status: self.status.map(Into::into),
            detail_type: self.event.clone(),
            text: self.reason.clone(),
            since: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.selection() == Selection::default()
    }
}

/// The failure whose id this is, or begins so.
async fn find(desk: &Desk, id: &str) -> Result<FailedMessage, Error> {
    if let Some(row) = desk.get(id).await? {
        return Ok(row);
    }
    let mut rows = desk.select(&Selection::default()).await?;
    rows.retain(|row| row.failure_id.starts_with(id));
    match (rows.len(), rows.pop()) {
        (1, Some(row)) => Ok(row),
        (0, _) | (_, None) => Err(Error::NoFailure(id.to_owned())),
        (several, _) => Err(Error::Usage(format!("{several} failures begin with {id}: name more of the id"))),
    }
}

/// The failures that a command works on, in the order in which they are to be worked on.
async fn chosen(desk: &Desk, chosen: &Chosen) -> Result<Vec<FailedMessage>, Error> {
    if !chosen.ids.is_empty() {
        if !chosen.filter.is_empty() {
            return Err(Error::Usage("name failures or a filter, not both".to_owned()));
        }
        let mut rows = Vec::new();
        for id in &chosen.ids {
            rows.push(find(desk, id).await?);
        }
        return Ok(rows);
    }
    if chosen.filter.is_empty() && !chosen.all {
        return Err(Error::Usage("name failures, a filter such as --group, or --all".to_owned()));
    }
    let mut selection = chosen.filter.selection();
    // What waits; whoever wants more says so with --status.
    let waiting = selection.status.is_none();
    selection.status = selection.status.or(Some(FailureState::Failed));
    let mut rows = desk.select(&selection).await?;
    if waiting {
        let dying = Selection { status: Some(FailureState::Retrying), ..selection };
        let now = eda::ambient::Ambient::system().now().as_millisecond();
        let stuck = desk.select(&dying).await?.into_iter();
        // Whoever sent these is still at it, or died: a minute tells.
        rows.extend(stuck.filter(|row| row.history.last().is_some_and(|last| now - last.at > 60_000)));
    }
    Ok(rows)
}

/// Takes in what lies in the dead-letter queues.
async fn collect(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let queues = deployment.dead_letter_queues().await?;
    let full: Vec<_> = queues.iter().filter(|queue| queue.visible > 0).collect();
    if manner.dry_run {
        let waiting: Value =
            full.iter().map(|queue| (queue.logical_id.clone(), json!(queue.visible))).collect();
        return told(manner, &json!({ "waiting": waiting })).map(|()| Verdict::Well);
    }
    let (mut taken, mut known, mut left) = (0, 0, 0);
    for queue in full {
        loop {
            let report = deployment.invoke("process-dlq", &json!({ "queueUrls": [queue.url] })).await?;
            let done = report.get(&queue.url).cloned().unwrap_or_default();
            let count = |name: &str| done.get(name).and_then(Value::as_u64).unwrap_or(0);
            taken += count("taken");
            known += count("known");
            left += count("left");
            let more = done.get("cutShort").and_then(Value::as_bool).unwrap_or(false);
            if !more || count("taken") + count("known") == 0 {
                break;
            }
        }
    }
    let report = json!({ "taken": taken, "known": known, "left": left });
    if manner.json {
        print_json(&report)?;
    } else {
        print(format_args!("{taken} taken in, {known} known already, {left} left in their queues."))?;
        if taken > 0 {
            print("Look at them with `ops failed groups`.")?;
        }
        if left > 0 {
            print(format_args!(
                "Why some are left is in the log of process-dlq: /aws/lambda/{}/process-dlq.",
                deployment.stack
            ))?;
        }
    }
    Ok(if left > 0 { Verdict::Attention } else { Verdict::Well })
}

/// Says what would be done.
fn told(manner: Manner, would: &Value) -> Result<(), Error> {
    if manner.json { print_json(would) } else { print(format_args!("Would do: {would:#}")) }
}

/// Shows what a change is about; asks for leave unless it is a dry run.
fn leave(manner: Manner, verb: &str, rows: &[FailedMessage]) -> Result<bool, Error> {
    if rows.is_empty() {
        if manner.json {
            print_json(&json!({ "done": [], "would": [] }))?;
        } else {
            print(format_args!("There is nothing to {verb}."))?;
        }
        return Ok(false);
    }
    if manner.dry_run {
        let would: Vec<_> = rows.iter().map(|row| document(&row.failure_id)).collect();
        if manner.json {
            print_json(&json!({ "would": would }))?;
        } else {
            print(show::listed(rows))?;
            print(format_args!("\nWould {verb} {}; nothing was done.", count(rows.len())))?;
        }
        return Ok(false);
    }
    if !manner.json && !manner.yes {
        eprintln!("{}", show::listed(rows));
    }
    confirm(manner, &format!("{} {}", capitalised(verb), count(rows.len())))?;
    Ok(true)
}

fn count(failures: usize) -> String {
    if failures == 1 { "1 failure".to_owned() } else { format!("{failures} failures") }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default() + letters.as_str()
}
