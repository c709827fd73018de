//! Testing: the real SDK clients over an in-process cloud, as the template deploys it.

mod cloud;
pub mod decider;
pub mod dynamodb;
mod history;
pub mod interpret;
mod messages;
pub mod pattern;
pub mod template;
pub mod transform;
pub mod wire;

pub use cloud::{Call, Death, Fault, TestCloud};
pub use messages::{
    bus_event, message_batch, ordered_message, queue_batch, queue_message, stored_event, stream_batch,
    stream_changes,
};
