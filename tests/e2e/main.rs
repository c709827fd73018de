//! End to end: the template deployed by SAM, real binaries, HTTP in, results out of the real tables and queues.
//!
//! A cloud of one's own is half a minute: tests that leave others in peace share one.

// Clippy exempts the test functions of a suite, but not what they call.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

/// Named so that a run of all other tests can leave these out: `cargo test --workspace -- --skip end_to_end::`.
#[path = "."]
mod end_to_end {
    mod activity;
    mod clouds;
    mod commands;
    mod contract;
    mod damaged;
    mod imports;
    mod interruption;
    mod kills;
    mod openapi;
    mod ops;
    mod overload;
    mod partner;
    mod processes;
    mod readme;
    mod rebuild;
    mod replays;
    mod sagas;
    mod samples;
    mod watch;
    mod xtask;
}
