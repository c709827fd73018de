//! Transactional outbox: events wait in a table, written by the transition that caused them, until they are published.
//!
//! The relay follows the table's stream; what it could not publish stays, and the sweeper publishes it later. A row
//! is deleted only after the bus has taken it, so an event may be published twice and is never lost.

mod publish;
mod row;
mod sweeper;

pub use publish::{Published, Publisher, PublisherConfig};
pub use row::OutboxRow;
pub use sweeper::{MIN_AGE, Swept};
