//! Looking at failures.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use eda::dead_letters::{FailedMessage, FailureState, Source};
use serde_json::{Value, json};

use super::find;
use crate::Verdict;
use crate::cli::{Filter, Manner};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{age, json as document, moment, print, print_json, short, table};

pub(super) async fn groups(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let groups = deployment.desk()?.groups().await?;
    let waiting = |group: &eda::dead_letters::Group| group.failures.get("failed").copied().unwrap_or(0);
    let verdict =
        if groups.iter().any(|group| waiting(group) > 0) { Verdict::Attention } else { Verdict::Well };
    if manner.json {
        print_json(&groups)?;
        return Ok(verdict);
    }
    if groups.is_empty() {
        print("Nothing has failed. Letters that wait in their queues come with `ops failed collect`.")?;
        return Ok(verdict);
    }
    let now = deployment.now();
    let rows: Vec<_> = groups
        .iter()
        .map(|group| {
            let all: u64 = group.failures.values().sum();
            vec![
                group.group.to_string(),
                waiting(group).to_string(),
                all.to_string(),
                age(now - group.last_failed_at),
                group.place.clone(),
                short(&group.cause, 80),
            ]
        })
        .collect();
    print(table(&["GROUP", "WAITING", "ALL", "LAST", "PLACE", "CAUSE"], &rows))?;
    print(
        "\nLook at one with `ops failed list --group GROUP`, retry it with `ops failed retry --group GROUP`.",
    )?;
    Ok(verdict)
}

pub(super) async fn list(deployment: &Deployment, manner: Manner, filter: &Filter) -> Result<Verdict, Error> {
    let mut rows = deployment.desk()?.select(&filter.selection()).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.last_failed_at));
    if manner.json {
        print_json(&rows.iter().map(without_body).collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        print("There are no such failures.")?;
    } else {
        print(listed(&rows))?;
    }
    let waiting = rows.iter().any(|row| row.status == FailureState::Failed);
    Ok(if waiting { Verdict::Attention } else { Verdict::Well })
}

/// Failures, a line each.
pub(super) fn listed(rows: &[FailedMessage]) -> String {
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.failure_id.clone(),
                eda::step::State::name(row.status).to_owned(),
                row.failures.to_string(),
                moment(row.last_failed_at),
                row.place.clone(),
                row.event.as_ref().map(|event| event.detail_type.clone()).unwrap_or_default(),
                short(&row.reason, 80),
            ]
        })
        .collect();
    table(&["FAILURE", "STATUS", "TIMES", "LAST", "PLACE", "EVENT", "REASON"], &lines)
}

/// What a list tells of a failure: everything but what it holds.
fn without_body(row: &FailedMessage) -> Value {
    let mut told = document(row);
    if let Some(fields) = told.as_object_mut() {
        for hidden in ["body", "bodyKey", "letters"] {
            fields.remove(hidden);
        }
    }
    told
}

pub(super) async fn show(deployment: &Deployment, manner: Manner, id: &str) -> Result<Verdict, Error> {
    let desk = deployment.desk()?;
    let row = find(&desk, id).await?;
    let body = desk.body(&row).await?;
    let holds: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    if manner.json {
        let mut told = without_body(&row);
        if let Some(fields) = told.as_object_mut() {
            fields.insert("body".to_owned(), holds);
        }
        print_json(&told)?;
        return Ok(Verdict::Well);
    }
    let mut lines = vec![
        format!("failure   {}", row.failure_id),
        format!("status    {}", eda::step::State::name(row.status)),
        format!("group     {}  ({})", row.group, row.cause),
        format!("reason    {}", row.reason),
        format!("source    {}", source(&row)),
        format!("attempts  {} in {} failures", row.attempts, row.failures),
    ];
    if let Some(event) = &row.event {
        let id = event.event_id.as_deref().unwrap_or("without id");
        lines.push(format!("event     {} {id}", event.detail_type));
        if let Some(correlation) = &event.correlation_id {
            lines.push(format!("story     {correlation} (correlation id: search the logs for it)"));
        }
    }
    if let Some(original) = &row.edit_of {
        lines.push(format!("edited    from {original}"));
    }
    if let Some(copy) = &row.replaced_by {
        lines.push(format!("replaced  by {copy}"));
    }
    lines.push("\nhistory".to_owned());
    for happening in &row.history {
        let status = eda::step::State::name(happening.status);
        lines.push(format!("  {}  {status:8}  {}", moment(happening.at), short(&happening.note, 120)));
    }
    lines.push(format!("\nholds\n{holds:#}"));
    let hint = match row.status {
        FailureState::Failed | FailureState::Retrying => format!(
            "\nRetry it with `ops failed retry {0}`, correct it with `ops failed edit {0}`, put it away with `ops failed archive {0}`.",
            row.failure_id
        ),
        _ => String::new(),
    };
    print(lines.join("\n") + &hint)?;
    Ok(Verdict::Well)
}

/// Where it came from, in words.
fn source(row: &FailedMessage) -> String {
    match &row.source {
        Source::Queue { function: Some(function), .. } => format!("a message that {function} has parked"),
        Source::Queue { queue, .. } => {
            let queue = queue.as_deref().unwrap_or(&row.dead_letter_queue);
            format!("a message of {queue} that was received too often")
        }
        Source::Target { rule, target } => {
            let target = target.as_deref().unwrap_or("its target");
            format!("an event that the rule {rule} could not deliver to {target}")
        }
        Source::Invocation { function } => format!("an invocation of {function}"),
        Source::Stream { function, records } => {
            format!(
                "records {} to {} of {} that {function} gave up on",
                records.first, records.last, records.stream
            )
        }
    }
}

pub(super) async fn export(
    deployment: &Deployment,
    manner: Manner,
    filter: &Filter,
    output: Option<&Path>,
) -> Result<Verdict, Error> {
    let desk = deployment.desk()?;
    let rows = desk.select(&filter.selection()).await?;
    let mut file = match output {
        Some(path) => {
            let made = File::create(path);
            Some(made.map_err(Error::io(format!("write {}", path.display())))?)
        }
        None => None,
    };
    for row in &rows {
        let mut told = without_body(row);
        if let Some(fields) = told.as_object_mut() {
            fields.insert("body".to_owned(), Value::String(desk.body(row).await?));
        }
        match &mut file {
            Some(file) => writeln!(file, "{told}").map_err(Error::io("write the export"))?,
            None => print(told)?,
        }
    }
    if let Some(path) = output {
        let report = json!({ "exported": rows.len(), "file": path });
        if manner.json {
            print_json(&report)?;
        } else {
            print(format_args!("{} failures are in {}.", rows.len(), path.display()))?;
        }
    }
    Ok(Verdict::Well)
}
