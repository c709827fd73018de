//! The whole system in one process and one thread, driven by one seed.
//!
//! The functions are the real ones, over the real SDK clients; what is simulated is what lies between them, as AWS
//! documents it, and everything that may go wrong there. What is deployed is read from `template.yaml`.
#![allow(clippy::indexing_slicing, reason = "a simulation fails by panicking")]

mod acknowledged;
mod calls;
pub mod campaign;
mod client;
pub mod clock;
pub mod connector;
pub mod cost;
pub mod executor;
pub mod fault;
pub mod functions;
pub mod options;
pub mod pattern;
pub mod planted;
pub mod queue;
pub mod receipts;
pub mod run;
mod scheduler;
pub mod stream;
pub mod system;
pub mod trace;
pub mod watch;
mod world;

pub use options::{Options, Story};
pub use run::{Outcome, SetupError, Simulator};
pub use watch::Violation;
pub use world::KillPoint;
