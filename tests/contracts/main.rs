//! The contracts between the template and the code: what one side names, the other has.

// Clippy exempts the test functions of a suite, but not what they call.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod alarms;
mod configuration;
mod grants;
mod inspect;
mod packages;
mod patterns;
mod queues;
mod routing;
mod samples;
mod streams;
mod tables;
