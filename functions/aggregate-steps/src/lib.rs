//! Joins the steps of an order in whatever order they arrive; the last one says that all are done.
//!
//! `InventoryReserved`, `PaymentProcessed`, `OrderShipped` → `AllStepsComplete`
//!
//! The join waits until the order's deadline; expire-orders, which finds the orders that are past it, ends it then.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::Message as _;
use eda::join::{Arrival, JoinRow, Joined};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{AllStepsComplete, InventoryReserved, OrderShipped, PaymentProcessed};
use shop::saga::{INVENTORY, JOIN, PAYMENT, SHIPMENT, STEPS, deadline};

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: which steps are done.
    #[envconfig(from = "JOINS_TABLE")]
    pub joins: Table<JoinRow>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// Seconds that an order has.
    #[envconfig(from = "ORDER_DEADLINE_SECONDS")]
    pub deadline_seconds: u32,
}

/// Joins the steps of an order.
pub struct AggregateSteps {
    spine: Spine,
    config: Config,
}

impl Function for AggregateSteps {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

eda::one_of! {
    /// A step that is done.
    pub enum StepDone { InventoryReserved, PaymentProcessed, OrderShipped }
}

impl StepDone {
    fn part(&self) -> &'static str {
        match self {
            Self::InventoryReserved(_) => INVENTORY,
            Self::PaymentProcessed(_) => PAYMENT,
            Self::OrderShipped(_) => SHIPMENT,
        }
    }

    fn complete(&self) -> AllStepsComplete {
        let (order_id, customer_id) = match self {
            Self::InventoryReserved(reserved) => (&reserved.data.order_id, &reserved.data.customer_id),
            Self::PaymentProcessed(paid) => (&paid.data.order_id, &paid.data.customer_id),
            Self::OrderShipped(shipped) => (&shipped.data.order_id, &shipped.data.customer_id),
        };
        AllStepsComplete {
            order_id: order_id.clone(),
            customer_id: customer_id.clone(),
            steps: STEPS.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Consumer for AggregateSteps {
    type Message = StepDone;

    async fn consume(&self, done: StepDone) -> Result<(), Failure> {
        let complete = done.complete();
        let completion = self.spine.event(&done.cause(), &complete)?;
        let (metadata, now) = (done.metadata(), self.spine.ambient().now());
        let arrival = Arrival {
            join_id: &complete.order_id,
            part: done.part(),
            event_id: &metadata.event_id.to_string(),
            usually_last: matches!(done, StepDone::OrderShipped(_)),
            deadline: deadline(metadata.correlation_id, self.config.deadline_seconds, now),
        };
        match JOIN.arrive(&self.spine, &self.config.joins, arrival, &completion, KEEP_DAYS).await? {
            Joined::Waiting | Joined::Completed | Joined::Duplicate => {}
            Joined::TooLate => tracing::warn!("a step is done whose order is waited for no longer"),
        }
        Ok(())
    }
}
