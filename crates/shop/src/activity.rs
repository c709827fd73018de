//! A customer's activity: what they learn of their orders, in the order in which it happened.

use eda::event::Message as _;
use eda::event::wire::DateTime;
use eda::row::{IntoValue, Item, Row};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::events::{
    OrderCancelled, OrderConfirmed, OrderExpired, OrderPlaced, OrderShipped, PaymentFailed, PaymentProcessed,
    PaymentRefunded, ShipmentFailed,
};
use crate::money::Money;

eda::one_of! {
    /// What a customer learns of an order: the events that the ordered queue carries.
    pub enum OrderNews {
        OrderPlaced, PaymentProcessed, PaymentFailed, OrderShipped, ShipmentFailed, PaymentRefunded, OrderExpired,
        OrderConfirmed, OrderCancelled,
    }
}

/// An entry of the feed as a customer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The event that it is made of.
    pub event_id: String,
    /// What happened: the event's name.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The order.
    pub order_id: String,
    /// When it happened.
    #[serde(with = "DateTime")]
    pub at: Timestamp,
    /// What it is about in money: what the order costs, what was charged, what went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// ISO 4217 code, where there is an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why, as a code, where something did not come to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An entry of a customer's feed as it is stored. Its key is the event: whatever copy of it comes, and whenever, there is one
/// entry, and it has one place. Events' ids sort in the order in which they led to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityRow {
    /// Partition key: the customer.
    pub customer_id: String,
    /// Sort key: the event.
    pub event_id: String,
    /// The event's name.
    pub event_type: String,
    /// The order.
    pub order_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The amount, as decimal text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for ActivityRow {
    const NAME: &'static str = "activity";
    const PARTITION_KEY: &'static str = "customerId";
}

/// What stands in an entry, beside the event's own frame.
struct Told<'a> {
    name: &'static str,
    customer_id: &'a str,
    order_id: &'a str,
    amount: Option<(Money, Option<&'a str>)>,
    reason: Option<&'a str>,
}

macro_rules! told {
    ($event:ident: $kind:ident $(, amount: $amount:ident, $currency:expr)? $(, reason: $reason:ident)?) => {
        Told {
            name: <$kind as eda::event::Contract>::DETAIL_TYPE,
            customer_id: &$event.data.customer_id,
            order_id: &$event.data.order_id,
            amount: None $(.or(Some(($event.data.$amount, $currency))))?,
            reason: None $(.or(Some($event.data.$reason.as_str())))?,
        }
    };
}

impl OrderNews {
    fn told(&self) -> Told<'_> {
        match self {
            Self::OrderPlaced(e) => told!(e: OrderPlaced, amount: total_amount, Some(&e.data.currency)),
            Self::PaymentProcessed(e) => told!(e: PaymentProcessed, amount: amount, Some(&e.data.currency)),
            Self::PaymentFailed(e) => told!(e: PaymentFailed, reason: reason),
            Self::OrderShipped(e) => told!(e: OrderShipped),
            Self::ShipmentFailed(e) => told!(e: ShipmentFailed, reason: reason),
            Self::PaymentRefunded(e) => {
                told!(e: PaymentRefunded, amount: amount, e.data.currency.as_deref(), reason: reason)
            }
            Self::OrderExpired(e) => told!(e: OrderExpired, reason: reason),
            Self::OrderConfirmed(e) => told!(e: OrderConfirmed),
            Self::OrderCancelled(e) => told!(e: OrderCancelled, reason: reason),
        }
    }
}

impl ActivityRow {
    /// The entry of an event.
    #[must_use]
    pub fn of(news: &OrderNews, expires_at: i64) -> Self {
        let Told { name, customer_id, order_id, amount, reason } = news.told();
        let (amount, currency) = amount.unzip();
        Self {
            customer_id: customer_id.to_owned(),
            event_id: news.metadata().event_id.to_string(),
            event_type: name.to_owned(),
            order_id: order_id.to_owned(),
            at: news.metadata().event_time,
            amount: amount.map(|amount| amount.to_string()),
            currency: currency.flatten().map(ToOwned::to_owned),
            reason: reason.map(ToOwned::to_owned),
            expires_at,
        }
    }

    /// The entry as a customer sees it.
    #[must_use]
    pub fn shown(self) -> Activity {
        Activity {
            event_id: self.event_id,
            event_type: self.event_type,
            order_id: self.order_id,
            at: self.at,
            amount: self.amount.and_then(|amount| Decimal::from_str_exact(&amount).ok()).map(Money::new),
            currency: self.currency,
            reason: self.reason,
        }
    }
}

/// A place in a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityPosition {
    event_id: String,
}

impl ActivityPosition {
    /// The place of this row.
    #[must_use]
    pub fn of(row: &ActivityRow) -> Self {
        Self { event_id: row.event_id.clone() }
    }

    /// The key that a query goes on behind.
    #[must_use]
    pub fn key(&self, customer_id: &str) -> Item {
        Item::from([
            (ActivityRow::PARTITION_KEY.to_owned(), customer_id.into_value()),
            ("eventId".to_owned(), self.event_id.as_str().into_value()),
        ])
    }
}
