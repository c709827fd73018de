//! Saga step: ends an order of which nothing was done, or everything is undone.
//!
//! `InventoryReservationFailed`, `InventoryReleased` → `OrderCancelled`

use eda::Failure;
use eda::aws::Aws;
use eda::event_store::append_guessing;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use envconfig::Envconfig;
use shop::events::{InventoryReleased, InventoryReservationFailed, OrderCancelled};
use shop::order::OrderHead;

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders; the head of each is the guard.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Cancels an order that holds nothing any more.
pub struct CancelOrder {
    spine: Spine,
    config: Config,
}

impl Function for CancelOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

eda::one_of! {
    /// Nothing is reserved for the order, and nothing will be.
    pub enum NothingReserved { InventoryReservationFailed, InventoryReleased }
}

impl SagaStep for CancelOrder {
    type Message = NothingReserved;

    async fn step(&self, ended: NothingReserved) -> Result<Stepped, Failure> {
        let cause = ended.cause();
        let (order_id, customer_id, reason) = match ended {
            NothingReserved::InventoryReservationFailed(failed) => {
                (failed.data.order_id, failed.data.customer_id, failed.data.reason)
            }
            NothingReserved::InventoryReleased(released) => {
                (released.data.order_id, released.data.customer_id, released.data.reason)
            }
        };
        let cancelled = OrderCancelled { order_id, customer_id, reason };
        let end = self.spine.event(&cause, &cancelled)?;
        match append_guessing(&self.spine, &self.config.event_store, &cancelled, &end).await? {
            Ok(()) => Ok(Stepped::Done(end)),
            Err(rejection) => rejection.settle(Self::NAME, end),
        }
    }
}
