//! What has been charged and given back: the other side of every money invariant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::CallKind;

/// All intents, oldest first, and how often each call came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// All intents, oldest first.
    pub intents: Vec<LedgerIntent>,
    /// Authorised requests per call, replays and struck ones among them.
    pub calls: BTreeMap<CallKind, u64>,
}

/// One intent. Amounts are in the currency's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerIntent {
    /// `pi_…`
    pub id: String,
    /// As given at creation.
    pub metadata: BTreeMap<String, String>,
    /// To be charged.
    pub amount: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// As the API names it: `requires_confirmation`, `processing`, `succeeded`, `canceled`, …
    pub status: String,
    /// The test method given last.
    pub payment_method: Option<String>,
    /// Charges that succeeded.
    pub charges: u32,
    /// Charges that were declined.
    pub declines: u32,
    /// The sum of the charges that succeeded.
    pub charged: i64,
    /// Refunds made.
    pub refunds: u32,
    /// Their sum.
    pub refunded: i64,
}
