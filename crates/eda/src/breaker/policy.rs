use std::time::Duration;

use envconfig::Envconfig;

use super::Circuit;
use crate::row::Table;

/// Where the circuit is kept, and when it opens and is tried again.
#[derive(Clone, Debug, Envconfig)]
pub struct BreakerConfig {
    /// One row per guarded resource.
    #[envconfig(from = "CIRCUITS_TABLE")]
    pub circuits: Table<Circuit>,
    /// Failures in a row that open the circuit.
    #[envconfig(from = "CIRCUIT_FAILURE_THRESHOLD", default = "5")]
    pub threshold: u32,
    /// Share of calls in the window, in percent, whose failure opens it.
    #[envconfig(from = "CIRCUIT_FAILURE_PERCENT", default = "50")]
    pub percent: u32,
    /// Calls in the window below which no share is computed: two failures of three say little.
    #[envconfig(from = "CIRCUIT_MINIMUM_CALLS", default = "20")]
    pub minimum_calls: u32,
    /// Length of the sliding window, in seconds.
    #[envconfig(from = "CIRCUIT_WINDOW_SECONDS", default = "60")]
    pub window_seconds: u32,
    /// How long the circuit stays open at first, in seconds; twice as long after each probe that failed.
    #[envconfig(from = "CIRCUIT_PAUSE_SECONDS", default = "30")]
    pub pause_seconds: u32,
    /// How long it stays open at most, in seconds.
    #[envconfig(from = "CIRCUIT_LONGEST_PAUSE_SECONDS", default = "300")]
    pub longest_pause_seconds: u32,
    /// How long a prober may take, in seconds: not less than its function's timeout.
    #[envconfig(from = "CIRCUIT_LEASE_SECONDS", default = "30")]
    pub lease_seconds: u32,
    /// How old an environment's knowledge of the row may be, in seconds.
    #[envconfig(from = "CIRCUIT_REFRESH_SECONDS", default = "5")]
    pub refresh_seconds: u32,
}

impl BreakerConfig {
    /// The rules, without the table.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let milliseconds = |seconds: u32| i64::from(seconds) * 1_000;
        Policy {
            threshold: self.threshold,
            percent: self.percent,
            minimum_calls: self.minimum_calls,
            window: milliseconds(self.window_seconds),
            pause: milliseconds(self.pause_seconds),
            longest_pause: milliseconds(self.longest_pause_seconds),
            lease: milliseconds(self.lease_seconds),
            refresh: milliseconds(self.refresh_seconds),
        }
    }
}

/// When a circuit opens, and when it is tried again. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// Share of calls in percent whose failure opens it.
    pub percent: u32,
    /// Calls below which no share is computed.
    pub minimum_calls: u32,
    /// Length of the sliding window.
    pub window: i64,
    /// How long it stays open at first.
    pub pause: i64,
    /// How long it stays open at most.
    pub longest_pause: i64,
    /// How long a prober may take.
    pub lease: i64,
    /// How old an environment's knowledge may be.
    pub refresh: i64,
}

/// The window is kept in so many slices: it slides by a sixth of its length.
const SLICES: i64 = 6;

impl Policy {
    /// How long the circuit stays open for the `trips`-th time in a row, from 1.
    #[must_use]
    pub fn pause_of(&self, trips: u32) -> i64 {
        let doubled =
            self.pause.saturating_mul(1_i64.checked_shl(trips.saturating_sub(1).min(32)).unwrap_or(i64::MAX));
        doubled.clamp(0, self.longest_pause.max(self.pause))
    }

    /// Where the slice begins that this moment lies in.
    #[must_use]
    pub(super) fn slice_of(&self, now: i64) -> i64 {
        let length = (self.window / SLICES).max(1);
        now - now.rem_euclid(length)
    }

    /// Whether so many failures, in a row or of so many calls, open the circuit.
    #[must_use]
    pub(super) fn opens(&self, consecutive: u32, failures: u32, calls: u32) -> bool {
        let share = u64::from(failures) * 100 >= u64::from(self.percent) * u64::from(calls);
        consecutive >= self.threshold || (failures > 0 && calls >= self.minimum_calls && share)
    }

    /// By how much what waits is spread after the moment it waits for, so that it does not come all at once: a fifth of
    /// the wait, and a second at least.
    #[must_use]
    pub(super) fn spread(&self, wait: i64) -> Duration {
        Duration::from_millis(u64::try_from(wait / 5).unwrap_or_default().max(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        threshold: 5,
        percent: 50,
        minimum_calls: 20,
        window: 60_000,
        pause: 30_000,
        longest_pause: 300_000,
        lease: 30_000,
        refresh: 5_000,
    };

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_the_longest() {
        let pauses: Vec<_> = [1, 2, 3, 4, 5, 6, 400].map(|trips| POLICY.pause_of(trips)).to_vec();
        assert_eq!(pauses, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000]);
    }

    #[test]
    fn failures_in_a_row_open_it_and_so_does_their_share_of_enough_calls() {
        assert!(POLICY.opens(5, 5, 1_000));
        assert!(!POLICY.opens(4, 4, 4));
        assert!(POLICY.opens(1, 10, 20));
        assert!(!POLICY.opens(1, 10, 21));
        assert!(!POLICY.opens(1, 10, 19));
        assert!(!Policy { percent: 0, ..POLICY }.opens(0, 0, 100), "where nothing failed nothing opens");
    }
}
