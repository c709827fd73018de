use super::{OutboxRow, Published, Publisher};

/// Follows the outbox's stream: publishes each new row and deletes it.
///
/// A row that cannot be published stays in the table for the sweeper, so it never blocks the shard.
#[derive(Clone)]
pub struct Relay(Publisher);

impl Relay {
    /// A relay that publishes with this publisher.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        Self(publisher)
    }

    /// Publishes a batch of new rows.
    pub async fn relay(&self, rows: Vec<OutboxRow>) -> Published {
        self.0.publish(rows).await
    }
}
