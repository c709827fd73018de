use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reading::{Frame, parse};

/// One version of an event: the type that reads it, and the version before it.
///
/// Versions form a chain. Each knows the one before and how to lift it by one step, so that a new version adds one step
/// and touches none of the others.
///
/// ```
/// use eda::event::{First, Version};
///
/// #[derive(serde::Deserialize)] struct OpenedV1 { door: String }
/// #[derive(serde::Deserialize)] struct Opened { door: String, width: u32 }
///
/// impl Version for OpenedV1 { const VERSION: &'static str = "1.0"; type Before = First; }
/// impl Version for Opened { const VERSION: &'static str = "2.0"; type Before = OpenedV1; }
///
/// /// The step: doors were a hundred wide before they said how wide.
/// impl From<OpenedV1> for Opened {
///     fn from(old: OpenedV1) -> Self { Self { door: old.door, width: 100 } }
/// }
/// ```
pub trait Version: DeserializeOwned + 'static {
    /// What `version` says in an event of this version.
    const VERSION: &'static str;
    /// The version before, or [`First`].
    type Before: Past<Self>;
}

/// An event contract: who says it, what it is called, and, as a [`Version`], its newest version.
///
/// The payload's fields lie flat in the event's `detail`, beside `version` and `metadata`.
pub trait Contract: Version + Serialize {
    /// The bus's `source`.
    const SOURCE: &'static str;
    /// The bus's `detail-type`.
    const DETAIL_TYPE: &'static str;

    /// Which channels carry it.
    const CHANNELS: Channels = Channels::Bus;

    /// Events of the same key are ordered and handled one after another.
    fn ordering_key(&self) -> &str;

    /// Whom it concerns: the ordered channels keep the order of events of the same group.
    fn group(&self) -> &str {
        self.ordering_key()
    }
}

/// Which channels carry an event, the ordered ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// The bus alone.
    Bus,
    /// The ordered queue, then the bus.
    Ordered,
    /// The ordered queue and the stream of facts that are counted, then the bus.
    Counted,
}

/// All versions before `T`. Implemented for each [`Version`] that `T` can be made from, and for [`First`].
pub trait Past<T> {
    /// Reads `detail` if it is of one of these versions, and lifts it to `T`, step by step.
    #[doc(hidden)]
    fn read(version: &str, detail: &str, frame: &mut Frame) -> Option<Result<T, serde_json::Error>>;
    /// Adds these versions, oldest first.
    #[doc(hidden)]
    fn list(versions: &mut Vec<&'static str>);
}

/// Before the first version there is none.
#[derive(Clone, Copy, Debug)]
pub enum First {}

impl<T> Past<T> for First {
    fn read(_: &str, _: &str, _: &mut Frame) -> Option<Result<T, serde_json::Error>> {
        None
    }

    fn list(_: &mut Vec<&'static str>) {}
}

impl<T: From<P>, P: Version> Past<T> for P {
    fn read(version: &str, detail: &str, frame: &mut Frame) -> Option<Result<T, serde_json::Error>> {
        Some(read::<P>(version, detail, frame)?.map(T::from))
    }

    fn list(versions: &mut Vec<&'static str>) {
        list::<P>(versions);
    }
}

/// Reads `detail` as a `T`, from whichever version it is; `None` where no version is called so.
pub(super) fn read<T: Version>(
    version: &str,
    detail: &str,
    frame: &mut Frame,
) -> Option<Result<T, serde_json::Error>> {
    if version == T::VERSION { Some(parse(detail, frame)) } else { T::Before::read(version, detail, frame) }
}

fn list<T: Version>(versions: &mut Vec<&'static str>) {
    T::Before::list(versions);
    versions.push(T::VERSION);
}

/// All versions of an event that can be read, oldest first.
#[must_use]
pub fn versions<T: Version>() -> Vec<&'static str> {
    let mut versions = Vec::new();
    list::<T>(&mut versions);
    versions
}
