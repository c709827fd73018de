use std::fmt;

use eda::event::First;
use eda::event::wire::{DateTime, Id, OptionalText, Text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contract;
use crate::money::Money;
use crate::stock::Count;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What.
    #[serde(with = "Id")]
    pub product_id: String,
    /// How many.
    #[serde(with = "Count")]
    pub quantity: u32,
    /// Price of one, in the order's currency.
    pub price: Money,
}

/// Where an order goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Who receives it.
    #[serde(with = "Text")]
    pub name: String,
    /// Street and number.
    #[serde(with = "Text")]
    pub line1: String,
    /// Flat, floor, c/o.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City.
    #[serde(with = "Text")]
    pub city: String,
    /// Postal code.
    #[serde(with = "Text")]
    pub postal_code: String,
    /// Country, ISO 3166-1 alpha-2.
    #[serde(with = "Text")]
    pub country: String,
}

/// Only what points to nobody, so that no log can hold the rest.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("country", &self.country).finish_non_exhaustive()
    }
}

/// A customer placed an order. Version 2.0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    pub total_amount: Money,
    /// ISO 4217 code.
    #[serde(with = "Text")]
    pub currency: String,
    /// When.
    #[serde(with = "DateTime")]
    pub timestamp: Timestamp,
    /// The gateway's name of the payment method; never a card number.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

/// A customer placed an order. Version 1.0: without a currency, which was US dollars; the total was also called `amount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = super::schema::total_amount_or_amount))]
#[serde(rename_all = "camelCase")]
pub struct OrderPlacedV1 {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    #[serde(alias = "amount")]
    pub total_amount: Money,
    /// When.
    #[serde(with = "DateTime")]
    pub timestamp: Timestamp,
    /// The gateway's name of the payment method.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

impl eda::event::Version for OrderPlacedV1 {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

/// The step from 1.0 to 2.0.
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

contract!(OrderPlaced, "orders", "OrderPlaced", "2.0", before: OrderPlacedV1, channels: Ordered);

/// All steps are done: the order is fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderConfirmed {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
}

contract!(OrderConfirmed, "orders", "OrderConfirmed", "1.0", channels: Ordered);

/// The order will not be fulfilled; whatever had been done for it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// Why, as a code.
    #[serde(with = "Text")]
    pub reason: String,
}

contract!(OrderCancelled, "orders", "OrderCancelled", "1.0", channels: Ordered);

/// The order reached no end before its deadline and its shipment is closed: what was done is to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderExpired {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// Why, as a code.
    #[serde(with = "Text")]
    pub reason: String,
}

contract!(OrderExpired, "orders", "OrderExpired", "1.0", channels: Ordered);

/// An order with what is known of its customer, for those who have no access to customers. Holds personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderEnriched {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    pub total_amount: Money,
    /// ISO 4217 code.
    #[serde(with = "Text")]
    pub currency: String,
    /// When it was placed.
    #[serde(with = "DateTime")]
    pub timestamp: Timestamp,
    /// Whether the customer was found; if not, nothing more is said of them.
    pub customer_known: bool,
    /// The customer's name.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// The customer's tier.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub customer_tier: Option<String>,
    /// The customer's e-mail address.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<String>,
}

/// Only what points to nobody, so that no log can hold the rest.
impl fmt::Debug for OrderEnriched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderEnriched")
            .field("order_id", &self.order_id)
            .field("customer_known", &self.customer_known)
            .finish_non_exhaustive()
    }
}

contract!(OrderEnriched, "orders", "OrderEnriched", "1.0");
