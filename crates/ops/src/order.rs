//! `ops order`: the story of one order.

use eda::dead_letters::{FailedMessage, Selection};
use eda::event::SagaStyle;
use eda::event_store::{StoredEvent, load};
use eda::join::JoinRow;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::rows::Rows;
use eda::step::State as _;
use serde::Serialize;
use shop::order::{OrderHead, OrderStatus};
use shop::saga::JOIN;

use crate::Verdict;
use crate::cli::Manner;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::execution::{self, Execution};
use crate::outbox;
use crate::output::{age, exactly, moment, print, print_json, short};
use crate::saga::{Standings, traces};
use crate::steps::{Step, Traces, steps};

/// What is known of an order. Nothing in it points to a person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Story {
    order_id: String,
    status: &'static str,
    saga: SagaStyle,
    correlation_id: String,
    /// Epoch seconds; absent once the order has ended.
    deadline: Option<i64>,
    /// All that happened, in order, as far as rows and events remember it.
    steps: Vec<Step>,
    /// What the state machine did; absent in a choreographed saga.
    execution: Option<Execution>,
    reservation: Option<&'static str>,
    payment: Option<&'static str>,
    shipment: Option<&'static str>,
    /// Of its steps; absent where no join has begun.
    join: Option<Join>,
    /// Which function has the next step; absent once the order has ended.
    waits_for: Option<&'static str>,
    /// Names of events that wait to be published.
    unpublished: Vec<String>,
    failures: Vec<Failed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Join {
    /// `waiting`, `complete` or `timed_out`.
    status: &'static str,
    /// The steps of which nothing has been heard.
    missing: Vec<&'static str>,
}

impl From<&JoinRow> for Join {
    fn from(row: &JoinRow) -> Self {
        let status = match (row.completed_at, row.timed_out_at) {
            (Some(_), _) => "complete",
            (None, Some(_)) => "timed_out",
            (None, None) => "waiting",
        };
        Self { status, missing: JOIN.missing(|step| row.parts.contains_key(step)).collect() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    failure_id: String,
    status: &'static str,
    place: String,
    last_failed_at: i64,
    reason: String,
}

pub(crate) async fn run(deployment: &Deployment, manner: Manner, order_id: &str) -> Result<Verdict, Error> {
    let heads: Table<OrderHead> = deployment.table("EventStoreTable")?;
    let dynamodb = deployment.aws.dynamodb();
    let head = Rows::new(dynamodb.clone()).read(&heads, OrderHead::key(order_id)).await?;
    let head = head.ok_or_else(|| Error::NoOrder(order_id.to_owned()))?;
    let events = load(&dynamodb, &heads, order_id, 0).await?;
    let rows = traces(deployment, order_id).await?;
    let waiting = outbox::rows(deployment).await?;
    let failures = deployment.desk()?.select(&Selection::default()).await?;
    let mut story = told(&head, &events, &rows, &waiting, &failures);
    if story.saga == SagaStyle::Orchestrated {
        let placed_at = story.steps.first().and_then(|step| step.at);
        story.execution = Some(execution::of(deployment, order_id, placed_at).await?);
    }
    let given_up =
        head.status == OrderStatus::Open && story.execution.as_ref().is_some_and(Execution::gave_up);
    let attention = given_up || story.failures.iter().any(|failure| failure.status == "failed");
    if manner.json {
        print_json(&story)?;
    } else {
        print(in_words(&story, deployment.now()))?;
    }
    Ok(if attention { Verdict::Attention } else { Verdict::Well })
}

fn told(
    head: &OrderHead,
    events: &[StoredEvent],
    rows: &Traces,
    waiting: &[OutboxRow],
    failures: &[FailedMessage],
) -> Story {
    let order_id = &head.aggregate_id;
    let standings = Standings::from(rows);
    let correlation_id = head.correlation_id.to_string();
    let about = |row: &&FailedMessage| {
        let correlation = row.event.as_ref().and_then(|event| event.correlation_id.as_ref());
        correlation == Some(&correlation_id) || row.body.as_ref().is_some_and(|body| body.contains(order_id))
    };
    let failures = failures.iter().filter(about).map(|row| Failed {
        failure_id: row.failure_id.clone(),
        status: row.status.name(),
        place: row.place.clone(),
        last_failed_at: row.last_failed_at,
        reason: row.reason.clone(),
    });
    let unpublished = waiting.iter().filter(|row| row.ordering_key == *order_id);
    Story {
        status: head.status.name(),
        saga: execution::saga(events),
        deadline: head.deadline,
        steps: steps(events, rows),
        execution: None,
        reservation: standings.reservation.map(|state| state.name()),
        payment: standings.payment.map(|state| state.name()),
        shipment: standings.shipment.map(|state| state.name()),
        join: rows.join.as_ref().map(Join::from),
        waits_for: head.deadline.map(|_| standings.waits_for()),
        unpublished: unpublished.map(|row| row.detail_type.clone()).collect(),
        failures: failures.collect(),
        order_id: order_id.clone(),
        correlation_id,
    }
}

fn in_words(story: &Story, now: i64) -> String {
    let mut lines = vec![
        format!("order        {}", story.order_id),
        format!("status       {}", story.status),
        format!("saga         {}", story.saga.name()),
        format!("story        {} (correlation id: search the logs for it)", story.correlation_id),
        format!("reservation  {}", story.reservation.unwrap_or("none")),
        format!("payment      {}", story.payment.unwrap_or("none")),
        format!("shipment     {}", story.shipment.unwrap_or("none")),
    ];
    if let Some(Join { status, missing }) = &story.join {
        let without =
            if missing.is_empty() { String::new() } else { format!(", without {}", missing.join(", ")) };
        lines.push(format!("join         {status}{without}"));
    }
    if let (Some(function), Some(deadline)) = (story.waits_for, story.deadline) {
        let left = deadline * 1_000 - now;
        let due =
            if left > 0 { format!("due in {}", age(left)) } else { format!("overdue for {}", age(-left)) };
        lines.push(format!("waits for    {function}, {due}"));
    }
    lines.push("\nsteps".to_owned());
    for step in &story.steps {
        let at = step.at.map_or_else(|| "?".to_owned(), exactly);
        let after = step.after_ms.map_or_else(String::new, |after| format!("+{after} ms"));
        lines.push(format!("  {at:24}  {after:>10}  {:26}  {}", step.event, step.by.unwrap_or("–")));
    }
    let first_and_last = story.steps.first().zip(story.steps.last());
    if let Some((first, last)) = first_and_last.and_then(|(first, last)| first.at.zip(last.at)) {
        lines.push(format!("  {} ms in all", last - first));
    }
    if let Some(execution) = &story.execution {
        lines.push(format!("\n{}", execution.in_words()));
    }
    for event in &story.unpublished {
        lines.push(format!("\n{event} waits to be published: see `ops outbox pending`."));
    }
    for failure in &story.failures {
        lines.push(format!(
            "\nfailed in {} at {} ({}): {}\n  `ops failed show {}`",
            failure.place,
            moment(failure.last_failed_at),
            failure.status,
            short(&failure.reason, 120),
            failure.failure_id
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_that_has_timed_out_tells_which_steps_it_lacks() {
        let row = serde_json::json!({ "joinId": "o1", "inventory": "e1", "deadline": 1, "timedOutAt": 1 });
        let join = Join::from(&serde_json::from_value(row).unwrap());
        assert_eq!((join.status, join.missing), ("timed_out", vec!["payment", "shipment"]));
    }
}
