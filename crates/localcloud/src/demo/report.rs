//! What a demonstration came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use eda::event::SagaStyle;
use serde::Serialize;

use super::scenario::{End, Scenario};

/// How every order ended, and whether the system kept its promises.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The orders, counted.
    pub orders: Orders,
    /// The orders, one by one.
    pub sagas: Vec<Saga>,
    /// The promises.
    pub invariants: Vec<Invariant>,
    /// Events that nobody has published.
    pub outbox_pending: usize,
    /// Messages in each dead-letter queue: the poison that the demonstration put on the queues, and nothing else.
    pub dlq: BTreeMap<String, u64>,
    /// How long the parts took.
    pub timings: Timings,
}

/// The orders, counted.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Orders {
    /// All.
    pub placed: usize,
    /// Fulfilled.
    pub confirmed: usize,
    /// Undone.
    pub cancelled: usize,
    /// Without an end.
    pub unfinished: usize,
}

/// An order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saga {
    /// Its id.
    pub order_id: String,
    /// Who coordinated it: `choreographed` or `orchestrated`.
    pub saga: SagaStyle,
    /// Its story.
    pub scenario: Scenario,
    /// How it had to end.
    pub expected: End,
    /// How it ended.
    pub outcome: End,
    /// Its events, in the order in which the bus had them.
    pub events: Vec<String>,
    /// From the request to its end as its customer sees it.
    pub duration_ms: u64,
}

/// A promise of the system.
#[derive(Debug, Clone, Serialize)]
pub struct Invariant {
    /// The promise.
    pub name: &'static str,
    /// Whether it was kept.
    pub holds: bool,
    /// What was counted, or what broke it.
    pub detail: String,
}

/// How long the parts took, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// Installing the tools.
    pub tools_ms: u64,
    /// Building the functions.
    pub build_ms: u64,
    /// Starting the servers, deploying, seeding.
    pub deploy_ms: u64,
    /// From the first order to the last check.
    pub orders_ms: u64,
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Report {
    /// The promises that were not kept. Orders that ended otherwise than their story says are among them.
    pub fn broken(&self) -> impl Iterator<Item = &Invariant> {
        self.invariants.iter().filter(|invariant| !invariant.holds)
    }
}

/// A table for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for saga in &self.sagas {
            let mark = if saga.outcome == saga.expected { '✓' } else { '✗' };
            let seconds = Duration::from_millis(saga.duration_ms).as_secs_f64();
            let id = saga.order_id.get(..8).unwrap_or(&saga.order_id);
            writeln!(
                f,
                "{mark} {id}  {:13}  {:21}  {:10} {seconds:6.1} s  {}",
                saga.saga.name(),
                saga.scenario,
                saga.outcome,
                chain(saga)
            )?;
        }
        writeln!(f)?;
        for invariant in &self.invariants {
            writeln!(f, "{} {invariant}", if invariant.holds { '✓' } else { '✗' })?;
        }
        let Orders { placed, confirmed, cancelled, unfinished } = self.orders;
        let seconds = Duration::from_millis(self.timings.orders_ms).as_secs_f64();
        writeln!(
            f,
            "\n{placed} orders in {seconds:.1} s: {confirmed} confirmed, {cancelled} cancelled, {unfinished} unfinished"
        )
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

fn chain(saga: &Saga) -> String {
    saga.events.join(" → ")
}
