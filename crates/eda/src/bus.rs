//! The bus: takes events by ten, often only in part, and is given again what it did not take.
//!
//! What has state of its own announces through the [outbox](crate::outbox). A function without any publishes here
//! itself, under an id that it derives from the cause ([`derived_id`]), so that a repetition is recognisable.

use std::time::Duration;

use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::DateTime;
use backon::{BackoffBuilder, ExponentialBuilder};
use uuid::Uuid;

use crate::Failure;
use crate::aws::Aws;
use crate::event::{Contract, Emission};
use crate::outbox::OutboxRow;

/// The most entries and bytes one `PutEvents` takes.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

/// Namespace of the ids of events that follow from others (UUIDv5).
const DERIVED: Uuid = Uuid::from_u128(0x2c1f_9a34_51d7_4b0e_8f43_9d1e_6a0b_7c55);

/// The id of the one event of this contract that follows from this cause: the same whenever it is derived.
#[must_use]
pub fn derived_id<T: Contract>(cause: &str) -> Uuid {
    Uuid::new_v5(&DERIVED, [T::SOURCE, "/", T::DETAIL_TYPE, "/", cause].concat().as_bytes())
}

/// A bus, by its name.
#[derive(Clone, Debug)]
pub struct Bus {
    eventbridge: aws_sdk_eventbridge::Client,
    name: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The bus took it.
    Taken,
    /// The bus did not take it this time.
    Again,
    /// The bus will never take it.
    Never,
}

impl Bus {
    /// The bus of this name.
    #[must_use]
    pub fn new(aws: &Aws, name: impl Into<String>) -> Self {
        Self { eventbridge: aws.eventbridge(), name: name.into() }
    }

    /// Publishes the events and says of each, in their order, whether the bus took it: ⌈n/10⌉ `PutEvents`, and more
    /// for what was not taken at first.
    ///
    /// Each result is an error, [`Failure`], transient or permanent, where the bus did not take the event.
    pub async fn publish(&self, events: &[Emission]) -> Vec<Result<(), Failure>> {
        let rows: Vec<_> = events.iter().map(|event| OutboxRow::of(event, event.event_time)).collect();
        let verdicts = self.put(&rows).await.into_iter().zip(events);
        let results = verdicts.map(|(verdict, event)| match verdict {
            Verdict::Taken => Ok(()),
            Verdict::Again => Err(Failure::transient(format!("the bus did not take {}", event.detail_type))),
            Verdict::Never => Err(Failure::permanent(format!("the bus refuses {}", event.detail_type))),
        });
        results.collect()
    }

    /// Puts the rows in as few calls as they fit, and says of each what became of it.
    pub(crate) async fn put(&self, rows: &[OutboxRow]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(rows.len());
        for chunk in chunks(rows) {
            verdicts.extend(self.put_chunk(chunk).await);
        }
        verdicts
    }

    /// Puts one chunk, and again what the bus did not take of it: `PutEvents` succeeds in part.
    async fn put_chunk(&self, rows: &[OutboxRow]) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Again; rows.len()];
        let mut open: Vec<_> = rows.iter().enumerate().collect();
        let mut pauses = pauses();
        loop {
            let results = match self.put_once(open.iter().map(|(_, row)| *row)).await {
                Ok(results) => results,
                Err(failure) => {
                    tracing::warn!(failure = failure.chain(), rows = open.len(), "the bus did not answer");
                    return verdicts;
                }
            };
            let mut again = Vec::new();
            for ((index, row), result) in open.into_iter().zip(results) {
                let verdict = match result.error_code() {
                    None => Verdict::Taken,
                    Some("ThrottlingException" | "InternalFailure" | "InternalException") => {
                        again.push((index, row));
                        Verdict::Again
                    }
                    Some(code) => {
                        tracing::error!(eventId = row.event_id, code, "the bus refused an event");
                        Verdict::Never
                    }
                };
                if let Some(slot) = verdicts.get_mut(index) {
                    *slot = verdict;
                }
            }
            open = again;
            match pauses.next() {
                Some(pause) if !open.is_empty() => tokio::time::sleep(pause).await,
                _ => return verdicts,
            }
        }
    }

    async fn put_once(
        &self,
        rows: impl Iterator<Item = &OutboxRow>,
    ) -> Result<Vec<PutEventsResultEntry>, Failure> {
        let entries = rows.map(|row| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(&row.source)
                .detail_type(&row.detail_type)
                .detail(&row.detail)
                .time(DateTime::from_millis(row.created_at))
                .set_trace_header(row.trace.clone())
                .build()
        });
        let sent = self.eventbridge.put_events().set_entries(Some(entries.collect())).send().await;
        let answer = sent.map_err(|error| Failure::transient("events could not be put").because(error))?;
        Ok(answer.entries.unwrap_or_default())
    }
}

/// The pauses before what was done only in part is done again.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(50))
        .with_max_times(3)
        .build()
}

/// Splits the rows so that each part fits one `PutEvents`.
fn chunks(mut rows: &[OutboxRow]) -> Vec<&[OutboxRow]> {
    let mut chunks = Vec::new();
    while !rows.is_empty() {
        let mut bytes = 0;
        let fitting = rows.iter().take(MAX_ENTRIES).take_while(|row| {
            bytes += entry_size(row);
            bytes <= MAX_BYTES
        });
        // What does not even fit alone is for the bus to refuse.
        let (chunk, rest) = rows.split_at(fitting.count().max(1));
        chunks.push(chunk);
        rows = rest;
    }
    chunks
}

/// How the bus counts an entry: 14 bytes for the time, and its strings as UTF-8.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>
fn entry_size(row: &OutboxRow) -> usize {
    14 + row.source.len() + row.detail_type.len() + row.detail.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(detail: usize) -> OutboxRow {
        OutboxRow {
            ordering_key: "k".into(),
            event_id: "e".into(),
            source: "s".into(),
            detail_type: "t".into(),
            detail: "x".repeat(detail),
            created_at: 0,
            group: None,
            counted: false,
            trace: None,
        }
    }

    fn sizes(rows: &[OutboxRow]) -> Vec<usize> {
        chunks(rows).into_iter().map(<[_]>::len).collect()
    }

    #[test]
    fn a_chunk_holds_at_most_ten_entries() {
        assert_eq!(sizes(&vec![row(1); 23]), [10, 10, 3]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn a_chunk_stays_below_the_size_limit_of_the_bus() {
        assert_eq!(sizes(&vec![row(100 * 1024); 5]), [2, 2, 1]);
        assert_eq!(sizes(&vec![row(300 * 1024); 2]), [1, 1], "what never fits takes nobody down");
    }
}
