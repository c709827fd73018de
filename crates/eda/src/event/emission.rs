use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::{Builder, Uuid};

use super::contract::{Channels, Contract};
use super::decode::BusEvent;
use super::metadata::{Cause, Metadata, SagaStyle, made_at};
use crate::Failure;
use crate::ambient::Ambient;

/// An event ready for the outbox or the event store, serialised once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Its identity.
    pub event_id: Uuid,
    /// When the fact happened.
    pub event_time: Timestamp,
    /// Events of the same key are ordered.
    pub ordering_key: String,
    /// Whom it concerns, where the ordered channels carry it.
    pub group: Option<String>,
    /// Whether the stream of facts carries it too.
    pub counted: bool,
    /// The bus's `source`.
    pub source: &'static str,
    /// The bus's `detail-type`.
    pub detail_type: &'static str,
    /// The bus's `detail`: the flat payload with `version` and `metadata`, as JSON.
    pub detail: String,
    /// The X-Ray trace header to carry on.
    pub trace: Option<String>,
}

#[derive(Serialize)]
struct Detail<'a, T> {
    version: &'static str,
    #[serde(flatten)]
    data: &'a T,
    metadata: &'a Metadata,
}

impl Emission {
    /// A new event. Its id sorts behind that of its cause, whatever the clocks say. In an orchestrated saga it follows from
    /// the cause: a step that is asked again, and finds that it was done, returns the very event that it announced.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the payload cannot be written as JSON.
    pub fn new<T: Contract>(cause: &Cause, data: &T, ambient: &Ambient) -> Result<Self, Failure> {
        let event_id = match (cause.saga, cause.causation_id) {
            (SagaStyle::Orchestrated, Some(cause)) => following(cause, T::DETAIL_TYPE),
            (_, cause) => behind(cause, ambient.new_id()),
        };
        Self::with_id(event_id, ambient.now(), cause, data)
    }

    /// An event whose id the caller derives, so that a repetition is recognisable.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the payload cannot be written as JSON.
    pub fn with_id<T: Contract>(
        event_id: Uuid,
        event_time: Timestamp,
        cause: &Cause,
        data: &T,
    ) -> Result<Self, Failure> {
        let metadata = Metadata {
            event_id,
            event_time,
            correlation_id: cause.correlation_id.unwrap_or(event_id),
            causation_id: cause.causation_id,
            saga: cause.saga,
        };
        let detail = serde_json::to_string(&Detail { version: T::VERSION, data, metadata: &metadata });
        let detail = detail.map_err(|error| {
            Failure::permanent(format!("{} cannot be written as JSON", T::DETAIL_TYPE)).because(error)
        })?;
        Ok(Self {
            event_id,
            event_time,
            ordering_key: data.ordering_key().to_owned(),
            group: (T::CHANNELS != Channels::Bus).then(|| data.group().to_owned()),
            counted: T::CHANNELS == Channels::Counted,
            source: T::SOURCE,
            detail_type: T::DETAIL_TYPE,
            detail,
            trace: cause.trace.clone(),
        })
    }

    /// The event as the bus delivers it, for whoever is handed it without the bus.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where it is no JSON.
    pub fn document(&self) -> Result<Box<RawValue>, Failure> {
        let unwritable =
            |error| Failure::permanent(format!("{} cannot be handed over", self.detail_type)).because(error);
        let document = BusEvent {
            source: self.source.into(),
            detail_type: self.detail_type.into(),
            time: self.event_time,
            detail: serde_json::from_str(&self.detail).map_err(unwritable)?,
            trace: None,
        };
        serde_json::value::to_raw_value(&document).map_err(unwritable)
    }
}

/// The id of the event of this name that follows from another: the same whenever it is asked for, and a UUIDv7 right
/// after its cause's, so that events still sort by their ids in the order in which they led to each other.
fn following(cause: Uuid, name: &str) -> Uuid {
    let derived = Uuid::new_v5(&cause, name.as_bytes());
    right_after(cause, derived).unwrap_or(derived)
}

/// The id itself, or, where it would sort before its cause's because its function's clock is behind, one right after that.
fn behind(cause: Option<Uuid>, id: Uuid) -> Uuid {
    cause.filter(|cause| *cause >= id).and_then(|cause| right_after(cause, id)).unwrap_or(id)
}

/// A UUIDv7 one millisecond after `earlier`, with the random part of `id`; `None` where `earlier` is of another version.
fn right_after(earlier: Uuid, id: Uuid) -> Option<Uuid> {
    let millis = u64::try_from(made_at(earlier)?.as_millisecond()).ok()?;
    let [_, _, _, _, _, _, random @ ..] = id.into_bytes();
    Some(Builder::from_unix_timestamp_millis(millis.saturating_add(1), &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: u64) -> Uuid {
        Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
    }

    #[test]
    fn an_id_sorts_behind_its_causes_even_where_its_clock_is_behind() {
        assert_eq!(behind(Some(id(1_000)), id(2_000)), id(2_000));
        for late in [id(1_000), id(10)] {
            let moved = behind(Some(id(1_000)), late);
            assert!(moved > id(1_000) && moved < id(1_002), "{moved}");
        }
    }

    #[test]
    fn a_cause_whose_id_tells_no_time_changes_nothing() {
        assert_eq!(behind(Some(Uuid::max()), id(1)), id(1));
        assert_eq!(behind(None, id(1)), id(1));
    }
}
