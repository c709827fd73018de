//! A circuit breaker that all environments of all functions share: one row per guarded resource.
//!
//! `closed` → `open` → `half-open` → `closed`, or back to `open`. While it is closed, everybody calls. Failures, in a row
//! or in a share of a sliding window, open it: nobody calls until the row's `until`, and what waits for the resource
//! waits with [`Failure::retry_after`](crate::Failure::retry_after) instead of trying in vain. Then one environment is
//! elected and leased the probe: what its call meets closes the circuit, or opens it again, for longer each time. Every
//! change of the row is conditional ([`Circuit`]), so whoever lost a race learns what won it; a prober that outlived its
//! lease changes nothing, and what was seen before the circuit closed says nothing about the time after.
//!
//! # What it costs
//!
//! While it is closed and healthy, an environment reads the row once per [`refresh`](BreakerConfig::refresh_seconds) and only
//! when it has something to call for: an eventually consistent read, half a read unit. Nothing is written: successes are
//! counted in the environment and told with the next failure. A failure is one write. While failures stand in the window,
//! an environment tells its count once per refresh instead of reading, so that the rate is a rate of all calls. A
//! change of state is a transaction, with the event that announces it.
//!
//! Where the row cannot be read, the last that was known of it counts, and a circuit of which nothing is known is closed:
//! a breaker must not become the outage it guards against.

mod circuit;
mod guard;
mod policy;
mod tally;

pub use circuit::{CLOSE, COUNT, Change, Circuit, CircuitState, PROBE, REOPEN, Slice, TRIP};
pub use guard::{Breaker, CIRCUIT_OPEN, Evidence, Permit};
pub use policy::{BreakerConfig, Policy};
pub use tally::Tally;
