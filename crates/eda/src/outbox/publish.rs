use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use envconfig::Envconfig;
use serde::Serialize;

use super::OutboxRow;
use super::channels::Channels;
use crate::Failure;
use crate::ambient::Ambient;
use crate::aws::Aws;
use crate::bus::{Bus, Verdict, pauses};
use crate::row::Table;

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
    /// URL of the FIFO queue that carries events in order, where there is one.
    #[envconfig(from = "ORDERED_QUEUE_URL")]
    pub ordered_queue: Option<String>,
    /// Name of the stream that carries what is counted, where there is one.
    #[envconfig(from = "FACTS_STREAM_NAME")]
    pub facts_stream: Option<String>,
}

/// Publishes outbox rows, on the ordered channels and then on the bus, and then deletes them.
#[derive(Clone)]
pub struct Publisher {
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    channels: Channels,
    bus: Bus,
    pub(super) config: PublisherConfig,
    pub(super) ambient: Ambient,
}

/// What became of a batch of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Rows that all their channels took.
    pub published: u64,
    /// Rows that stay for the sweeper.
    pub left: u64,
}

impl Publisher {
    /// Publishes from this outbox to this bus.
    #[must_use]
    pub fn new(aws: &Aws, config: PublisherConfig) -> Self {
        let bus = Bus::new(aws, &config.bus);
        let channels = Channels::new(aws, &config);
        Self { dynamodb: aws.dynamodb(), channels, bus, config, ambient: aws.ambient() }
    }

    /// Publishes the rows and deletes those that all their channels took. What was not taken, or not deleted, stays:
    /// publishing it again is harmless, losing it is not.
    ///
    /// The ordered channels come first: nothing can follow from an event before the bus has it, so what follows from it
    /// comes behind it there too.
    pub async fn publish(&self, rows: Vec<OutboxRow>) -> Published {
        let total = rows.len();
        let ready = self.channels.send(&rows).await;
        let rows: Vec<_> =
            rows.into_iter().zip(ready).filter_map(|(row, ready)| ready.then_some(row)).collect();
        let verdicts = self.bus.put(&rows).await;
        let taken = rows.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Taken);
        let taken: Vec<_> = taken.map(|(row, _)| row).collect();
        self.delete(&taken).await;
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        Published { published: count(taken.len()), left: count(total - taken.len()) }
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
