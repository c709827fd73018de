//! Saga step: reserves all items of an order, or none.
//!
//! `OrderPlaced` → `InventoryReserved` | `InventoryReservationFailed`

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
use shop::events::{InventoryReservationFailed, InventoryReserved, OrderPlaced};
use shop::saga::reason;
use shop::stock::{MAX_PRODUCTS, Product, Quantity, Reservation, merged};

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

impl Consumer for ReserveInventory {
    type Message = Event<OrderPlaced>;

    /// Orders that share a product run one after another: side by side they would only conflict.
    fn lanes(placed: &Event<OrderPlaced>) -> Vec<String> {
        let products = placed.data.items.iter().map(|line| format!("product#{}", line.product_id));
        products.chain([placed.data.order_id.clone()]).collect()
    }

    async fn consume(&self, placed: Event<OrderPlaced>) -> Result<(), Failure> {
        let items = merged(&placed.data.items);
        if items.is_empty() || items.len() > MAX_PRODUCTS {
            return Err(Failure::permanent(format!(
                "an order has 1 to {MAX_PRODUCTS} products, not {}",
                items.len()
            )));
        }
        match self.reserve(&placed, &items).await? {
            Outcome::Applied | Outcome::Duplicate(_) => Ok(()),
            Outcome::Rejected(first, others) => self.reject(&placed, [vec![first], others].concat()).await,
        }
    }
}

impl ReserveInventory {
    async fn reserve(
        &self,
        placed: &Event<OrderPlaced>,
        items: &[Quantity],
    ) -> Result<Outcome<Reservation, String>, Failure> {
        let order = &placed.data;
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let guard = Reservation::reserve(&self.config.reservations, &order.order_id, items, expires_at)?;
        let reserved = InventoryReserved {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            items: items.to_vec(),
            total_amount: order.total_amount,
            currency: order.currency.clone(),
            payment_method: order.payment_method.clone(),
            shipping_address: order.shipping_address.clone(),
        };
        let reserved = self.spine.event(&placed.cause(), &reserved)?;
        let enough = |item| (Product::take(&self.config.inventory, item), item.product_id.clone());
        let transition = Transition::guarded_by(guard).requiring(items.iter().map(enough)).emit(reserved);
        self.spine.commit(transition).await
    }

    async fn reject(&self, placed: &Event<OrderPlaced>, unavailable: Vec<String>) -> Result<(), Failure> {
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
            Outcome::Applied => tracing::info!(reason = reason::OUT_OF_STOCK, "reservation rejected"),
            Outcome::Duplicate(_) => {}
        }
        Ok(())
    }
}
