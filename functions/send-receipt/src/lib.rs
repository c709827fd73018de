//! Mails the receipt of an order, once.
//!
//! `OrderEnriched`, cut down by the rule's input transformer → a mail
//!
//! SES knows no idempotency token, so exactly once cannot be had. What can: a fenced record per order, marked just before
//! the mail goes out. A failure that certainly sent nothing gives the record back; after any other the record stays as it is,
//! and everyone who finds it so fails: the event goes to the failure destination, where a human decides.

mod mail;

use std::time::Duration;

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::event::wire::{Id, Text, UniqueId};
use eda::idempotency::{Begun, Fenced, Idempotency, Record, Token};
use eda::row::Table;
use eda::serve::{Function, StartError, Task};
use envconfig::Envconfig;
use serde::{Deserialize, Serialize};
use shop::KEEP_DAYS;
use uuid::Uuid;

use crate::mail::{Mailer, Sent};

/// Who sends, and what is remembered of it.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One record per order.
    #[envconfig(from = "IDEMPOTENCY_TABLE")]
    pub records: Table<Record>,
    /// The address that mails come from.
    #[envconfig(from = "RECEIPT_SENDER")]
    pub sender: String,
    /// How long an invocation may take.
    #[envconfig(from = "FUNCTION_TIMEOUT_SECONDS")]
    pub timeout_seconds: u32,
}

/// What the rule's input transformer leaves of an enriched order. No `Debug`: it holds personal data.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Where the mail goes.
    #[serde(with = "Text")]
    pub customer_email: String,
    /// What the order costs, with its currency.
    #[serde(with = "Text")]
    pub amount: String,
    /// The event that this was cut from.
    #[serde(with = "UniqueId")]
    pub event_id: Uuid,
}

/// What an invocation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether the mail was sent by this invocation; else it had been before.
    pub sent: bool,
}

/// Sends receipts.
pub struct SendReceipt {
    records: Idempotency,
    mailer: Mailer,
}

/// A lease ends this much later than the invocation that holds it.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

impl Function for SendReceipt {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let lease = Duration::from_secs(config.timeout_seconds.into()) + LEASE_MARGIN;
        let records = Idempotency::new(aws.dynamodb(), config.records, aws.ambient(), lease, KEEP_DAYS);
        Ok(Self { records, mailer: Mailer::new(aws, config.sender)? })
    }
}

impl Task for SendReceipt {
    type Input = Receipt;
    type Report = Report;

    async fn run(&self, receipt: Receipt, _deadline: Deadline) -> Result<Report, Failure> {
        let order_id = receipt.order_id.as_str();
        match self.records.begin(&format!("receipt#{order_id}")).await? {
            Begun::Completed(_) => Ok(Report { sent: false }),
            Begun::Held => Err(Failure::transient(format!("someone else is at the receipt of {order_id}"))),
            Begun::Unknown => Err(Failure::permanent(format!(
                "nobody knows whether the receipt of {order_id} went out: a human decides"
            ))),
            Begun::Acquired(token) => self.send(&token, &receipt).await,
        }
    }
}

impl SendReceipt {
    async fn send(&self, token: &Token, receipt: &Receipt) -> Result<Report, Failure> {
        let order_id = receipt.order_id.as_str();
        if self.records.sending(token).await? == Fenced::Lost {
            return Err(Failure::transient(format!("someone else is at the receipt of {order_id} now")));
        }
        match self.mailer.send(receipt).await {
            Sent::Taken(message_id) => {
                self.records.complete(token, message_id.as_deref()).await?;
                tracing::info!(orderId = order_id, eventId = %receipt.event_id, "receipt sent");
                Ok(Report { sent: true })
            }
            Sent::Refused(failure) => {
                self.records.release(token).await?;
                Err(failure)
            }
            Sent::Unknown(failure) => Err(failure),
        }
    }
}
