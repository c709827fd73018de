use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::DateTime;
use backon::{BackoffBuilder, ExponentialBuilder};
use envconfig::Envconfig;
use serde::Serialize;

use super::OutboxRow;
use crate::Failure;
use crate::ambient::Ambient;
use crate::aws::Aws;
use crate::row::Table;

/// The most entries and bytes one `PutEvents` takes.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

/// The most requests one `BatchWriteItem` takes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const MAX_DELETES: usize = 25;

/// Where events wait, and where they go.
#[derive(Clone, Debug, Envconfig)]
pub struct PublisherConfig {
    /// The outbox.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// The bus.
    #[envconfig(from = "EVENT_BUS_NAME")]
    pub bus: String,
}

/// Publishes outbox rows to the bus and then deletes them.
#[derive(Clone)]
pub struct Publisher {
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    pub(super) config: PublisherConfig,
    pub(super) ambient: Ambient,
}

/// What became of a batch of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Rows that the bus took.
    pub published: u64,
    /// Rows that stay for the sweeper.
    pub left: u64,
}

impl Publisher {
    /// Publishes from this outbox to this bus.
    #[must_use]
    pub fn new(aws: &Aws, config: PublisherConfig) -> Self {
        Self { dynamodb: aws.dynamodb(), eventbridge: aws.eventbridge(), config, ambient: aws.ambient() }
    }

    /// Publishes the rows and deletes those that the bus took. What was not taken, or not deleted, stays: publishing
    /// it again is harmless, losing it is not.
    pub async fn publish(&self, rows: Vec<OutboxRow>) -> Published {
        let total = rows.len();
        let mut taken = Vec::with_capacity(total);
        for chunk in chunks(rows) {
            taken.extend(self.put(chunk).await);
        }
        self.delete(&taken).await;
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        Published { published: count(taken.len()), left: count(total - taken.len()) }
    }

    /// Puts one chunk, and again what the bus did not take of it: `PutEvents` succeeds in part.
    async fn put(&self, mut rows: Vec<OutboxRow>) -> Vec<OutboxRow> {
        let mut taken = Vec::with_capacity(rows.len());
        let mut pauses = pauses();
        loop {
            let results = match self.put_once(&rows).await {
                Ok(results) => results,
                Err(failure) => {
                    tracing::warn!(failure = failure.chain(), rows = rows.len(), "the bus did not answer");
                    return taken;
                }
            };
            let mut refused = Vec::new();
            let mut hopeless = 0_usize;
            for (row, result) in rows.into_iter().zip(results) {
                match result.error_code() {
                    None => taken.push(row),
                    Some("ThrottlingException" | "InternalFailure" | "InternalException") => {
                        refused.push(row)
                    }
                    Some(code) => {
                        hopeless += 1;
                        tracing::error!(eventId = row.event_id, code, "the bus refused an event");
                    }
                }
            }
            if refused.is_empty() {
                return taken;
            }
            let Some(pause) = pauses.next() else {
                tracing::warn!(rows = refused.len() + hopeless, "events stay for the sweeper");
                return taken;
            };
            tokio::time::sleep(pause).await;
            rows = refused;
        }
    }

    async fn put_once(&self, rows: &[OutboxRow]) -> Result<Vec<PutEventsResultEntry>, Failure> {
        let entries = rows.iter().map(|row| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.config.bus)
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

    async fn delete(&self, rows: &[OutboxRow]) {
        for chunk in rows.chunks(MAX_DELETES) {
            if let Err(failure) = self.delete_chunk(chunk).await {
                tracing::warn!(
                    failure = failure.chain(),
                    rows = chunk.len(),
                    "published events stay in the outbox"
                );
            }
        }
    }

    async fn delete_chunk(&self, rows: &[OutboxRow]) -> Result<(), Failure> {
        let undeletable = |error| Failure::permanent("an outbox row has no key").because(error);
        let requests = rows.iter().map(|row| {
            let delete = DeleteRequest::builder().set_key(Some(row.key().attributes)).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        });
        let mut requests = requests.collect::<Result<Vec<_>, _>>().map_err(undeletable)?;
        let mut pauses = pauses();
        loop {
            let sent = self
                .dynamodb
                .batch_write_item()
                .request_items(self.config.outbox.name(), requests)
                .send()
                .await;
            let answer =
                sent.map_err(|error| Failure::transient("rows could not be deleted").because(error))?;
            let unprocessed = answer.unprocessed_items.unwrap_or_default().into_values().flatten();
            requests = unprocessed.collect();
            if requests.is_empty() {
                return Ok(());
            }
            let Some(pause) = pauses.next() else {
                return Err(Failure::transient("rows were left undeleted"));
            };
            tokio::time::sleep(pause).await;
        }
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(50))
        .with_max_times(3)
        .build()
}

/// Splits the rows so that each part fits one `PutEvents`.
fn chunks(rows: Vec<OutboxRow>) -> Vec<Vec<OutboxRow>> {
    let mut chunks: Vec<Vec<OutboxRow>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let size = entry_size(&row);
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_ENTRIES && bytes + size <= MAX_BYTES => {
                bytes += size;
                chunk.push(row);
            }
            _ => {
                bytes = size;
                chunks.push(vec![row]);
            }
        }
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
            trace: None,
        }
    }

    #[test]
    fn a_chunk_holds_at_most_ten_entries() {
        let sizes: Vec<_> = chunks(vec![row(1); 23]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 10, 3]);
    }

    #[test]
    fn a_chunk_stays_below_the_size_limit_of_the_bus() {
        let sizes: Vec<_> = chunks(vec![row(100 * 1024); 5]).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
