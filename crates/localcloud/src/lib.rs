//! The local cloud: the very template that goes to AWS, deployed on one machine, without Docker and without an account.
//!
//! [`LocalCloud::up`] installs pinned tools below `target/`, builds the functions, starts an emulator of the AWS APIs and
//! a payment gateway on free ports, deploys with SAM and fills in customers and stock. [`Stack`] is the deployed
//! system as a test or a demonstration sees it. Dropping a [`LocalCloud`] leaves nothing behind; any number of them can
//! run at the same time.

mod aws;
mod cloud;
pub mod demo;
mod emulator;
mod error;
pub mod gateway;
mod http;
mod lock;
mod payment;
mod process;
mod progress;
pub mod rehearsal;
mod sam;
mod seed;
mod stack;
mod state;
mod tap;
mod tools;
mod workspace;

pub use cloud::{EmptyCloud, LocalCloud, Options, Timings};
pub use error::Error;
pub use http::Answer;
pub use payment::{GatewayHost, serve_gateway};
pub use progress::{Progress, Step};
pub use seed::{Customer, Product, customers, products, sample_order};
pub use stack::{Invocation, QueueDepth, Stack};
pub use state::Running;
pub use tools::Tools;
pub use workspace::{INSTANCES, Workspace};
