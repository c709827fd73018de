//! Which faults strike in a run, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use simulation_cli::Kind;

/// Decides which faults strike in a run.
#[derive(Debug)]
pub struct Faults {
    rng: Rng,
    rates: BTreeMap<Kind, f64>,
    left: u32,
    struck: BTreeMap<Kind, u64>,
}

impl Faults {
    /// The faults of a run. Where all kinds are allowed, each seed takes half of them; of fewer it takes each. It makes some
    /// frequent, others rare: runs that differ find more than runs that are all the same mixture, in which one kind hides
    /// what another would show. All of them are so many times as frequent as they are by themselves.
    /// <https://doi.org/10.1145/2338965.2336763>
    #[must_use]
    pub fn new(seed: u64, allowed: &[Kind], most: u32, times: u32) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0xFA_17);
        let mut rates = BTreeMap::new();
        let named = allowed.len() < Kind::ALL.len();
        for kind in Kind::ALL {
            let (taken, strength) = (rng.f64() < 0.5, [0.3, 1.0, 1.0, 3.0][rng.usize(0..4)]);
            if (taken || named) && allowed.contains(kind) {
                rates.insert(*kind, (kind.rate() * strength * f64::from(times)).min(1.0));
            }
        }
        Self { rng, rates, left: most, struck: BTreeMap::new() }
    }

    /// The kinds that a seed takes. A run that is allowed these alone is the same.
    #[must_use]
    pub fn taken(seed: u64, allowed: &[Kind]) -> Vec<Kind> {
        Self::new(seed, allowed, u32::MAX, 1).rates.into_keys().collect()
    }

    /// Whether a kind of fault strikes now. Those that have struck are counted.
    pub fn strike(&mut self, kind: Kind) -> bool {
        let Some(rate) = self.rates.get(&kind).filter(|_| self.left > 0) else { return false };
        if self.rng.f64() >= *rate {
            return false;
        }
        self.left -= 1;
        *self.struck.entry(kind).or_default() += 1;
        true
    }

    /// Whether a run has this kind at all; costs nothing.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.left > 0 && self.rates.contains_key(&kind)
    }

    /// A kind that strikes at most once in a run has struck.
    pub fn never_again(&mut self, kind: Kind) {
        self.rates.remove(&kind);
    }

    /// No more faults from now on.
    pub fn end(&mut self) {
        self.left = 0;
    }

    /// How often each kind has struck.
    #[must_use]
    pub fn struck(&self) -> &BTreeMap<Kind, u64> {
        &self.struck
    }

    /// A time between these two, as likely to be a few times the shortest as to be a fraction of the longest.
    pub fn lasting(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let (shortest, longest) = (shortest.as_secs_f64(), longest.as_secs_f64());
        Duration::from_secs_f64(shortest * (longest / shortest).powf(self.rng.f64()))
    }

    /// Random numbers that belong to the faults.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_takes_half_of_all_kinds_and_each_of_those_that_are_named() {
        let all: usize = (0..100).map(|seed| Faults::taken(seed, Kind::ALL).len()).sum();
        let half = 100 * Kind::ALL.len() / 2;
        assert!((half - half / 10..=half + half / 10).contains(&all), "{all}");
        let named = [Kind::Duplicate, Kind::LargeItems];
        assert!((0..100).all(|seed| Faults::taken(seed, &named) == named));
    }
}
