use eda::event::parse_version;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contract;
use crate::money::Money;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What.
    pub product_id: String,
    /// How many.
    pub quantity: u32,
    /// Price of one, in the order's currency.
    pub price: Money,
}

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Who receives it.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, c/o.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City.
    pub city: String,
    /// Postal code.
    pub postal_code: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
}

/// A customer placed an order. Version 2.0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// The order.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    pub total_amount: Money,
    /// ISO 4217 code.
    pub currency: String,
    /// When.
    pub timestamp: Timestamp,
    /// The gateway's name of the payment method; never a card number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

/// Version 1.0 of [`OrderPlaced`]: without a currency, which was US dollars; the total was also called `amount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlacedV1 {
    /// The order.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    #[serde(alias = "amount")]
    pub total_amount: Money,
    /// When.
    pub timestamp: Timestamp,
    /// The gateway's name of the payment method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        Self {
            order_id: old.order_id,
            customer_id: old.customer_id,
            items: old.items,
            total_amount: old.total_amount,
            currency: "USD".to_owned(),
            timestamp: old.timestamp,
            payment_method: old.payment_method,
            shipping_address: old.shipping_address,
        }
    }
}

contract!(OrderPlaced, "orders", "OrderPlaced", "2.0", history: &[
    ("1.0", |detail| parse_version::<OrderPlacedV1>(detail).map(Into::into)),
]);

/// All steps are done: the order is fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
}

contract!(OrderConfirmed, "orders", "OrderConfirmed", "1.0");

/// The order will not be fulfilled; whatever had been done for it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// The order.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
    /// Why, as a code.
    pub reason: String,
}

contract!(OrderCancelled, "orders", "OrderCancelled", "1.0");

/// The order reached no end before its deadline and its shipment is closed: what was done is to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderExpired {
    /// The order.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
    /// Why, as a code.
    pub reason: String,
}

contract!(OrderExpired, "orders", "OrderExpired", "1.0");
