use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;

use super::circuit::{CLOSE, CircuitState, REOPEN};
use super::{BreakerConfig, Change, Circuit, PROBE, Policy, Tally};
use crate::aws::Aws;
use crate::event::{Cause, Contract, Emission, SagaStyle};
use crate::row::{Key, Table};
use crate::rows::Rows;
use crate::spine::Spine;
use crate::transition::{Outcome, Transition, Written};
use crate::write::ConditionalWrite;
use crate::{Failure, telemetry};

/// What a failed task calls it when nobody calls the resource: a state machine waits longer then.
pub const CIRCUIT_OPEN: &str = "CircuitOpen";

/// How often a lost race is run again: each loss tells what the row has become.
const ATTEMPTS: usize = 4;

/// The right to call the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what the call met has to be told: settle it"]
pub enum Permit {
    /// The circuit is closed, in this period.
    Pass(String),
    /// The circuit is half-open, and this is the probe; it has opened so often before.
    Probe {
        /// Who probes.
        prober: String,
        /// How often in a row it has opened.
        trips: u32,
    },
}

/// What the calls made with a permit say about the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Nothing: there was no call.
    #[default]
    None,
    /// It answers; whether it granted what was asked is another matter.
    Answered,
    /// It is out of order.
    Failed,
}

/// Guards a resource. One per environment.
pub struct Breaker {
    spine: Spine,
    rows: Rows,
    circuits: Table<Circuit>,
    resource: &'static str,
    function: &'static str,
    policy: Policy,
    announce: fn(&Spine, Change) -> Result<Emission, Failure>,
    known: Mutex<Known>,
}

/// What this environment knows.
struct Known {
    circuit: Circuit,
    /// Epoch milliseconds of the last look at the row.
    looked: Option<i64>,
    tally: Tally,
}

impl Known {
    /// Takes the row for what it is.
    fn learn(&mut self, circuit: Circuit) {
        if circuit.period != self.circuit.period {
            self.tally = Tally::default();
        }
        self.circuit = circuit;
    }
}

impl Breaker {
    /// The breaker of `resource`, on behalf of `function`. Reads the row once, so that the first call need not. Changes of
    /// state are announced as `E`, through the spine's outbox.
    pub async fn open<E: Contract + From<Change>>(
        aws: &Aws,
        spine: &Spine,
        config: &BreakerConfig,
        resource: &'static str,
        function: &'static str,
    ) -> Self {
        let known = Known { circuit: Circuit::closed(resource), looked: None, tally: Tally::default() };
        let breaker = Self {
            spine: spine.clone(),
            rows: Rows::new(aws.dynamodb()),
            circuits: config.circuits.clone(),
            resource,
            function,
            policy: config.policy(),
            announce: |spine, change| spine.event(&Cause::root(SagaStyle::default(), None), &E::from(change)),
            known: Mutex::new(known),
        };
        breaker.look(&mut *breaker.known.lock().await).await;
        breaker
    }

    /// Asks to call the resource.
    ///
    /// # Errors
    /// [`Failure`], transient: with [`Failure::retry_after`] while nobody calls; else where DynamoDB could not decide who
    /// probes.
    pub async fn admit(&self) -> Result<Permit, Failure> {
        // Held while the row is read: whoever comes meanwhile waits for the one read instead of making another.
        let mut known = self.known.lock().await;
        self.look(&mut known).await;
        for _ in 0..ATTEMPTS {
            if known.circuit.status == CircuitState::Closed {
                return Ok(Permit::Pass(known.circuit.period.clone()));
            }
            if !known.circuit.is_due(self.now()) {
                break;
            }
            if let Some(probe) = self.elect(&mut known).await? {
                return Ok(probe);
            }
        }
        Err(self.refusal(&known.circuit))
    }

    /// Tells what the calls met that were made with a permit. It never fails: what cannot be told now is told with the
    /// next, and a probe of which nothing is heard ends with its lease.
    pub async fn settle(&self, permit: Permit, evidence: Evidence) {
        let mut known = self.known.lock().await;
        match (permit, evidence) {
            (_, Evidence::None) => {}
            (Permit::Pass(period), _)
                if period != known.circuit.period || known.circuit.status != CircuitState::Closed => {}
            (Permit::Pass(_), Evidence::Answered) => known.tally.answered(),
            (Permit::Pass(_), Evidence::Failed) => {
                known.tally.failed();
                self.tell(&mut known).await;
            }
            (Permit::Probe { prober, trips }, evidence) => {
                self.judge(&mut known, &prober, trips, evidence).await;
            }
        }
    }

    /// Looks at the row, if that is long enough ago.
    async fn look(&self, known: &mut Known) {
        let now = self.now();
        let fresh = |looked: i64| (looked..looked.saturating_add(self.policy.refresh)).contains(&now);
        if known.looked.is_some_and(fresh) {
            return;
        }
        known.looked = Some(now);
        if known.circuit.is_troubled() && known.tally.calls > 0 {
            // Boxed, as what follows a change: handlers nest so many futures that their layout would exceed the compiler's
            // depth limit.
            Box::pin(self.tell(known)).await;
        } else {
            match self.rows.read_eventually(&self.circuits, Key::of(self.resource)).await {
                // An eventually consistent read may show what was there before our own write.
                Ok(Some(found)) if found.revision > known.circuit.revision => known.learn(found),
                Ok(_) => {}
                Err(failure) => tracing::warn!(failure = failure.chain(), "the circuit could not be read"),
            }
        }
        self.gauge(known.circuit.status);
    }

