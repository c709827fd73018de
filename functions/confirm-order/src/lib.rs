//! Saga step: ends an order well.
//!
//! `AllStepsComplete` → `OrderConfirmed`

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::Event;
use eda::event_store::append_guessing;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use envconfig::Envconfig;
use shop::events::{AllStepsComplete, OrderConfirmed};
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

/// Confirms an order of which all steps are done.
pub struct ConfirmOrder {
    spine: Spine,
    config: Config,
}

impl Function for ConfirmOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

impl Consumer for ConfirmOrder {
    type Message = Event<AllStepsComplete>;

    async fn consume(&self, complete: Event<AllStepsComplete>) -> Result<(), Failure> {
        let cause = complete.cause();
        let AllStepsComplete { order_id, customer_id, .. } = complete.data;
        let confirmed = OrderConfirmed { order_id, customer_id };
        let appended = append_guessing(&self.spine, &self.config.event_store, &cause, &confirmed).await?;
        appended.or_else(|rejection| rejection.settle(Self::NAME))
    }
}
