//! Saga step: books the shipment. The pivot: before it everything can be undone, after it there is only forward.
//!
//! `PaymentProcessed` → `OrderShipped` | `ShipmentFailed`

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::Event;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::transition::{Outcome, Transition};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{OrderShipped, PaymentProcessed, ShipmentFailed};
use shop::shipment::{Shipment, accept, shipment_id};

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

impl Consumer for ShipOrder {
    type Message = Event<PaymentProcessed>;

    async fn consume(&self, paid: Event<PaymentProcessed>) -> Result<(), Failure> {
        let transition = match accept(paid.data.shipping_address.as_ref()) {
            Ok(_) => self.ship(&paid)?,
            Err(reason) => self.close(&paid, reason)?,
        };
        match self.spine.commit(transition).await? {
            // Whoever came first decided it for good: this step, or the order's expiry.
            Outcome::Applied | Outcome::Duplicate(_) => Ok(()),
        }
    }
}

impl ShipOrder {
    fn ship(&self, paid: &Event<PaymentProcessed>) -> Result<Transition<Shipment>, Failure> {
        let shipped = OrderShipped {
            order_id: paid.data.order_id.clone(),
            customer_id: paid.data.customer_id.clone(),
            shipment_id: shipment_id(&paid.data.order_id),
        };
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard =
            Shipment::ship(&self.config.shipments, &shipped.order_id, &shipped.shipment_id, expires_at)?;
        Ok(Transition::guarded_by(guard).emit(self.spine.event(&paid.cause(), &shipped)?))
    }

    fn close(
        &self,
        paid: &Event<PaymentProcessed>,
        reason: &'static str,
    ) -> Result<Transition<Shipment>, Failure> {
        let failed = ShipmentFailed {
            order_id: paid.data.order_id.clone(),
            customer_id: paid.data.customer_id.clone(),
            reason: reason.to_owned(),
        };
        tracing::info!(reason, "shipment refused");
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard = Shipment::close(&self.config.shipments, &failed.order_id, reason, expires_at)?;
        Ok(Transition::guarded_by(guard).emit(self.spine.event(&paid.cause(), &failed)?))
    }
}
