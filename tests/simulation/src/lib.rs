//! The whole system in one process and one thread, driven by one seed.
//!
//! The functions are the real ones, over the real SDK clients; what is simulated is what lies between them, as AWS
//! documents it, and everything that may go wrong there. What is deployed is read from `template.yaml`.
#![allow(clippy::indexing_slicing, reason = "a simulation fails by panicking")]

/// Runs allocate all the time, on one thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod acknowledged;
pub mod asl;
pub mod asynchronous;
mod bus;
mod calls;
pub mod campaign;
mod client;
pub mod clock;
pub mod connector;
pub mod cost;
pub mod ends;
pub mod execution;
pub mod executor;
pub mod facts;
pub mod fault;
mod feed;
pub mod fifo;
pub mod functions;
mod imports;
pub mod letters;
mod mappings;
pub mod options;
mod orchestrate;
pub mod planted;
pub mod queue;
pub mod receipts;
mod releases;
pub mod run;
pub mod sales;
mod scheduler;
pub mod shortages;
pub mod stream;
pub mod system;
pub mod trace;
mod views;
pub mod watch;
mod world;

pub use bus::Delivered;
pub use eda::testing::pattern;
pub use options::{LostTask, Options};
pub use run::{Outcome, SetupError, Simulator};
pub use simulation_cli::{KillPoint, Kind, Planted, Story, Worth};
pub use watch::Violation;
