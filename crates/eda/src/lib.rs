//! Event-driven architecture on AWS Lambda: a toolkit without a domain.
//!
//! | concept | module |
//! |---|---|
//! | one atomic transition per event: guard, state, outbox | [`spine`], [`transition`], [`write`] |
//! | row state machines: which state may follow which | [`step`] |
//! | event contracts, metadata, versioned decoding | [`event`] |
//! | transactional outbox: relay and sweeper | [`outbox`] |
//! | the bus, for functions without state of their own | [`bus`] |
//! | event store: append, load, walk over all aggregates | [`event_store`] |
//! | snapshots, so that loading reads only what followed | [`snapshot`] |
//! | read models: projected, reconciled, rebuilt beside the live one | [`view`] |
//! | batches: partial failures, lanes, deadlines, parking | [`batch`] |
//! | circuit breaker, shared by all environments | [`breaker`] |
//! | windows of event time: watermark, lateness, corrections | [`window`] |
//! | single rows, where nothing is announced | [`rows`] |
//! | joins: parts that arrive in any order | [`join`] |
//! | steps of a saga, fed from a queue or called by a state machine | [`saga`] |
//! | executions of a state machine, started once per name | [`orchestrator`] |
//! | replays of archived events | [`replay`] |
//! | objects of S3, read a line at a time | [`objects`] |
//! | files of lines, taken in stretch by stretch | [`import`] |
//! | deduplication where no business row can guard | [`inbox`] |
//! | effects outside DynamoDB, without a row of one's own | [`idempotency`] |
//! | dead letters: collected, grouped by cause, retried (feature `dead-letters`) | `dead_letters` |
//! | failure taxonomy | [`failure`] |
//! | HTTP requests, responses and problem documents | [`http`] |
//! | reading what people send, and naming every wrong field | [`fields`] |
//! | clients, configuration, telemetry, serving | [`aws`], [`config`], [`telemetry`], [`serve`] |
//! | payment intents over HTTP | [`stripe`] |
//! | secrets | [`secret`] |

pub mod ambient;
pub mod aws;
pub mod batch;
pub mod breaker;
pub mod bus;
pub mod config;
#[cfg(feature = "dead-letters")]
pub mod dead_letters;
pub mod event;
pub mod event_store;
pub mod failure;
pub mod fields;
pub mod http;
pub mod idempotency;
pub mod import;
pub mod inbox;
pub mod join;
pub mod objects;
pub mod orchestrator;
pub mod outbox;
pub mod replay;
pub mod row;
pub mod rows;
pub mod saga;
pub mod secret;
pub mod serve;
pub mod snapshot;
pub mod spine;
pub mod step;
pub mod stripe;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transition;
pub mod view;
pub mod window;
pub mod write;

pub use failure::Failure;
