//! Fenced idempotency records, for an effect outside DynamoDB that has no row of ours to decide by.
//!
//! Every completion and every release is conditional on the owner's token, so a zombie can neither overwrite nor
//! unlock its successor. A partner that knows no idempotency key cannot be called exactly once: the record is marked
//! [`sending`](Idempotency::sending) just before the call, and one found so is for a human, never sent again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::ambient::Ambient;
use crate::row::{Key, Row, Table};
use crate::spine::write_row;
use crate::states;
use crate::step::State;
use crate::transition::Written;
use crate::write::{Condition, ConditionalWrite, STATUS};

states! {
    /// How far the work of a record has come.
    pub enum Progress {
        /// Someone holds the lease; nothing has left the house.
        Working = "working",
        /// The call is going out, or went out; its outcome may be unknown.
        Sending = "sending",
        /// Done; the result is kept.
        Completed = "completed",
    }
}

/// One piece of work, by its business identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Business identity of the work, never of a delivery.
    pub idempotency_key: String,
    /// How far it has come.
    pub status: Progress,
    /// Who holds it.
    pub owner: String,
    /// Epoch milliseconds when the lease ends.
    pub leased_until: i64,
    /// What it resulted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Epoch seconds after which the record may go.
    pub expires_at: i64,
}

impl Row for Record {
    const NAME: &'static str = "idempotency record";
    const PARTITION_KEY: &'static str = "idempotencyKey";
}

/// The right to do a piece of work, while the lease lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    key: String,
    owner: String,
}

/// Whether the work is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Do it, with this token.
    Acquired(Token),
    /// It is done; this was the result.
    Completed(Option<String>),
    /// Someone else is at it: try later.
    Held,
    /// It was being sent when its worker vanished: nobody can know whether it went out.
    Unknown,
}

/// Whether a token still counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It did; the record is changed.
    Kept,
    /// A successor holds the record; nothing changed.
    Lost,
}

/// Keeps idempotency records.
#[derive(Clone)]
pub struct Idempotency {
    dynamodb: aws_sdk_dynamodb::Client,
    table: Table<Record>,
    ambient: Ambient,
    lease: Duration,
    keep_days: i64,
}

impl Idempotency {
    /// Records in this table; a lease lasts `lease`, which is longer than the function's timeout.
    #[must_use]
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        table: Table<Record>,
        ambient: Ambient,
        lease: Duration,
        keep_days: i64,
    ) -> Self {
        Self { dynamodb, table, ambient, lease, keep_days }
    }

    fn now_ms(&self) -> i64 {
        self.ambient.now().as_millisecond()
    }

    /// Asks for the work. One conditional write, whether it is granted or not.
    ///
    /// # Errors
    /// [`Failure`] where DynamoDB could not decide.
    pub async fn begin(&self, key: &str) -> Result<Begun, Failure> {
        let now = self.now_ms();
        let owner = self.ambient.new_id().to_string();
        let record = Record {
            idempotency_key: key.to_owned(),
            status: Progress::Working,
            owner: owner.clone(),
            leased_until: now.saturating_add(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)),
            result: None,
            expires_at: self.ambient.expires_in_days(self.keep_days),
        };
        let abandoned =
            Condition::equals(STATUS, Progress::Working.name()).and(Condition::at_most("leasedUntil", now));
        let free = Condition::Any(vec![Condition::absent(Record::PARTITION_KEY), abandoned]);
        match write_row(&self.dynamodb, self.table.put(&record)?.only_if(free)).await? {
            Written::Applied(_) => Ok(Begun::Acquired(Token { key: key.to_owned(), owner })),
            Written::Refused(Some(held)) => Ok(match held.status {
                Progress::Completed => Begun::Completed(held.result),
                Progress::Sending if held.leased_until <= now => Begun::Unknown,
                Progress::Working | Progress::Sending => Begun::Held,
            }),
            Written::Refused(None) => Ok(Begun::Held),
        }
    }

    fn owned(&self, token: &Token, to: Progress, from: &[Progress]) -> ConditionalWrite<Record> {
        let standing: Vec<_> = from.iter().copied().map(Some).collect();
        let write = self.table.update(Key::of(&token.key)).set(STATUS, to.name());
        write.standing(&standing).and(Condition::equals("owner", token.owner.as_str()))
    }

    async fn fenced(&self, write: ConditionalWrite<Record>) -> Result<Fenced, Failure> {
        Ok(match write_row(&self.dynamodb, write).await? {
            Written::Applied(_) => Fenced::Kept,
            Written::Refused(_) => Fenced::Lost,
        })
    }

    /// Marks the record before a call that cannot be repeated. On [`Fenced::Lost`] the call must not be made.
    ///
    /// # Errors
    /// [`Failure`] where DynamoDB could not decide: then the call must not be made either.
    pub async fn sending(&self, token: &Token) -> Result<Fenced, Failure> {
        self.fenced(self.owned(token, Progress::Sending, &[Progress::Working])).await
    }

    /// Records that the work is done.
    ///
    /// # Errors
    /// [`Failure`] where DynamoDB could not decide.
    pub async fn complete(&self, token: &Token, result: Option<&str>) -> Result<Fenced, Failure> {
        let mut write = self.owned(token, Progress::Completed, &[Progress::Working, Progress::Sending]);
        if let Some(result) = result {
            write.write = write.write.set("result", result);
        }
        self.fenced(write).await
    }

    /// Gives the work back, after a failure that certainly had no effect.
    ///
    /// # Errors
    /// [`Failure`] where DynamoDB could not decide.
    pub async fn release(&self, token: &Token) -> Result<Fenced, Failure> {
        let mut write = self.owned(token, Progress::Working, &[Progress::Working, Progress::Sending]);
        write.write = write.write.set("leasedUntil", 0_i64);
        self.fenced(write).await
    }
}
