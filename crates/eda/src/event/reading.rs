//! Reads an event's `detail` in one pass: `version` and `metadata` on the way, all else as the payload's type.
//!
//! serde alone takes a list for a struct, and an object for an enum's name. A schema cannot say so, and nobody sends that on
//! purpose: here an object is an object, whatever type reads it.

use std::borrow::Cow;

use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, IntoDeserializer, MapAccess,
    Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::metadata::Metadata;
use super::strict::Strict;

/// What stands beside the payload.
#[derive(Debug, Default)]
pub struct Frame {
    version: bool,
    metadata: Option<Option<Metadata>>,
}

impl Frame {
    /// The metadata that was read, if there was any.
    pub(super) fn into_metadata(self) -> Option<Metadata> {
        self.metadata.flatten()
    }
}

/// Reads the payload as a `T`, and the rest into the frame.
///
/// Where that fails it is done again, slower, to learn in which field.
pub(super) fn parse<T: DeserializeOwned>(detail: &str, frame: &mut Frame) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(detail);
    if let Ok(read) = T::deserialize(Framed { inner: Strict(&mut json), frame })
        && json.end().is_ok()
    {
        return Ok(read);
    }
    located(detail, |json, track| {
        let inner = serde_path_to_error::Deserializer::new(json, track);
        T::deserialize(Framed { inner, frame: &mut Frame::default() })
    })
}

/// The version of a detail. One without a version, or with null for it, is of version 1.0.
///
/// # Errors
/// What is wrong with the field, or with the detail as a whole.
pub(super) fn version_of(detail: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    // Old producers sent none. To look for the word is quicker than to read all members, and nearly always enough; with
    // an escape in the text the word may be written in another way.
    if !detail.contains("version") && !detail.contains('\\') {
        return Ok(Cow::Borrowed("1.0"));
    }
    let mut found = None;
    let mut json = serde_json::Deserializer::from_str(detail);
    let whole = Peek(&mut found).deserialize(Strict(&mut json));
    match (found, whole) {
        // All that comes after it is read later, as what it says it is.
        (Some(version), _) => Ok(version),
        (None, Ok(())) => Ok(Cow::Borrowed("1.0")),
        (None, Err(_)) => {
            located(detail, |json, track| {
                Peek(&mut None).deserialize(serde_path_to_error::Deserializer::new(json, track))
            })?;
            Ok(Cow::Borrowed("1.0"))
        }
    }
}

/// Reads with a track of where it is, and names the place in the error.
fn located<'a, T>(
    detail: &'a str,
    read: impl FnOnce(
        Strict<&mut serde_json::Deserializer<serde_json::de::StrRead<'a>>>,
        &mut serde_path_to_error::Track,
    ) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_str(detail);
    let read = read(Strict(&mut json), &mut track);
    let read = read.and_then(|read| json.end().map(|()| read));
    read.map_err(|error| match track.path().to_string().as_str() {
        "." => error,
        path => serde_json::Error::custom(format!("{path}: {error}")),
    })
}

/// Looks for the first member called `version` and stops there.
struct Peek<'a, 'de>(&'a mut Option<Cow<'de, str>>);

impl<'de> DeserializeSeed<'de> for Peek<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Peek<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if key == "version" {
                if let Some(Text(version)) = map.next_value::<Option<Text<'_>>>()? {
                    *self.0 = Some(version);
                    return Ok(());
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A text, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;

        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrow)
    }
}

/// Gives a payload's type its members and keeps those of the frame.
struct Framed<'a, D> {
    inner: D,
    frame: &'a mut Frame,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Framed<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(FramedVisitor { visitor, frame: self.frame })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct FramedVisitor<'a, V> {
    visitor: V,
    frame: &'a mut Frame,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for FramedVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.visitor.visit_map(FramedMap { map, frame: self.frame })
    }
}

struct FramedMap<'a, A> {
    map: A,
    frame: &'a mut Frame,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for FramedMap<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Text(key)) = self.map.next_key()? {
            match &*key {
                "version" if self.frame.version => return Err(A::Error::duplicate_field("version")),
                "version" => {
                    self.frame.version = true;
                    self.map.next_value::<Option<Text<'_>>>()?;
                }
                "metadata" if self.frame.metadata.is_some() => {
                    return Err(A::Error::duplicate_field("metadata"));
                }
                "metadata" => self.frame.metadata = Some(self.map.next_value()?),
                _ => {
                    let key: CowStrDeserializer<'_, A::Error> = key.into_deserializer();
                    return seed.deserialize(key).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