    /// Writes what was seen since the last time, on top of what others wrote.
    async fn tell(&self, known: &mut Known) {
        for _ in 0..ATTEMPTS {
            if known.circuit.status != CircuitState::Closed {
                known.tally = Tally::default();
                return;
            }
            if known.tally.calls == 0 {
                return;
            }
            let counted = known.circuit.counted(known.tally, self.now(), &self.policy);
            let written = match Circuit::count(&self.circuits, &known.circuit, &counted) {
                Ok(write) => self.write_count(write, &counted).await,
                Err(failure) => Err(failure),
            };
            match written {
                Ok(None) => {
                    known.circuit = counted;
                    known.tally = Tally::default();
                    return;
                }
                Ok(Some(found)) => known.learn(found),
                Err(failure) => {
                    tracing::warn!(failure = failure.chain(), "the circuit could not be told");
                    return;
                }
            }
        }
    }

    /// `None` where it was written, else what stands there.
    async fn write_count(
        &self,
        write: ConditionalWrite<Circuit>,
        counted: &Circuit,
    ) -> Result<Option<Circuit>, Failure> {
        let refused = |row: Option<Circuit>| row.unwrap_or_else(|| Circuit::closed(self.resource));
        if counted.status != CircuitState::Closed {
            let refused_by = self.change(write, counted.change_from(CircuitState::Closed)).await?;
            return Ok(refused_by.map(refused));
        }
        Ok(match self.rows.write(write).await? {
            Written::Applied(_) => None,
            Written::Refused(row) => Some(refused(row)),
        })
    }

    /// Tries to become the prober.
    async fn elect(&self, known: &mut Known) -> Result<Option<Permit>, Failure> {
        let now = self.now();
        let prober = self.spine.ambient().new_id().to_string();
        let write = Circuit::probe(&self.circuits, self.resource, &prober, now, &self.policy);
        let mut probing = known.circuit.clone();
        probing.status = PROBE.to();
        probing.revision = probing.revision.saturating_add(1);
        probing.prober = Some(prober.clone());
        probing.until = now.saturating_add(self.policy.lease);
        match self.change(write, probing.change_from(known.circuit.status)).await? {
            None => {
                known.circuit = probing;
                Ok(Some(Permit::Probe { prober, trips: known.circuit.trips }))
            }
            Some(row) => {
                known.learn(row.unwrap_or_else(|| Circuit::closed(self.resource)));
                Ok(None)
            }
        }
    }

    /// The probe has met something.
    async fn judge(&self, known: &mut Known, prober: &str, trips: u32, evidence: Evidence) {
        let now = self.now();
        let mut next =
            Circuit { revision: known.circuit.revision.saturating_add(1), ..Circuit::closed(self.resource) };
        let write = if evidence == Evidence::Failed {
            next.status = REOPEN.to();
            next.period.clone_from(&known.circuit.period);
            next.trips = trips.saturating_add(1);
            next.until = now.saturating_add(self.policy.pause_of(next.trips));
            Circuit::reopen(&self.circuits, self.resource, prober, trips, now, &self.policy)
        } else {
            next.status = CLOSE.to();
            prober.clone_into(&mut next.period);
            Circuit::close(&self.circuits, self.resource, prober, now)
        };
        match self.change(write, next.change_from(CircuitState::HalfOpen)).await {
            Ok(None) => known.learn(next),
            Ok(Some(row)) => {
                tracing::info!(resource = self.resource, "the probe has outlived its lease");
                known.learn(row.unwrap_or_else(|| Circuit::closed(self.resource)));
            }
            Err(failure) => tracing::warn!(failure = failure.chain(), "the probe could not be told"),
        }
    }

    /// Changes the state and announces it. `None` where it was done, else the row that refused.
    async fn change(
        &self,
        write: ConditionalWrite<Circuit>,
        change: Change,
    ) -> Result<Option<Option<Circuit>>, Failure> {
        let (from, to) = (change.from, change.to);
        let event = (self.announce)(&self.spine, change)?;
        match Box::pin(self.spine.try_commit(Transition::guarded_by(write).emit(event))).await? {
            Outcome::Applied => {
                tracing::warn!(resource = self.resource, %from, %to, "the circuit changes");
                telemetry::report(self.function, "CircuitChanges", 1);
                self.gauge(to);
                Ok(None)
            }
            Outcome::Duplicate(row) => Ok(Some(row)),
        }
    }

    /// Reported whenever the row is looked at, so that there is a figure while there is traffic.
    fn gauge(&self, status: CircuitState) {
        telemetry::report(self.function, "CircuitOpen", u64::from(status != CircuitState::Closed));
    }

    fn refusal(&self, circuit: &Circuit) -> Failure {
        let wait = circuit.until.saturating_sub(self.now()).max(0);
        let spread = self.policy.spread(wait).mul_f64(fastrand::f64());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
        let what = format!("the circuit of {} is {}", self.resource, circuit.status);
        Failure::transient(what).named(CIRCUIT_OPEN).not_before(wait.saturating_add(spread))
    }

    fn now(&self) -> i64 {
        self.spine.ambient().now().as_millisecond()
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("resource", &self.resource).finish_non_exhaustive()
    }
}
