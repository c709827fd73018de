//! Single rows, read and conditionally written, for functions that announce nothing.

use aws_sdk_dynamodb::Client;

use crate::Failure;
use crate::row::{Key, Row, Table};
use crate::spine::{Reading, read_row, write_row};
use crate::transition::Written;
use crate::write::ConditionalWrite;

/// Reads and conditionally writes single rows. A change that must be announced goes through a
/// [`Spine`](crate::spine::Spine).
#[derive(Clone)]
pub struct Rows {
    dynamodb: Client,
}

impl Rows {
    /// Over this client.
    #[must_use]
    pub fn new(dynamodb: Client) -> Self {
        Self { dynamodb }
    }

    /// Reads one row, strongly consistent.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; permanent where the row is unreadable.
    pub async fn read<R: Row>(&self, table: &Table<R>, key: Key<R>) -> Result<Option<R>, Failure> {
        read_row(&self.dynamodb, table, key, Reading::Consistent).await
    }

    /// Reads one row as it was moments ago, at half the price of [`Rows::read`].
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; permanent where the row is unreadable.
    pub async fn read_eventually<R: Row>(&self, table: &Table<R>, key: Key<R>) -> Result<Option<R>, Failure> {
        read_row(&self.dynamodb, table, key, Reading::Eventual).await
    }

    /// Writes one row conditionally.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide; permanent where the write can never be sent.
    pub async fn write<R: Row>(&self, write: ConditionalWrite<R>) -> Result<Written<R>, Failure> {
        write_row(&self.dynamodb, write).await
    }
}
