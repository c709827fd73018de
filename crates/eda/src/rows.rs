//! Single rows, read and conditionally written, for functions that announce nothing.

use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::Failure;
use crate::bus::pauses;
use crate::row::{Item, Key, Row, Table, from_item};
use crate::spine::{Reading, read_row, write_row, write_rows};
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

    /// Reads the rows of these partition keys, as they were moments ago: ⌈n/100⌉ `BatchGetItem`, and more for what was
    /// left unprocessed.
    ///
    /// # Errors
    /// [`Failure`] (transient) where DynamoDB did not answer for all of them.
    pub async fn read_many<R: Row>(
        &self,
        table: &Table<R>,
        partitions: BTreeSet<impl Into<String>>,
    ) -> Result<Found<R>, Failure> {
        let keys: Vec<Item> = partitions.into_iter().map(|key| Key::<R>::of(key).attributes).collect();
        let mut found = Found { items: HashMap::with_capacity(keys.len()), row: PhantomData };
        for chunk in keys.chunks(MAX_KEYS) {
            let mut open = chunk.to_vec();
            let mut pauses = pauses();
            loop {
                open = self.read_once(table, open, &mut found).await?;
                if open.is_empty() {
                    break;
                }
                let Some(pause) = pauses.next() else {
                    return Err(Failure::transient(format!("some rows ({}) were left unread", R::NAME)));
                };
                tokio::time::sleep(pause).await;
            }
        }
        Ok(found)
    }

    /// Reads some rows, and gives the keys that were left unprocessed.
    async fn read_once<R: Row>(
        &self,
        table: &Table<R>,
        keys: Vec<Item>,
        found: &mut Found<R>,
    ) -> Result<Vec<Item>, Failure> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).build();
        let wanted =
            wanted.map_err(|error| Failure::permanent("there are no keys to read").because(error))?;
        let sent = self.dynamodb.batch_get_item().request_items(table.name(), wanted).send().await;
        let answer = sent.map_err(|error| {
            Failure::transient(format!("rows ({}) could not be read", R::NAME)).because(error)
        })?;
        for item in answer.responses.unwrap_or_default().into_values().flatten() {
            if let Some(AttributeValue::S(key)) = item.get(R::PARTITION_KEY) {
                found.items.insert(key.clone(), item);
            }
        }
        let left = answer.unprocessed_keys.unwrap_or_default().into_values();
        Ok(left.flat_map(|left| left.keys).collect())
    }

    /// Writes one row conditionally.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide; permanent where the write can never be sent.
    pub async fn write<R: Row>(&self, write: ConditionalWrite<R>) -> Result<Written<R>, Failure> {
        write_row(&self.dynamodb, write).await
    }

    /// Writes rows all together, each under its condition, or none of them, and tells which it was: one
    /// `TransactWriteItems`, at twice the price of single writes.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide; permanent where the writes can never be sent.
    pub async fn write_together<R: Row>(&self, writes: Vec<ConditionalWrite<R>>) -> Result<bool, Failure> {
        write_rows(&self.dynamodb, writes).await
    }
}

/// The most keys one `BatchGetItem` takes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MAX_KEYS: usize = 100;

/// Rows by their partition keys, as far as there are any.
#[derive(Debug)]
pub struct Found<R> {
    items: HashMap<String, Item>,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Found<R> {
    /// The row of this key, if there is one.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row is unreadable; the others are not concerned.
    pub fn get(&self, partition: &str) -> Result<Option<R>, Failure> {
        self.items.get(partition).cloned().map(from_item).transpose()
    }
}
