use eda::breaker::Change;
use eda::event::wire::{Id, OptionalText, Text};
use eda::event::{Contract, First, Version};
use serde::{Deserialize, Serialize};

use crate::stock::Count;

/// A message that could not be handled was taken out of its dead-letter queue, and waits for somebody to decide. Says
/// nothing of what the message holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageParked {
    /// The failure, the same for all copies and retries of the message.
    #[serde(with = "Id")]
    pub failure_id: String,
    /// What it shares with other failures of the same cause.
    #[serde(with = "Id")]
    pub group: String,
    /// The function, queue or rule where it failed.
    #[serde(with = "Text")]
    pub place: String,
    /// Why, without identifiers, numbers and quoted values.
    #[serde(with = "Text")]
    pub cause: String,
    /// Name of the event that the message holds, where it holds one.
    #[serde(default, with = "OptionalText", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// How often it was tried, in all.
    #[serde(with = "Count")]
    pub attempts: u32,
    /// How often it was parked.
    #[serde(with = "Count")]
    pub failures: u32,
}

impl Version for MessageParked {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

impl Contract for MessageParked {
    const SOURCE: &'static str = "operations";
    const DETAIL_TYPE: &'static str = "MessageParked";

    fn ordering_key(&self) -> &str {
        &self.failure_id
    }
}

/// The circuit breaker of a resource came into another state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CircuitStateChanged {
    /// The guarded resource.
    #[serde(with = "Id")]
    pub resource: String,
    /// Where the circuit stood: `closed`, `open` or `half-open`.
    #[serde(with = "Text")]
    pub from: String,
    /// Where it stands now.
    #[serde(with = "Text")]
    pub to: String,
    /// How often in a row it has opened; 0 where it is closed.
    #[serde(with = "Count")]
    pub trips: u32,
}

impl From<Change> for CircuitStateChanged {
    fn from(Change { resource, from, to, trips, .. }: Change) -> Self {
        Self { resource, from: from.to_string(), to: to.to_string(), trips }
    }
}

impl Version for CircuitStateChanged {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

impl Contract for CircuitStateChanged {
    const SOURCE: &'static str = "operations";
    const DETAIL_TYPE: &'static str = "CircuitStateChanged";

    fn ordering_key(&self) -> &str {
        &self.resource
    }
}
