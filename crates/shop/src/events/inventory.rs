use eda::event::wire::{Id, OptionalText, Text, Texts};
use serde::{Deserialize, Serialize};

use super::{Address, contract};
use crate::money::Money;
use crate::stock::Quantity;

/// All items of the order are reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryReserved {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What is reserved, one entry per product.
    pub items: Vec<Quantity>,
    /// What the order costs.
    pub total_amount: Money,
    /// ISO 4217 code.
    #[serde(with = "Text")]
    pub currency: String,
    /// How it is to be paid.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

contract!(InventoryReserved, "inventory", "InventoryReserved", "1.0");

/// Nothing is reserved: some item is out of stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryReservationFailed {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// The products that were short.
    #[serde(with = "Texts")]
    pub unavailable: Vec<String>,
    /// Why, as a code.
    #[serde(with = "Text")]
    pub reason: String,
}

contract!(InventoryReservationFailed, "inventory", "InventoryReservationFailed", "1.0");

/// Nothing is reserved any more, and nothing will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InventoryReleased {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// What went back to stock; empty where nothing had been reserved.
    pub items: Vec<Quantity>,
    /// Why, as a code.
    #[serde(with = "Text")]
    pub reason: String,
}

contract!(InventoryReleased, "inventory", "InventoryReleased", "1.0");
