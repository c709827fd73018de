use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::wire::{DateTime, OptionalUniqueId, UniqueId};

/// How the saga that an event belongs to is coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SagaStyle {
    /// Services react to each other's events.
    #[default]
    Choreographed,
    /// A state machine calls the services.
    Orchestrated,
}

impl SagaStyle {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Choreographed => "choreographed",
            Self::Orchestrated => "orchestrated",
        }
    }
}

/// From its name only: derived, it would be read from an object too.
impl<'de> Deserialize<'de> for SagaStyle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "choreographed" => Ok(Self::Choreographed),
            "orchestrated" => Ok(Self::Orchestrated),
            _ => Err(D::Error::custom("expected choreographed or orchestrated")),
        }
    }
}

/// When an event was made, as its id tells (UUIDv7).
#[must_use]
pub fn made_at(event_id: Uuid) -> Option<Timestamp> {
    let time = event_id.get_timestamp().filter(|_| event_id.get_version_num() == 7)?;
    let (seconds, nanos) = time.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

/// What every event says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The event's identity; the same on every redelivery and re-publication. Deduplication is on this id, never on
    /// the bus's own, which changes when an event is published again.
    #[serde(with = "UniqueId")]
    pub event_id: Uuid,
    /// When the fact happened.
    #[serde(with = "DateTime")]
    pub event_time: Timestamp,
    /// The same for all events of one business transaction.
    #[serde(with = "UniqueId")]
    pub correlation_id: Uuid,
    /// The event that led to this one.
    #[serde(default, with = "OptionalUniqueId", skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Which saga it belongs to.
    #[serde(default)]
    pub saga: SagaStyle,
}

/// What a new event inherits from what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Correlation id to carry on; a new transaction has none and takes its first event's id.
    pub correlation_id: Option<Uuid>,
    /// The event that led here.
    pub causation_id: Option<Uuid>,
    /// The saga it belongs to.
    pub saga: SagaStyle,
    /// The X-Ray trace header to carry on.
    pub trace: Option<String>,
}

impl Metadata {
    /// When the business transaction began: it is called by its first event.
    #[must_use]
    pub fn began_at(&self) -> Option<Timestamp> {
        made_at(self.correlation_id)
    }
}

impl Cause {
    /// The start of a business transaction.
    #[must_use]
    pub fn root(saga: SagaStyle, trace: Option<String>) -> Self {
        Self { correlation_id: None, causation_id: None, saga, trace }
    }

    /// Identity of what led here, as text: the id of the causing event, or the empty string at the root.
    #[must_use]
    pub fn id(&self) -> String {
        self.causation_id.map(|id| id.to_string()).unwrap_or_default()
    }
}
