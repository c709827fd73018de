//! `ops outbox`: events that wait to be published.

use eda::outbox::{MIN_AGE, OutboxRow};
use serde_json::json;

use crate::Verdict;
use crate::cli::{Manner, Outbox};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{age, confirm, print, print_json, table};

pub(crate) async fn run(deployment: &Deployment, manner: Manner, command: Outbox) -> Result<Verdict, Error> {
    match command {
        Outbox::Pending => pending(deployment, manner).await,
        Outbox::Republish => republish(deployment, manner).await,
    }
}

/// All rows of the outbox, the oldest first. While all is well they are few.
pub(crate) async fn rows(deployment: &Deployment) -> Result<Vec<OutboxRow>, Error> {
    let table = deployment.table::<OutboxRow>("OutboxTable")?;
    let mut rows: Vec<OutboxRow> = deployment.scan(&table).await?;
    rows.sort_by_key(|row| row.created_at);
    Ok(rows)
}

/// Whether the relay should have published a row by now.
pub(crate) fn is_late(row: &OutboxRow, now: i64) -> bool {
    now - row.created_at > i64::try_from(MIN_AGE.as_millis()).unwrap_or(i64::MAX)
}

async fn pending(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let (rows, now) = (rows(deployment).await?, deployment.now());
    let late = rows.iter().filter(|row| is_late(row, now)).count();
    if manner.json {
        let pending: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "eventId": row.event_id, "event": row.detail_type, "orderingKey": row.ordering_key,
                    "ageMs": now - row.created_at,
                })
            })
            .collect();
        let oldest = rows.first().map(|row| now - row.created_at);
        print_json(&json!({ "pending": pending, "late": late, "oldestMs": oldest }))?;
    } else if rows.is_empty() {
        print("Every event is published.")?;
    } else {
        let lines: Vec<_> = rows
            .iter()
            .map(|row| {
                let waited = age(now - row.created_at);
                vec![row.event_id.clone(), waited, row.detail_type.clone(), row.ordering_key.clone()]
            })
            .collect();
        print(table(&["EVENT", "WAITS", "NAME", "KEY"], &lines))?;
        if late > 0 {
            print(format_args!(
                "\n{late} should be published by now: see why in /aws/lambda/{0}/relay-outbox and /aws/lambda/{0}/sweep-outbox, \
                 then `ops outbox republish`.",
                deployment.stack
            ))?;
        }
    }
    Ok(if late > 0 { Verdict::Attention } else { Verdict::Well })
}

/// The sweeper's own work, now: whatever it publishes twice is recognised by its id.
async fn republish(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let (rows, now) = (rows(deployment).await?, deployment.now());
    let late = rows.iter().filter(|row| is_late(row, now)).count();
    if manner.dry_run {
        if manner.json {
            print_json(&json!({ "would": late }))?;
        } else {
            print(format_args!("Would publish {late} events; nothing was done."))?;
        }
        return Ok(Verdict::Well);
    }
    confirm(manner, &format!("Publish {late} events that have waited for a minute or longer"))?;
    let report = deployment.invoke("sweep-outbox", &json!({})).await?;
    let count = |name: &str| report.pointer(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let left = count("/rows/left") + count("/unreadable");
    if manner.json {
        print_json(&report)?;
    } else {
        print(format_args!("{} published, {left} left.", count("/rows/published")))?;
    }
    Ok(if left > 0 { Verdict::Attention } else { Verdict::Well })
}
