//! What a function takes from its surroundings: the time, and new identifiers.
//!
//! Both come through one value so that a test or a simulation decides them.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

/// Source of time and of identifiers.
pub trait Source: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
    /// A new time-ordered identifier (UUIDv7, RFC 9562).
    fn new_id(&self) -> Uuid;
}

/// A shared [`Source`].
#[derive(Clone)]
pub struct Ambient(Arc<dyn Source>);

impl Ambient {
    /// The system's clock and random numbers.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(System))
    }

    /// A source of one's own, for tests and simulations.
    #[must_use]
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// A new time-ordered identifier (UUIDv7, RFC 9562).
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.0.new_id()
    }

    /// Epoch seconds `days` from now: the form of a DynamoDB time-to-live attribute.
    #[must_use]
    pub fn expires_in_days(&self, days: i64) -> i64 {
        self.now().as_second().saturating_add(days.saturating_mul(86_400))
    }
}

struct System;

impl Source for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A clock that stands still until it is moved, with reproducible identifiers.
#[derive(Clone)]
pub struct Manual(Arc<Mutex<ManualState>>);

struct ManualState {
    now: Timestamp,
    random: u64,
}

impl Manual {
    /// Starts at `now`; `seed` decides the identifiers.
    #[must_use]
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ManualState { now, random: seed })))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::ZERO);
        state.now = state.now.saturating_add(by).unwrap_or(state.now);
    }
}

impl Source for Manual {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    fn new_id(&self) -> Uuid {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bits = [0; 10];
        for bit in &mut bits {
            // splitmix64: small, and the same everywhere.
            state.random = state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *bit = (mixed ^ (mixed >> 31)).to_le_bytes()[0];
        }
        let millis = u64::try_from(state.now.as_millisecond()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
    }
}
