//! The circuit's row: a state machine, and the writes that move it, each under its own condition.

use serde::{Deserialize, Serialize};

use super::{Policy, Tally};
use crate::Failure;
use crate::row::{Key, Row, Table};
use crate::states;
use crate::step::{State, Step};
use crate::write::{Condition, ConditionalWrite};

states! {
    /// Where a circuit stands.
    pub enum CircuitState {
        /// Everybody calls.
        Closed = "closed",
        /// Nobody calls before `until`.
        Open = "open",
        /// The prober calls; nobody else does before `until`, when its lease ends.
        HalfOpen = "half-open",
    }
}

use CircuitState::{Closed, HalfOpen, Open};

impl std::fmt::Display for CircuitState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Calls are counted, and the circuit stays closed.
pub const COUNT: Step<CircuitState> = Step::new(&[None, Some(Closed)], Closed);
/// Calls are counted, and there were too many failures.
pub const TRIP: Step<CircuitState> = Step::new(&[None, Some(Closed)], Open);
/// A prober is elected.
pub const PROBE: Step<CircuitState> = Step::new(&[Some(Open), Some(HalfOpen)], HalfOpen);
/// The probe was answered.
pub const CLOSE: Step<CircuitState> = Step::new(&[Some(HalfOpen)], Closed);
/// The probe failed.
pub const REOPEN: Step<CircuitState> = Step::new(&[Some(HalfOpen)], Open);

/// Calls of a part of the window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// Epoch milliseconds when it began.
    pub at: i64,
    /// Calls that were told.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
}

/// The circuit of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Circuit {
    /// The resource that it guards.
    pub resource: String,
    /// Where it stands.
    pub status: CircuitState,
    /// The probe that closed it last; empty where it has always been closed. What was seen in one period says nothing about
    /// another.
    #[serde(default)]
    pub period: String,
    /// How often the row was written: of two copies the one with more is newer.
    pub revision: u64,
    /// Failures in a row, as far as told.
    #[serde(default)]
    pub consecutive: u32,
    /// The window, oldest first; empty where nothing has failed lately.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// How often in a row it has opened.
    #[serde(default)]
    pub trips: u32,
    /// Epoch milliseconds before which nobody calls, but the prober if there is one.
    #[serde(default)]
    pub until: i64,
    /// Who probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prober: Option<String>,
    /// Epoch milliseconds when it came into its state.
    #[serde(default)]
    pub since: i64,
}

impl Row for Circuit {
    const NAME: &'static str = "circuit";
    const PARTITION_KEY: &'static str = "resource";
}

/// The circuit came into another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The resource that it guards.
    pub resource: String,
    /// Where it stood.
    pub from: CircuitState,
    /// Where it stands now.
    pub to: CircuitState,
    /// How often in a row it has opened; 0 where it is closed.
    pub trips: u32,
    /// Epoch milliseconds before which nobody calls; none where it is closed.
    pub until: Option<i64>,
}

