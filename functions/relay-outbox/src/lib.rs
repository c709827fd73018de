//! Publishes what transitions announced: follows the outbox's stream, puts each new row on the bus, then deletes it.

use eda::aws::Aws;
use eda::batch::{Deadline, FailedAt, StreamConsumer};
use eda::outbox::{OutboxRow, Publisher, PublisherConfig};
use eda::serve::{Function, StartError};

/// Publishes new outbox rows.
pub struct RelayOutbox(Publisher);

impl Function for RelayOutbox {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = PublisherConfig;

    async fn start(aws: &Aws, config: PublisherConfig) -> Result<Self, StartError> {
        Ok(Self(Publisher::new(aws, config)))
    }
}

impl StreamConsumer for RelayOutbox {
    type Image = OutboxRow;

    /// Never fails: a row that cannot be published stays in its table for the sweeper and must not block the shard.
    async fn consume(&self, rows: Vec<OutboxRow>, _deadline: Deadline) -> Result<(), FailedAt> {
        let done = self.0.publish(rows).await;
        if done.left > 0 {
            tracing::warn!(left = done.left, "rows stay for the sweeper");
        }
        Ok(())
    }
}
