use eda::event::wire::{Id, OptionalText, Text, Texts};
use serde::{Deserialize, Serialize};

use super::{Address, contract};
use crate::money::Money;
use crate::stock::{Count, Quantity};

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

/// The stock of a product has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StockUpdate {
    /// The product.
    #[serde(with = "Id")]
    pub product_id: String,
    /// Where it lies.
    #[serde(with = "Id")]
    pub warehouse_id: String,
    /// What kind of thing it is.
    #[serde(with = "Text")]
    pub product_category: String,
    /// How many can be reserved now.
    #[serde(with = "Count")]
    pub quantity: u32,
    /// How many could be before the change; 0 where the product is new.
    #[serde(with = "Count")]
    pub previous_quantity: u32,
    /// Counts the changes of the product's stock: of two updates, the one with the higher number is the newer.
    #[serde(with = "Count")]
    pub stock_version: u32,
}

contract!(StockUpdate, "inventory", "StockUpdate", "1.0", key: product_id);

/// A product has run short, and more of it is to be bought: once per shortage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StockReorderRequested {
    /// The product.
    #[serde(with = "Id")]
    pub product_id: String,
    /// Where it is missing.
    #[serde(with = "Id")]
    pub warehouse_id: String,
    /// What kind of thing it is.
    #[serde(with = "Text")]
    pub product_category: String,
    /// How many were left.
    #[serde(with = "Count")]
    pub quantity: u32,
    /// The version of the product's stock at which the shortage was seen.
    #[serde(with = "Count")]
    pub stock_version: u32,
}

contract!(StockReorderRequested, "inventory", "StockReorderRequested", "1.0", key: product_id);
