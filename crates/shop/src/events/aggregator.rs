use serde::{Deserialize, Serialize};

use super::contract;

/// Stock is reserved, the payment is made, the shipment is booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllStepsComplete {
    /// The order, whose id is the business transaction's.
    pub order_id: String,
    /// Who placed it.
    pub customer_id: String,
    /// The steps that were joined.
    pub steps: Vec<String>,
}

contract!(AllStepsComplete, "aggregator", "AllStepsComplete", "1.0");
