//! The contracts between the template and the code: what one side names, the other has.

// Clippy exempts the test functions of a suite, but not what they call.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod alarms;
mod configuration;
mod grants;
mod growth;
mod inspect;
mod packages;
mod partner;
mod patterns;
mod pressure;
mod queues;
mod routing;
mod rule_patterns;
mod runbook;
mod samples;
mod state_machine;
mod streams;
mod tables;
