//! Event-driven architecture on AWS Lambda: a toolkit without a domain.
//!
//! | concept | module |
//! |---|---|
//! | one atomic transition per event: guard, state, outbox | [`spine`], [`transition`], [`write`] |
//! | row state machines: which state may follow which | [`step`] |
//! | event contracts, metadata, versioned decoding | [`event`] |
//! | transactional outbox: relay and sweeper | [`outbox`] |
//! | event store: append, load | [`event_store`] |
//! | batches: partial failures, lanes, deadlines, parking | [`batch`] |
//! | single rows, where nothing is announced | [`rows`] |
//! | joins: parts that arrive in any order | [`join`] |
//! | deduplication where no business row can guard | [`inbox`] |
//! | effects outside DynamoDB, without a row of one's own | [`idempotency`] |
//! | failure taxonomy | [`failure`] |
//! | HTTP requests, responses and problem documents | [`http`] |
//! | reading what people send, and naming every wrong field | [`fields`] |
//! | clients, configuration, telemetry, serving | [`aws`], [`config`], [`telemetry`], [`serve`] |
//! | payment intents over HTTP | [`stripe`] |
//! | secrets | [`secret`] |

pub mod ambient;
pub mod aws;
pub mod batch;
pub mod config;
pub mod event;
pub mod event_store;
pub mod failure;
pub mod fields;
pub mod http;
pub mod idempotency;
pub mod inbox;
pub mod join;
pub mod outbox;
pub mod row;
pub mod rows;
pub mod secret;
pub mod serve;
pub mod spine;
pub mod step;
pub mod stripe;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transition;
pub mod write;

pub use failure::Failure;