impl Circuit {
    /// A circuit of which nothing is known.
    #[must_use]
    pub fn closed(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            status: Closed,
            period: String::new(),
            revision: 0,
            consecutive: 0,
            slices: Vec::new(),
            trips: 0,
            until: 0,
            prober: None,
            since: 0,
        }
    }

    /// Whether failures stand in the window, so that every environment's calls are worth telling.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.status == Closed && !self.slices.is_empty()
    }

    /// Whether a prober may be elected.
    #[must_use]
    pub fn is_due(&self, now: i64) -> bool {
        PROBE.allowed(Some(self.status)) && self.until <= now
    }

    /// It with what an environment has seen: closed still, or open because there were too many failures.
    #[must_use]
    pub fn counted(&self, tally: Tally, now: i64, policy: &Policy) -> Self {
        let mut next = self.clone();
        next.revision = self.revision.saturating_add(1);
        next.slices.retain(|slice| slice.at > now.saturating_sub(policy.window));
        // Failures of long ago are no failures in a row with those of now.
        let before = if next.slices.is_empty() { 0 } else { self.consecutive };
        next.consecutive = tally.after(before);
        let at = policy.slice_of(now);
        match next.slices.last_mut() {
            // A clock that is behind counts in the newest slice.
            Some(last) if last.at >= at => {
                last.calls = last.calls.saturating_add(tally.calls);
                last.failures = last.failures.saturating_add(tally.failures);
            }
            _ => next.slices.push(Slice { at, calls: tally.calls, failures: tally.failures }),
        }
        let sum = |count: fn(&Slice) -> u32| next.slices.iter().map(count).fold(0, u32::saturating_add);
        let (calls, failures) = (sum(|slice| slice.calls), sum(|slice| slice.failures));
        if failures == 0 {
            next.slices.clear();
        } else if policy.opens(next.consecutive, failures, calls) {
            next.trips = 1;
            next.status = Open;
            next.until = now.saturating_add(policy.pause_of(1));
            next.since = now;
        }
        next
    }

    /// Writes what an environment has seen since it last told. Counted is on top of the row as it was read, and
    /// only if it still is so.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn count(
        table: &Table<Self>,
        read: &Self,
        counted: &Self,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let step = if counted.status == Open { TRIP } else { COUNT };
        let unchanged = match read.revision {
            0 => Condition::absent(Self::PARTITION_KEY),
            revision => Condition::equals("revision", revision),
        };
        Ok(table.put(counted)?.step(step).and(unchanged))
    }

    /// The environment becomes the prober: once the circuit is due, and again once a prober's lease has ended.
    #[must_use]
    pub fn probe(
        table: &Table<Self>,
        resource: &str,
        prober: &str,
        now: i64,
        policy: &Policy,
    ) -> ConditionalWrite<Self> {
        table
            .update(Key::of(resource))
            .add("revision", 1)
            .set("prober", prober)
            .set("until", now.saturating_add(policy.lease))
            .set("since", now)
            .step(PROBE)
            .and(Condition::at_most("until", now))
    }

    /// The probe was answered: a new period begins. Only for the prober that still holds the lease.
    #[must_use]
    pub fn close(table: &Table<Self>, resource: &str, prober: &str, now: i64) -> ConditionalWrite<Self> {
        Self::closing(table, resource, prober, now).step(CLOSE).and(Condition::equals("prober", prober))
    }

    /// The probe failed: the next one has to wait, longer than this one had to. Only for the prober that still holds the
    /// lease; `trips` is how often it has opened before.
    #[must_use]
    pub fn reopen(
        table: &Table<Self>,
        resource: &str,
        prober: &str,
        trips: u32,
        now: i64,
        policy: &Policy,
    ) -> ConditionalWrite<Self> {
        let trips = trips.saturating_add(1);
        table
            .update(Key::of(resource))
            .add("revision", 1)
            .set("trips", trips)
            .set("until", now.saturating_add(policy.pause_of(trips)))
            .set("since", now)
            .remove("prober")
            .step(REOPEN)
            .and(Condition::equals("prober", prober))
    }

    /// Closes it by hand, for an operator who knows more than the next probe would find out; `period` is new, as an id is.
    #[must_use]
    pub fn close_by_hand(
        table: &Table<Self>,
        resource: &str,
        period: &str,
        now: i64,
    ) -> ConditionalWrite<Self> {
        Self::closing(table, resource, period, now).step(Step::new(&[Some(Open), Some(HalfOpen)], Closed))
    }

    /// Opens it by hand, until then (epoch milliseconds), for an operator who knows of an outage before the calls do. It has opened
    /// so often before.
    #[must_use]
    pub fn open_by_hand(
        table: &Table<Self>,
        resource: &str,
        trips: u32,
        until: i64,
        now: i64,
    ) -> ConditionalWrite<Self> {
        let write = table.update(Key::of(resource)).add("revision", 1).set("trips", trips.max(1));
        let write = write.set("until", until).set("since", now).remove("prober");
        write.step(Step::new(&[Some(Closed), Some(Open), Some(HalfOpen)], Open))
    }

    fn closing(table: &Table<Self>, resource: &str, period: &str, now: i64) -> crate::write::Write<Self> {
        let write = table.update(Key::of(resource)).add("revision", 1).set("period", period);
        let write = write.set("consecutive", 0_u32).set("trips", 0_u32).set("until", 0_i64).set("since", now);
        write.remove("slices").remove("prober")
    }

    /// What changed, if its state did.
    #[must_use]
    pub fn change_from(&self, from: CircuitState) -> Change {
        let (resource, to, trips) = (self.resource.clone(), self.status, self.trips);
        Change { resource, from, to, trips, until: (to != Closed).then_some(self.until) }
    }
}
