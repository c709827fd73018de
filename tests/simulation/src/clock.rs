//! Time and identifiers: one virtual clock, read by every function with a skew of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eda::ambient::{Ambient, Source};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

/// Where the clock stands when a run begins: 2026-01-15T10:30:00Z.
const START: i64 = 1_768_473_000;

/// The run's clock. It is tokio's, paused: it moves when nothing else can.
#[derive(Clone)]
pub struct Clock {
    origin: Instant,
    ids: Arc<Mutex<Rng>>,
}

impl Clock {
    /// Starts now; `seed` decides the identifiers. Must be called within the runtime.
    #[must_use]
    pub fn start(seed: u64) -> Self {
        Self { origin: Instant::now(), ids: Arc::new(Mutex::new(Rng::with_seed(seed))) }
    }

    /// Time since the run began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.origin)
    }

    /// The wall clock's time, without skew.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::ZERO);
        let start = Timestamp::from_second(START).unwrap_or(Timestamp::UNIX_EPOCH);
        start.saturating_add(elapsed).unwrap_or(start)
    }

    /// The clock as a machine sees it that is off by `skew`.
    #[must_use]
    pub fn skewed(&self, skew: SignedDuration) -> Ambient {
        Ambient::from_source(Skewed { clock: self.clone(), skew })
    }
}

struct Skewed {
    clock: Clock,
    skew: SignedDuration,
}

impl Source for Skewed {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.saturating_add(self.skew).unwrap_or(now)
    }

    fn new_id(&self) -> Uuid {
        let mut bits = [0; 10];
        self.clock.ids.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bits);
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
    }
}
