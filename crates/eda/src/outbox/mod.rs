//! Transactional outbox: events wait in a table, written by the transition that caused them, until they are published.
//!
//! The relay follows the table's stream; what it could not publish stays, and the sweeper publishes it later. A row
//! is deleted only after all its channels have taken it, so an event may be published twice and is never lost. The ordered
//! channels, a FIFO queue for those who need events in order and a stream for those who count them, have an event before the
//! bus has it.

mod channels;
mod ordered;
mod publish;
mod row;
mod sweeper;

pub use publish::{Published, Publisher, PublisherConfig};
pub use row::OutboxRow;
pub use sweeper::{MIN_AGE, Swept};
