use eda::event::wire::{Id, Texts};
use serde::{Deserialize, Serialize};

use super::contract;

/// Stock is reserved, the payment is made, the shipment is booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AllStepsComplete {
    /// The order, whose id is the business transaction's.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// The steps that were joined.
    #[serde(with = "Texts")]
    pub steps: Vec<String>,
}

/// The steps of an order were not all done before its deadline: their join waits no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct JoinTimedOut {
    /// The order, whose id is the business transaction's.
    #[serde(with = "Id")]
    pub order_id: String,
    /// Who placed it.
    #[serde(with = "Id")]
    pub customer_id: String,
    /// The steps of which nothing was heard.
    #[serde(with = "Texts")]
    pub missing: Vec<String>,
}

contract!(AllStepsComplete, "aggregator", "AllStepsComplete", "1.0");
contract!(JoinTimedOut, "aggregator", "JoinTimedOut", "1.0");
