//! Events: contracts, metadata, versioned decoding.

mod contract;
mod decode;
mod emission;
mod metadata;

pub use contract::{Contract, Upcast, parse_version};
pub use decode::{BusEvent, DecodeError, Event, Message};
pub use emission::Emission;
pub use metadata::{Cause, Metadata, SagaStyle};
