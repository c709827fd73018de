use eda::event::wire::{Id, Text};
use serde::{Deserialize, Serialize};

use super::contract;

/// The shipment is booked: from here there is only forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderShipped {
    /// The order.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// The shipment.
    #[serde(with = "Id")]
    pub shipment_id: String,
}

contract!(OrderShipped, "shipping", "OrderShipped", "1.0", channels: Ordered);

/// The shipment is refused and closed: nothing will ever ship for this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShipmentFailed {
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

contract!(ShipmentFailed, "shipping", "ShipmentFailed", "1.0", channels: Ordered);
