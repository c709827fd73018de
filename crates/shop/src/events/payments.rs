use eda::event::wire::{Id, OptionalText, Text};
use serde::{Deserialize, Serialize};

use super::{Address, contract};
use crate::money::Money;

/// The order is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentProcessed {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// The gateway's id of the payment.
    #[serde(with = "Id")]
    pub payment_id: String,
    /// What was charged.
    pub amount: Money,
    /// ISO 4217 code.
    #[serde(with = "Text")]
    pub currency: String,
    /// Where the order goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

contract!(PaymentProcessed, "payments", "PaymentProcessed", "1.0", channels: Counted);

/// The payment was declined; nothing was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
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

contract!(PaymentFailed, "payments", "PaymentFailed", "1.0", channels: Ordered);

/// Nothing is charged any more, and nothing will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What went back; 0 where nothing had been charged.
    pub amount: Money,
    /// ISO 4217 code; absent where no payment was ever begun.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why, as a code.
    #[serde(with = "Text")]
    pub reason: String,
}

contract!(PaymentRefunded, "payments", "PaymentRefunded", "1.0", channels: Counted);
