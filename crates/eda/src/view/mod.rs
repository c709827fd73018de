//! Views: read models, one row per aggregate, each the fold of the aggregate's events.
//!
//! A view is built in generations. All rows of one generation are complete and current, or on the way to it. The rows of two
//! generations lie beside each other; those of a third take the place of the first's.

mod generations;
mod projector;
mod rebuild;
mod reconcile;

use crate::Failure;
use crate::event_store::Fold;
use crate::row::{Key, Row};

pub use generations::{
    Build, BuildState, Current, Generations, KEEP_PREVIOUS, READERS_LAG, Refused, Stretch, WRITERS_LAG,
};
pub use projector::Projector;
pub use rebuild::{Rebuild, Settings};
pub use reconcile::{Place, Reconciled, Reconciliation};

/// The generation that a view begins with.
pub const FIRST_GENERATION: u64 = 1;

/// Name of the attribute that holds a row's generation.
pub const GENERATION: &str = "generation";

/// Name of the attribute that holds the version of the last event in a row.
pub const CHECKPOINT: &str = "checkpoint";

/// A row of a view. Its attributes [`GENERATION`] and [`CHECKPOINT`] say what is in it.
pub trait View: Row + Send + Sync {
    /// What its events are folded into.
    type State: Fold;

    /// The partition key of an aggregate's row of this generation; generations of one [`place`] share it.
    fn id(aggregate_id: &str, generation: u64) -> String;

    /// The key of an aggregate's row of this generation.
    fn key(aggregate_id: &str, generation: u64) -> Key<Self> {
        Key::of(Self::id(aggregate_id, generation))
    }

    /// The row of this state.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where it has no stored form.
    fn of(state: &Self::State, generation: u64) -> Result<Self, Failure>;

    /// Which generation it belongs to.
    fn generation(&self) -> u64;

    /// Version of the last event in it.
    fn checkpoint(&self) -> u64;

    /// What it holds; `None` where it was written in a form of earlier days.
    fn state(&self) -> Option<Self::State>;
}

/// Which of the two places of an aggregate's rows a generation has.
#[must_use]
pub const fn place(generation: u64) -> u64 {
    generation % 2
}
