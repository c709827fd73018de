//! Saga step: reserves all items of an order, or none.
//!
//! `OrderPlaced` → `InventoryReserved` | `InventoryReservationFailed`

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
use shop::events::{InventoryReservationFailed, InventoryReserved, OrderPlaced};
use shop::saga::{Refused, reason};
use shop::stock::{MAX_PRODUCTS, Product, Quantity, Reservation, ReservationState, merged};

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: the guard.
    #[envconfig(from = "RESERVATIONS_TABLE")]
    pub reservations: Table<Reservation>,
    /// One row per product.
    #[envconfig(from = "INVENTORY_TABLE")]
    pub inventory: Table<Product>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Reserves all items of an order, or none.
pub struct ReserveInventory {
    spine: Spine,
    config: Config,
}

impl Function for ReserveInventory {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

impl SagaStep for ReserveInventory {
    type Message = Event<OrderPlaced>;

    /// Orders that share a product run one after another: side by side they would only conflict.
    fn lanes(placed: &Event<OrderPlaced>) -> Vec<String> {
        let products = placed.data.items.iter().map(|line| format!("product#{}", line.product_id));
        products.chain([placed.data.order_id.clone()]).collect()
    }

    async fn step(&self, placed: Event<OrderPlaced>) -> Result<Stepped, Failure> {
        let items = merged(&placed.data.items);
        if items.is_empty() || items.len() > MAX_PRODUCTS {
            return Err(Failure::permanent(format!(
                "an order has 1 to {MAX_PRODUCTS} products, not {}",
                items.len()
            )));
        }
        let reserved = self.reserved(&placed, &items)?;
        match self.reserve(&placed, &items, reserved.clone()).await? {
            Outcome::Applied => Ok(Stepped::Done(reserved)),
            Outcome::Duplicate(row) => standing(row, reserved),
            Outcome::Rejected(first, others) => {
                self.reject(&placed, [vec![first], others].concat(), reserved).await
            }
        }
    }
}

impl ReserveInventory {
    async fn reserve(
        &self,
        placed: &Event<OrderPlaced>,
        items: &[Quantity],
        reserved: Emission,
    ) -> Result<Outcome<Reservation, String>, Failure> {
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let order_id = &placed.data.order_id;
        let guard = Reservation::reserve(&self.config.reservations, order_id, items, expires_at)?;
        let enough = |item| (Product::take(&self.config.inventory, item), item.product_id.clone());
        let transition = Transition::guarded_by(guard).requiring(items.iter().map(enough)).emit(reserved);
        self.spine.commit(transition).await
    }

    fn reserved(&self, placed: &Event<OrderPlaced>, items: &[Quantity]) -> Result<Emission, Failure> {
        let order = &placed.data;
        let reserved = InventoryReserved {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            items: items.to_vec(),
            total_amount: order.total_amount,
            currency: order.currency.clone(),
            payment_method: order.payment_method.clone(),
            shipping_address: order.shipping_address.clone(),
        };
        self.spine.event(&placed.cause(), &reserved)
    }

    async fn reject(
        &self,
        placed: &Event<OrderPlaced>,
        unavailable: Vec<String>,
        reserved: Emission,
    ) -> Result<Stepped, Failure> {
        let order = &placed.data;
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard = Reservation::reject(&self.config.reservations, &order.order_id, expires_at)?;
        let failed = InventoryReservationFailed {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            unavailable,
            reason: reason::OUT_OF_STOCK.to_owned(),
        };
        let failed = self.spine.event(&placed.cause(), &failed)?;
        match self.spine.commit(Transition::guarded_by(guard).emit(failed)).await? {
            Outcome::Applied => {
                tracing::info!(reason = reason::OUT_OF_STOCK, "reservation rejected");
                Ok(Refused::OutOfStock.because(reason::OUT_OF_STOCK))
            }
            Outcome::Duplicate(row) => standing(row, reserved),
        }
    }
}

/// What the row that refused says of the step.
fn standing(row: Option<Reservation>, reserved: Emission) -> Result<Stepped, Failure> {
    let row = row.ok_or_else(|| Failure::transient("the reservation was refused by no row"))?;
    Ok(match row.status {
        ReservationState::Reserved => Stepped::Done(reserved),
        ReservationState::Rejected => Refused::OutOfStock.because(reason::OUT_OF_STOCK),
        ReservationState::Released => Refused::Compensated.because(reason::COMPENSATED),
    })
}
