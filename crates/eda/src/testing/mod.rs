//! Testing: the real SDK clients over an in-process cloud, as the template deploys it.

mod cloud;
pub mod decider;
pub mod dynamodb;
mod history;
pub mod interpret;
mod messages;
pub mod template;
pub mod wire;

pub use cloud::{Call, Fault, TestCloud};
pub use messages::{bus_event, queue_batch, queue_message, stream_batch};
