use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use super::contract::{self, Contract};
use super::metadata::{Cause, Metadata, SagaStyle};
use super::reading::{Frame, version_of};
use crate::Failure;

/// Namespace of identifiers derived from an event's content (UUIDv5).
const CONTENT: Uuid = Uuid::from_u128(0x6f1d_6c1e_8a0b_4f55_9c63_0b8f_2a57_41de);

/// An event as the bus delivers it.
/// <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BusEvent<'a> {
    /// Who said it.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// What it is called.
    #[serde(borrow)]
    pub detail_type: Cow<'a, str>,
    /// When the bus took it. The fact's own time is in its metadata.
    pub time: Timestamp,
    /// The payload, flat, with `version` and `metadata`.
    #[serde(borrow)]
    pub detail: &'a RawValue,
    /// The X-Ray header it was delivered with; not part of the bus's document.
    #[serde(skip)]
    pub trace: Option<String>,
}

/// Why an event cannot be read. All of these are permanent.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not an event of the bus.
    #[error("not an EventBridge event")]
    Envelope(#[source] serde_json::Error),
    /// An event nobody here asked for.
    #[error("unexpected event {source_name}/{detail_type}; known: {known}")]
    Unknown {
        /// Who said it.
        source_name: String,
        /// What it is called.
        detail_type: String,
        /// What would have been understood.
        known: String,
    },
    /// A version nobody here knows.
    #[error("{detail_type} version {got:?} is unknown; known: {known}")]
    Version {
        /// What it is called.
        detail_type: &'static str,
        /// The version it has.
        got: String,
        /// The versions that would have been understood.
        known: String,
    },
    /// The payload or the metadata is malformed.
    #[error("{detail_type} is malformed")]
    Malformed {
        /// What it is called.
        detail_type: &'static str,
        /// Which field, and what is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Failure::permanent("the message cannot be read").because(error)
    }
}

impl<'a> BusEvent<'a> {
    /// Reads the bus's document.
    ///
    /// # Errors
    /// [`DecodeError::Envelope`].
    pub fn parse(body: &'a str) -> Result<Self, DecodeError> {
        serde_json::from_str(body).map_err(DecodeError::Envelope)
    }

    /// Whether it is an event of this contract.
    #[must_use]
    pub fn is<T: Contract>(&self) -> bool {
        self.source == T::SOURCE && self.detail_type == T::DETAIL_TYPE
    }

    /// The error for an event that is none of the expected ones.
    #[must_use]
    pub fn unexpected(&self, known: &[&str]) -> DecodeError {
        DecodeError::Unknown {
            source_name: self.source.clone().into_owned(),
            detail_type: self.detail_type.clone().into_owned(),
            known: known.join(", "),
        }
    }
}

