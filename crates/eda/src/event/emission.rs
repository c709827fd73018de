use serde::Serialize;
use uuid::Uuid;

use super::contract::Contract;
use super::metadata::{Cause, Metadata};
use crate::Failure;
use crate::ambient::Ambient;

/// An event ready for the outbox or the event store, serialised once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Its identity.
    pub event_id: Uuid,
    /// Events of the same key are ordered.
    pub ordering_key: String,
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
    /// A new event.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the payload cannot be written as JSON.
    pub fn new<T: Contract>(cause: &Cause, data: &T, ambient: &Ambient) -> Result<Self, Failure> {
        Self::with_id(ambient.new_id(), cause, data, ambient)
    }

    /// A new event whose id the caller derives, so that a repetition is recognisable.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the payload cannot be written as JSON.
    pub fn with_id<T: Contract>(
        event_id: Uuid,
        cause: &Cause,
        data: &T,
        ambient: &Ambient,
    ) -> Result<Self, Failure> {
        let metadata = Metadata {
            event_id,
            event_time: ambient.now(),
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
            ordering_key: data.ordering_key().to_owned(),
            source: T::SOURCE,
            detail_type: T::DETAIL_TYPE,
            detail,
            trace: cause.trace.clone(),
        })
    }
}
