//! Saga step: ends an order well.
//!
//! `AllStepsComplete` → `OrderConfirmed`
//!
//! An orchestrator takes the steps one after another: there the shipment, which comes last, says that all are done.

use eda::Failure;
use eda::aws::Aws;
use eda::event_store::append_guessing;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use envconfig::Envconfig;
use shop::events::{AllStepsComplete, OrderConfirmed, OrderShipped};
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

eda::one_of! {
    /// All steps of the order are done.
    pub enum AllDone { AllStepsComplete, OrderShipped }
}

impl SagaStep for ConfirmOrder {
    type Message = AllDone;

    async fn step(&self, done: AllDone) -> Result<Stepped, Failure> {
        let cause = done.cause();
        let (order_id, customer_id) = match done {
            AllDone::AllStepsComplete(complete) => (complete.data.order_id, complete.data.customer_id),
            AllDone::OrderShipped(shipped) => (shipped.data.order_id, shipped.data.customer_id),
        };
        let confirmed = OrderConfirmed { order_id, customer_id };
        let end = self.spine.event(&cause, &confirmed)?;
        match append_guessing(&self.spine, &self.config.event_store, &confirmed, &end).await? {
            Ok(()) => Ok(Stepped::Done(end)),
            Err(rejection) => rejection.settle(Self::NAME, end),
        }
    }
}
