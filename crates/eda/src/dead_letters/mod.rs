//! Dead letters: taken out of every queue that they end in, grouped by cause, and retried to success.
//!
//! A message that could not be handled is parked with its reason ([`batch`](crate::batch)), or moved by SQS, EventBridge
//! or Lambda. The [`Collector`] writes each into one table, with a [`Fingerprint`] that failures of one cause share, and
//! only then lets go of it. At the [`Desk`] somebody looks at them, retries, edits and archives them.

pub mod attribute;
mod collector;
mod desk;
mod fingerprint;
mod letter;
mod records;
mod retry;
mod row;

pub use collector::{BodyStore, Collector, CollectorConfig, Drained, MOST_INLINE, Taken};
pub use desk::{Desk, DeskConfig, Edited, Group, Selection};
pub use fingerprint::{Fingerprint, cause};
pub use letter::{About, Diagnosis, Letter, Source, StreamRange, diagnose};
pub use retry::{Retried, Routes};
pub use row::{
    ARCHIVE, Body, CLAIM, FAIL, FailedMessage, FailureState, GROUP_INDEX, Happening, KEEP_DAYS, REPLACE, SENT,
};
