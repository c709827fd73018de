//! A consumer of idempotency records, beside what is deployed: no function of the stack uses them yet.

use std::time::Duration;

use eda::Failure;
use eda::ambient::Ambient;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::Event;
use eda::idempotency::{Begun, Fenced, Idempotency, Record};
use eda::row::Table;
use eda::serve::{Function, StartError};
use envconfig::Envconfig;
use shop::events::OrderConfirmed;

/// Its resources, to be added to a template's.
pub const RESOURCES: &str = include_str!("receipts.yaml");

/// Its table.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One record per order.
    #[envconfig(from = "IDEMPOTENCY_TABLE")]
    pub records: Table<Record>,
}

/// Shorter than a call may take: what a lease must never be, and what fencing must survive.
const LEASE: Duration = Duration::from_secs(3);

/// Numbers a receipt for each confirmed order.
pub struct Receipts {
    records: Idempotency,
    ambient: Ambient,
}

impl Function for Receipts {
    const NAME: &'static str = "receipts";
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let records = Idempotency::new(aws.dynamodb(), config.records, aws.ambient(), LEASE, 395);
        Ok(Self { records, ambient: aws.ambient() })
    }
}

impl Consumer for Receipts {
    type Message = Event<OrderConfirmed>;

    async fn consume(&self, confirmed: Event<OrderConfirmed>) -> Result<(), Failure> {
        match self.records.begin(&confirmed.data.order_id).await? {
            Begun::Completed(_) => Ok(()),
            Begun::Held => Err(Failure::transient("someone else is at it")),
            Begun::Unknown => Err(Failure::permanent("nobody knows whether it went out")),
            Begun::Acquired(token) => {
                let receipt = self.ambient.new_id().to_string();
                match self.records.complete(&token, Some(&receipt)).await? {
                    Fenced::Kept => Ok(()),
                    Fenced::Lost => Err(Failure::transient("a successor is at it")),
                }
            }
        }
    }
}
