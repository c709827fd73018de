//! Events: contracts, metadata, versioned decoding.

mod contract;
mod decode;
mod emission;
mod metadata;
mod reading;
#[cfg(feature = "schema")]
pub mod schema;
mod strict;
pub mod wire;

pub use contract::{Channels, Contract, First, Past, Version, versions};
pub use decode::{BusEvent, DecodeError, Event, Message};
pub use emission::Emission;
pub use metadata::{Cause, Metadata, SagaStyle, made_at};
