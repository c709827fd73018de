use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::{OutboxRow, Published, Publisher};
use crate::Failure;
use crate::batch::Deadline;
use crate::row::{Row, from_item};

/// Rows younger than this are the relay's.
pub const MIN_AGE: Duration = Duration::from_secs(60);

/// What a sweep found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// What became of the old rows.
    pub rows: Published,
    /// Rows that nobody can read; they stay.
    pub unreadable: u64,
    /// Age of the oldest row found, in milliseconds.
    pub oldest_ms: u64,
    /// Whether the deadline ended the sweep before the table did.
    pub cut_short: bool,
}

impl Publisher {
    /// Publishes what stayed in the outbox: what the bus refused, and what the stream lost after its 24 hours. Scans
    /// the table, which is nearly empty while all is well, for rows older than [`MIN_AGE`].
    ///
    /// # Errors
    /// [`Failure`] (transient) where the table cannot be read.
    pub async fn sweep(&self, deadline: Deadline) -> Result<Swept, Failure> {
        let now = self.ambient.now();
        let mut swept = Swept::default();
        let limit = now.as_millisecond() - i64::try_from(MIN_AGE.as_millis()).unwrap_or(i64::MAX);
        let mut from = None;
        loop {
            let page = self
                .dynamodb
                .scan()
                .table_name(self.config.outbox.name())
                .filter_expression("#createdAt <= :limit")
                .expression_attribute_names("#createdAt", "createdAt")
                .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()))
                .set_exclusive_start_key(from.take())
                .send()
                .await
                .map_err(|error| Failure::transient("the outbox could not be read").because(error))?;
            let mut rows = Vec::new();
            for item in page.items.unwrap_or_default() {
                match from_item::<OutboxRow>(item) {
                    Ok(row) => rows.push(row),
                    Err(failure) => {
                        swept.unreadable += 1;
                        tracing::error!(row = OutboxRow::NAME, %failure, "a row stays in the outbox");
                    }
                }
            }
            let ages = rows
                .iter()
                .map(|row| u64::try_from(now.as_millisecond() - row.created_at).unwrap_or_default());
            swept.oldest_ms = ages.fold(swept.oldest_ms, u64::max);
            let done = self.publish(rows).await;
            swept.rows.published += done.published;
            swept.rows.left += done.left;
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(swept);
            }
            if deadline.passed() {
                swept.cut_short = true;
                return Ok(swept);
            }
        }
    }
}