/// What a consumer consumes: an event, or one of several.
pub trait Message: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError`], always permanent.
    fn decode(event: &BusEvent<'_>) -> Result<Self, DecodeError>;
    /// What it says about itself.
    fn metadata(&self) -> &Metadata;
    /// Messages of the same key are handled one after another.
    fn ordering_key(&self) -> &str;
    /// The same message in a saga of this style, and with it all that follows from it, whatever it says of itself.
    #[must_use]
    fn in_saga(self, saga: SagaStyle) -> Self;
}

/// A decoded event, of the newest version of its contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<T> {
    /// What it says about itself.
    pub metadata: Metadata,
    /// The X-Ray trace header it was delivered with.
    pub trace: Option<String>,
    /// The payload.
    pub data: T,
}

impl<T> Event<T> {
    /// What an event that follows from this one inherits.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            correlation_id: Some(self.metadata.correlation_id),
            causation_id: Some(self.metadata.event_id),
            saga: self.metadata.saga,
            trace: self.trace.clone(),
        }
    }
}

impl<T: Contract> Event<T> {
    /// Reads `detail`, of any version that may still arrive.
    ///
    /// A missing `version` means 1.0. A missing `metadata` (producers older than it) gets an identity derived from the
    /// content, so that a repetition is recognisable.
    ///
    /// # Errors
    /// [`DecodeError::Version`] or [`DecodeError::Malformed`].
    pub fn from_detail(detail: &str, delivered: Timestamp) -> Result<Self, DecodeError> {
        let malformed = |source| DecodeError::Malformed { detail_type: T::DETAIL_TYPE, source };
        let version = version_of(detail).map_err(malformed)?;
        let mut frame = Frame::default();
        let Some(data) = contract::read::<T>(&version, detail, &mut frame) else {
            return Err(DecodeError::Version {
                detail_type: T::DETAIL_TYPE,
                got: version.into_owned(),
                known: contract::versions::<T>().join(", "),
            });
        };
        let data = data.map_err(malformed)?;
        let metadata = frame.into_metadata().unwrap_or_else(|| {
            let content = [T::SOURCE, "/", T::DETAIL_TYPE, "/", detail].concat();
            let event_id = Uuid::new_v5(&CONTENT, content.as_bytes());
            let saga = SagaStyle::default();
            Metadata { event_id, event_time: delivered, correlation_id: event_id, causation_id: None, saga }
        });
        Ok(Self { metadata, trace: None, data })
    }
}

impl<T: Contract> Message for Event<T> {
    fn decode(event: &BusEvent<'_>) -> Result<Self, DecodeError> {
        if !event.is::<T>() {
            return Err(event.unexpected(&[T::DETAIL_TYPE]));
        }
        let decoded = Self::from_detail(event.detail.get(), event.time)?;
        Ok(Self { trace: event.trace.clone(), ..decoded })
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn ordering_key(&self) -> &str {
        self.data.ordering_key()
    }

    fn in_saga(mut self, saga: SagaStyle) -> Self {
        self.metadata.saga = saga;
        self
    }
}

/// Declares a message that is one of several events.
///
/// ```
/// # use eda::event::{Contract, Event, First, Version};
/// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] pub struct Opened { id: String }
/// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] pub struct Closed { id: String }
/// # impl Version for Opened { const VERSION: &'static str = "1.0"; type Before = First; }
/// # impl Contract for Opened { const SOURCE: &'static str = "doors"; const DETAIL_TYPE: &'static str = "Opened";
/// #   fn ordering_key(&self) -> &str { &self.id } }
/// # impl Version for Closed { const VERSION: &'static str = "1.0"; type Before = First; }
/// # impl Contract for Closed { const SOURCE: &'static str = "doors"; const DETAIL_TYPE: &'static str = "Closed";
/// #   fn ordering_key(&self) -> &str { &self.id } }
/// eda::one_of! {
///     /// What happens to a door.
///     pub enum Movement { Opened, Closed }
/// }
/// ```
#[macro_export]
macro_rules! one_of {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($event:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis enum $name {
            $(
                #[doc = concat!("`", stringify!($event), "`")]
                $event($crate::event::Event<$event>)
            ),+
        }

        impl $crate::event::Message for $name {
            fn decode(event: &$crate::event::BusEvent<'_>) -> Result<Self, $crate::event::DecodeError> {
                $(
                    if event.is::<$event>() {
                        return <$crate::event::Event<$event> as $crate::event::Message>::decode(event).map(Self::$event);
                    }
                )+
                Err(event.unexpected(&[$(<$event as $crate::event::Contract>::DETAIL_TYPE),+]))
            }

            fn metadata(&self) -> &$crate::event::Metadata {
                match self { $(Self::$event(event) => &event.metadata),+ }
            }

            fn ordering_key(&self) -> &str {
                match self { $(Self::$event(event) => $crate::event::Contract::ordering_key(&event.data)),+ }
            }

            fn in_saga(self, saga: $crate::event::SagaStyle) -> Self {
                match self {
                    $(Self::$event(event) => Self::$event($crate::event::Message::in_saga(event, saga))),+
                }
            }
        }

        impl $name {
            /// What an event that follows from this one inherits.
            #[must_use]
            $vis fn cause(&self) -> $crate::event::Cause {
                match self { $(Self::$event(event) => event.cause()),+ }
            }
        }
    };
}
