//! Batches of messages: partial failures, lanes, deadlines, parking.

mod deadline;
mod doorbell;
mod lanes;
mod parking;
mod queue;
mod stream;

pub use deadline::Deadline;
pub use doorbell::{Doorbell, Projection, project_each};
pub use lanes::lanes;
pub use parking::{Parking, ParkingConfig};
pub use queue::{Consumer, QueueWorker};
pub use stream::{FailedAt, StreamConsumer, StreamWorker};

/// How many lanes of a batch run at once. Mapping batches hold ten messages.
pub const CONCURRENCY: usize = 10;
