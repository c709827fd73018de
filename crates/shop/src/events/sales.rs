use eda::event::wire::{DateTime, Id, Text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::contract;
use crate::money::Money;
use crate::stock::Count;

/// What was taken in one currency: charges less refunds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Revenue {
    /// ISO 4217 code.
    #[serde(with = "Text")]
    pub currency: String,
    /// How much; below zero where more went back than came in.
    pub amount: Money,
}

/// A window of sales is closed: everything that happened in it is believed to be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SalesWindowClosed {
    /// The window, by its start.
    #[serde(with = "Id")]
    pub window_id: String,
    /// When it starts.
    #[serde(with = "DateTime")]
    pub window_start: Timestamp,
    /// When it ends; this moment belongs to the next one.
    #[serde(with = "DateTime")]
    pub window_end: Timestamp,
    /// What was taken in it, by currency.
    pub revenue: Vec<Revenue>,
    /// How many payments were made.
    #[serde(with = "Count")]
    pub sales: u32,
    /// How many payments went back.
    #[serde(with = "Count")]
    pub refunds: u32,
    /// Counts the changes of the window: of two events, the one with the higher number is the newer.
    #[serde(with = "Count")]
    pub revision: u32,
}

contract!(SalesWindowClosed, "sales", "SalesWindowClosed", "1.0", key: window_id);

/// Facts came late for a window that was closed, and it holds something else now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SalesWindowCorrected {
    /// The window, by its start.
    #[serde(with = "Id")]
    pub window_id: String,
    /// When it starts.
    #[serde(with = "DateTime")]
    pub window_start: Timestamp,
    /// When it ends; this moment belongs to the next one.
    #[serde(with = "DateTime")]
    pub window_end: Timestamp,
    /// What is to be added to what was said of the window before, by currency.
    pub difference: Vec<Revenue>,
    /// What was taken in it, as is known now, by currency.
    pub revenue: Vec<Revenue>,
    /// How many payments were made, as is known now.
    #[serde(with = "Count")]
    pub sales: u32,
    /// How many payments went back, as is known now.
    #[serde(with = "Count")]
    pub refunds: u32,
    /// Counts the changes of the window: of two events, the one with the higher number is the newer.
    #[serde(with = "Count")]
    pub revision: u32,
}

contract!(SalesWindowCorrected, "sales", "SalesWindowCorrected", "1.0", key: window_id);
