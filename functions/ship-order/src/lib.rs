//! Saga step: books the shipment. The pivot: before it everything can be undone, after it there is only forward.
//!
//! `PaymentProcessed` → `OrderShipped` | `ShipmentFailed`

use eda::Failure;
use eda::aws::Aws;
use eda::event::{Emission, Event};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::transition::{Outcome, Transition};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{OrderShipped, PaymentProcessed, ShipmentFailed};
use shop::saga::{Refused, reason};
use shop::shipment::{Shipment, ShipmentState, accept, shipment_id};

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: the guard, and the pivot.
    #[envconfig(from = "SHIPMENTS_TABLE")]
    pub shipments: Table<Shipment>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Books the shipment of a paid order, or closes it for good.
pub struct ShipOrder {
    spine: Spine,
    config: Config,
}

impl Function for ShipOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

impl SagaStep for ShipOrder {
    type Message = Event<PaymentProcessed>;

    async fn step(&self, paid: Event<PaymentProcessed>) -> Result<Stepped, Failure> {
        match accept(paid.data.shipping_address.as_ref()) {
            Ok(_) => self.ship(&paid).await,
            Err(reason) => self.close(&paid, reason).await,
        }
    }
}

impl ShipOrder {
    async fn ship(&self, paid: &Event<PaymentProcessed>) -> Result<Stepped, Failure> {
        let order_id = &paid.data.order_id;
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard = Shipment::ship(&self.config.shipments, order_id, &shipment_id(order_id), expires_at)?;
        let shipped = self.shipped(paid)?;
        match self.spine.commit(Transition::guarded_by(guard).emit(shipped.clone())).await? {
            Outcome::Applied => Ok(Stepped::Done(shipped)),
            Outcome::Duplicate(row) => self.standing(paid, row),
        }
    }

    async fn close(&self, paid: &Event<PaymentProcessed>, reason: &'static str) -> Result<Stepped, Failure> {
        let failed = ShipmentFailed {
            order_id: paid.data.order_id.clone(),
            customer_id: paid.data.customer_id.clone(),
            reason: reason.to_owned(),
        };
        tracing::info!(reason, "shipment refused");
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard = Shipment::close(&self.config.shipments, &failed.order_id, reason, expires_at)?;
        let failed = self.spine.event(&paid.cause(), &failed)?;
        match self.spine.commit(Transition::guarded_by(guard).emit(failed)).await? {
            Outcome::Applied => Ok(Refused::Shipment.because(reason)),
            Outcome::Duplicate(row) => self.standing(paid, row),
        }
    }

    /// Whoever came first decided it for good: this step, or the order's expiry.
    fn standing(&self, paid: &Event<PaymentProcessed>, row: Option<Shipment>) -> Result<Stepped, Failure> {
        let row = row.ok_or_else(|| Failure::transient("the shipment was refused by no row"))?;
        match row.status {
            ShipmentState::Shipped => Ok(Stepped::Done(self.shipped(paid)?)),
            ShipmentState::Closed => {
                Ok(Refused::Shipment.because(row.reason.unwrap_or_else(|| reason::EXPIRED.to_owned())))
            }
        }
    }

    fn shipped(&self, paid: &Event<PaymentProcessed>) -> Result<Emission, Failure> {
        let shipped = OrderShipped {
            order_id: paid.data.order_id.clone(),
            customer_id: paid.data.customer_id.clone(),
            shipment_id: shipment_id(&paid.data.order_id),
        };
        self.spine.event(&paid.cause(), &shipped)
    }
}
