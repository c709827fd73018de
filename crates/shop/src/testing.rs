//! Sample payloads for tests: one order, as every step of its saga sees it.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::events::{
    Address, AllStepsComplete, InventoryReleased, InventoryReservationFailed, InventoryReserved, Line,
    OrderExpired, OrderPlaced, OrderShipped, PaymentFailed, PaymentProcessed, PaymentRefunded,
    ShipmentFailed, StockUpdate,
};
use crate::money::Money;
use crate::order::{OrderHead, OrderStatus, PlaceOrder, open_shard};
use crate::saga::{STEPS, reason};
use crate::stock::{Product, merged};

/// Who places the sample orders.
pub const CUSTOMER: &str = "customer-1";

/// What one piece of any sample product costs: 49.50.
#[must_use]
pub fn price() -> Money {
    Money::new(Decimal::new(4_950, 2))
}

/// An address that is served.
#[must_use]
pub fn address() -> Address {
    Address {
        name: "Jo Doe".into(),
        line1: "1 Main Street".into(),
        line2: None,
        city: "Springfield".into(),
        postal_code: "12345".into(),
        country: "US".into(),
    }
}

/// An address that is not served.
#[must_use]
pub fn unserved_address() -> Address {
    Address { country: "AQ".into(), ..address() }
}

fn lines(lines: &[(&str, u32)]) -> Vec<Line> {
    let lines = lines.iter();
    lines
        .map(|(id, quantity)| Line { product_id: (*id).into(), quantity: *quantity, price: price() })
        .collect()
}

/// A request for these products and quantities.
#[must_use]
pub fn place_order(products: &[(&str, u32)]) -> PlaceOrder {
    PlaceOrder {
        customer_id: CUSTOMER.into(),
        items: lines(products),
        currency: "USD".into(),
        payment_method: "pm_card_visa".into(),
        shipping_address: address(),
    }
}

/// An order of these products and quantities.
#[must_use]
pub fn order_placed(order_id: &str, products: &[(&str, u32)]) -> OrderPlaced {
    let order = place_order(products);
    OrderPlaced {
        order_id: order_id.into(),
        total_amount: order.total().unwrap_or_default(),
        customer_id: order.customer_id,
        items: order.items,
        currency: order.currency,
        timestamp: Timestamp::UNIX_EPOCH,
        payment_method: Some(order.payment_method),
        shipping_address: Some(order.shipping_address),
    }
}

/// The head of an order that is placed and open.
#[must_use]
pub fn open_order(order_id: &str) -> OrderHead {
    OrderHead {
        aggregate_id: order_id.into(),
        current_version: 1,
        status: OrderStatus::Open,
        customer_id: CUSTOMER.into(),
        command_hash: "v1:00".into(),
        correlation_id: uuid::Uuid::from_u128(1),
        open_shard: Some(open_shard(order_id)),
        deadline: Some(1_768_516_200),
    }
}

/// A product of which so many are available.
#[must_use]
pub fn product(product_id: &str, available: i64) -> Product {
    Product {
        product_id: product_id.into(),
        available,
        version: 1,
        warehouse_id: "warehouse-1".into(),
        category: "electronics".into(),
    }
}

/// One keyboard and two mice are reserved: 148.50 US dollars.
#[must_use]
pub fn inventory_reserved(order_id: &str) -> InventoryReserved {
    let placed = order_placed(order_id, &[("keyboard", 1), ("mouse", 2)]);
    InventoryReserved {
        items: merged(&placed.items),
        order_id: placed.order_id,
        customer_id: placed.customer_id,
        total_amount: placed.total_amount,
        currency: placed.currency,
        payment_method: placed.payment_method,
        shipping_address: placed.shipping_address,
    }
}

/// Nothing could be reserved.
#[must_use]
pub fn inventory_reservation_failed(order_id: &str) -> InventoryReservationFailed {
    InventoryReservationFailed {
        order_id: order_id.into(),
        customer_id: CUSTOMER.into(),
        unavailable: vec!["mouse".into()],
        reason: reason::OUT_OF_STOCK.into(),
    }
}

/// The reservation of [`inventory_reserved`] is undone.
#[must_use]
pub fn inventory_released(order_id: &str) -> InventoryReleased {
    let items = inventory_reserved(order_id).items;
    InventoryReleased {
        order_id: order_id.into(),
        customer_id: CUSTOMER.into(),
        items,
        reason: reason::EXPIRED.into(),
    }
}

/// The order of [`inventory_reserved`] is paid.
#[must_use]
pub fn payment_processed(order_id: &str) -> PaymentProcessed {
    let reserved = inventory_reserved(order_id);
    PaymentProcessed {
        order_id: order_id.into(),
        customer_id: CUSTOMER.into(),
        payment_id: "pi_1".into(),
        amount: reserved.total_amount,
        currency: reserved.currency,
        shipping_address: reserved.shipping_address,
    }
}

/// The payment was declined.
#[must_use]
pub fn payment_failed(order_id: &str) -> PaymentFailed {
    PaymentFailed { order_id: order_id.into(), customer_id: CUSTOMER.into(), reason: "card_declined".into() }
}

/// The payment of [`payment_processed`] is undone.
#[must_use]
pub fn payment_refunded(order_id: &str) -> PaymentRefunded {
    let paid = payment_processed(order_id);
    PaymentRefunded {
        order_id: paid.order_id,
        customer_id: paid.customer_id,
        amount: paid.amount,
        currency: Some(paid.currency),
        reason: reason::DESTINATION_NOT_SERVED.into(),
    }
}

/// The order is shipped.
#[must_use]
pub fn order_shipped(order_id: &str) -> OrderShipped {
    OrderShipped { order_id: order_id.into(), customer_id: CUSTOMER.into(), shipment_id: "shipment-1".into() }
}

/// The shipment is refused.
#[must_use]
pub fn shipment_failed(order_id: &str) -> ShipmentFailed {
    ShipmentFailed {
        order_id: order_id.into(),
        customer_id: CUSTOMER.into(),
        reason: reason::DESTINATION_NOT_SERVED.into(),
    }
}

/// The order expired.
#[must_use]
pub fn order_expired(order_id: &str) -> OrderExpired {
    OrderExpired { order_id: order_id.into(), customer_id: CUSTOMER.into(), reason: reason::EXPIRED.into() }
}

/// All steps are done.
#[must_use]
pub fn all_steps_complete(order_id: &str) -> AllStepsComplete {
    let steps = STEPS.iter().map(ToString::to_string).collect();
    AllStepsComplete { order_id: order_id.into(), customer_id: CUSTOMER.into(), steps }
}

/// The stock of a product was so much and is so much now, by the change of this version.
#[must_use]
pub fn stock_update(product_id: &str, quantity: u32, previous_quantity: u32, version: u32) -> StockUpdate {
    let Product { product_id, warehouse_id, category, .. } = product(product_id, 0);
    StockUpdate {
        product_id,
        warehouse_id,
        product_category: category,
        quantity,
        previous_quantity,
        stock_version: version,
    }
}
