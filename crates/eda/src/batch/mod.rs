//! Batches of messages: partial failures, lanes, deadlines, parking.

mod deadline;
mod doorbell;
mod facts;
mod lanes;
mod ordered;
mod parking;
mod queue;
mod sequence;
mod stream;
mod stretch;
mod together;

pub use deadline::Deadline;
pub use doorbell::{Doorbell, Projection, project_each};
pub use facts::{FactConsumer, FactWorker, FactsConfig};
pub use lanes::lanes;
pub use ordered::OrderedWorker;
pub use parking::{Parking, ParkingConfig};
pub use queue::{Consumer, QueueWorker};
pub use sequence::{GIVEN_UP, HeldGroup, PLACE, SequencesConfig};
pub use stream::{Change, FailedAt, Image, StreamConsumer, StreamWorker};
pub use stretch::{LongConsumer, LongWorker, Stretch};
pub use together::{BatchConsumer, BatchWorker};

/// How many lanes of a batch run at once. Mapping batches hold ten messages.
pub const CONCURRENCY: usize = 10;
