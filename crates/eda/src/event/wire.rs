//! How single values stand on the wire, for `#[serde(with = "…")]`: read strictly, so that a schema can say what is read.
//!
//! The types of these values read more than a producer in another language could be told about: a UUID in braces, a time
//! with a calendar, text without end.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The longest [`Id`], in characters. As a key of a table (2,048 bytes at most) it always fits.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MAX_ID: usize = 255;

/// The longest [`Text`], in characters.
pub const MAX_TEXT: usize = 1_000;

/// A `String` that identifies something: 1 to [`MAX_ID`] characters.
#[derive(Clone, Copy, Debug)]
pub enum Id {}

/// A `String` of 1 to [`MAX_TEXT`] characters.
#[derive(Clone, Copy, Debug)]
pub enum Text {}

/// An `Option<String>`, each of them a [`Text`]. Absent and null are the same.
#[derive(Clone, Copy, Debug)]
pub enum OptionalText {}

/// A `Vec<String>`, each of them a [`Text`].
#[derive(Clone, Copy, Debug)]
pub enum Texts {}

/// A [`Timestamp`] as RFC 3339 writes it, up to the year 9998: `2026-01-15T10:30:00Z`.
#[derive(Clone, Copy, Debug)]
pub enum DateTime {}

/// A [`Uuid`] of 36 characters: `019bc13e-4c40-7000-8000-000000000001`.
#[derive(Clone, Copy, Debug)]
pub enum UniqueId {}

/// An `Option<Uuid>`, as [`UniqueId`]. Absent and null are the same.
#[derive(Clone, Copy, Debug)]
pub enum OptionalUniqueId {}

fn bounded<E: serde::de::Error>(text: String, longest: usize) -> Result<String, E> {
    // Bytes are quicker to count, and never fewer than characters.
    let fits = !text.is_empty() && (text.len() <= longest || text.chars().count() <= longest);
    if fits { Ok(text) } else { Err(E::custom(format!("expected 1 to {longest} characters"))) }
}

fn unique_id<E: serde::de::Error>(text: &str) -> Result<Uuid, E> {
    let id = Some(text).filter(|text| text.len() == 36).and_then(|text| Uuid::try_parse(text).ok());
    id.ok_or_else(|| E::custom("expected a UUID such as 019bc13e-4c40-7000-8000-000000000001"))
}

/// Whether it has the shape of RFC 3339 in capitals, with up to nine digits of a second.
fn is_rfc_3339(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let clock = |part: &str| {
        part.split_once(':').is_some_and(|(hour, minute)| {
            hour.len() == 2
                && minute.len() == 2
                && digits(hour)
                && digits(minute)
                && hour < "24"
                && minute < "60"
        })
    };
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    let Some((until_minutes, rest)) = time.split_at_checked(6) else { return false };
    let Some((seconds, rest)) = rest.split_at_checked(3) else { return false };
    let (fraction, zone) = rest.split_at(rest.find(['Z', '+', '-']).unwrap_or(rest.len()));
    date.bytes()
        .enumerate()
        .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
        && date < "9999"
        && until_minutes.strip_prefix('T').is_some_and(clock)
        && seconds.strip_prefix(':').is_some_and(|seconds| digits(seconds) && seconds < "60")
        && (fraction.is_empty()
            || fraction.strip_prefix('.').is_some_and(|digits_of| digits_of.len() <= 9 && digits(digits_of)))
        && (zone == "Z" || zone.strip_prefix(['+', '-']).is_some_and(clock))
}

fn date_time<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    let time = Some(text).filter(|text| is_rfc_3339(text)).and_then(|text| text.parse().ok());
    time.ok_or_else(|| E::custom("expected a date and time such as 2026-01-15T10:30:00Z"))
}

macro_rules! as_is {
    ($($with:ty: $kind:ty),* $(,)?) => {
        $(impl $with {
            /// Writes it as it is.
            ///
            /// # Errors
            /// What the serializer says.
            pub fn serialize<S: Serializer>(value: &$kind, serializer: S) -> Result<S::Ok, S::Error> {
                value.serialize(serializer)
            }
        })*
    };
}

as_is! {
    Id: str, Text: str, OptionalText: Option<String>, Texts: [String], DateTime: Timestamp, UniqueId: Uuid,
    OptionalUniqueId: Option<Uuid>,
}

impl Id {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is no text, empty or too long.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        bounded(String::deserialize(deserializer)?, MAX_ID)
    }
}

impl Text {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is no text, empty or too long.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        bounded(String::deserialize(deserializer)?, MAX_TEXT)
    }
}

impl OptionalText {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is neither null nor a [`Text`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        Option::<String>::deserialize(deserializer)?.map(|text| bounded(text, MAX_TEXT)).transpose()
    }
}

impl Texts {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is no list, or one of its elements is no [`Text`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.into_iter().map(|text| bounded(text, MAX_TEXT)).collect()
    }
}

impl DateTime {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is no text, or no time as RFC 3339 writes it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        date_time(&Brief::deserialize(deserializer)?.0)
    }
}

impl UniqueId {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is no text, or no UUID of 36 characters.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        unique_id(&Brief::deserialize(deserializer)?.0)
    }
}

impl OptionalUniqueId {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is neither null nor a [`UniqueId`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        Option::<Brief<'de>>::deserialize(deserializer)?.map(|text| unique_id(&text.0)).transpose()
    }
}

/// Text that is looked at and not kept.
#[derive(Deserialize)]
struct Brief<'a>(#[serde(borrow)] Cow<'a, str>);
