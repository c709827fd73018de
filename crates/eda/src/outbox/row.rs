use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Emission;
use crate::row::{Key, Row};

/// An event that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxRow {
    /// Partition key: events of one key are ordered.
    pub ordering_key: String,
    /// Sort key: the event's id, a UUIDv7, so that a key's events sort by age.
    pub event_id: String,
    /// The bus's `source`.
    pub source: String,
    /// The bus's `detail-type`.
    pub detail_type: String,
    /// The bus's `detail`, as JSON.
    pub detail: String,
    /// Epoch milliseconds of the transition.
    pub created_at: i64,
    /// Whom the event concerns, where the ordered channels carry it, before the bus does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether the stream of facts carries it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// The X-Ray trace header to carry on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Row for OutboxRow {
    const NAME: &'static str = "outbox row";
    const PARTITION_KEY: &'static str = "orderingKey";
}

impl OutboxRow {
    /// The row of an event.
    #[must_use]
    pub fn of(emission: &Emission, now: Timestamp) -> Self {
        Self {
            ordering_key: emission.ordering_key.clone(),
            event_id: emission.event_id.to_string(),
            source: emission.source.to_owned(),
            detail_type: emission.detail_type.to_owned(),
            detail: emission.detail.clone(),
            created_at: now.as_millisecond(),
            group: emission.group.clone(),
            counted: emission.counted,
            trace: emission.trace.clone(),
        }
    }

    /// The row's primary key.
    #[must_use]
    pub fn key(&self) -> Key<Self> {
        Key::of(&self.ordering_key).sorted_by("eventId", self.event_id.as_str())
    }
}
