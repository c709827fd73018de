use jiff::Timestamp;

/// How time is cut into windows, and how long facts are waited for. All in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPolicy {
    /// The length of a window.
    pub size: i64,
    /// By how much the facts of a shard may be out of order: the watermark stays so far behind the newest.
    pub disorder: i64,
    /// How long after its window's end, by the watermark, a fact still corrects it.
    pub lateness: i64,
    /// After how long a shard of which nothing was heard holds up the watermark no longer: it is so far behind the clock then.
    pub idle: i64,
}

/// How far a shard has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Everything before this moment has arrived, as far as is known. Epoch seconds.
    pub reached: i64,
    /// When it was last heard of. Epoch seconds.
    pub at: i64,
}

impl WindowPolicy {
    /// How often a shard says that it is alive, in seconds: well before it is taken for idle.
    #[must_use]
    pub fn heartbeat(&self) -> i64 {
        self.idle / 3
    }

    /// The start of the window that a moment lies in, in epoch seconds.
    #[must_use]
    pub fn start_of(&self, at: Timestamp) -> i64 {
        let seconds = at.as_millisecond().div_euclid(1_000);
        seconds.div_euclid(self.size.max(1)).saturating_mul(self.size.max(1))
    }

    /// The end of the window that starts here; it is the next one's start.
    #[must_use]
    pub fn end_of(&self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }

    /// Up to when everything has arrived where this is the newest fact. A fact from the future says no more than one of now.
    #[must_use]
    pub fn reached(&self, newest: Timestamp, now: Timestamp) -> i64 {
        newest.min(now).as_millisecond().div_euclid(1_000).saturating_sub(self.disorder)
    }

    /// The watermark: up to when everything has arrived from all shards.
    #[must_use]
    pub fn watermark(&self, shards: impl IntoIterator<Item = Shard>, now: i64) -> i64 {
        let quiet = now.saturating_sub(self.idle);
        let heard = shards.into_iter().map(|shard| match shard.at < quiet {
            true => shard.reached.max(quiet),
            false => shard.reached,
        });
        heard.min().unwrap_or(quiet)
    }

    /// Whether a fact of the window that starts here comes too late to correct it.
    #[must_use]
    pub fn is_too_late(&self, start: i64, watermark: i64) -> bool {
        self.end_of(start).saturating_add(self.lateness) <= watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: WindowPolicy = WindowPolicy { size: 300, disorder: 60, lateness: 3_600, idle: 180 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn windows_tumble_and_a_bound_belongs_to_the_later_one() {
        for (moment, start) in [(0, 0), (299, 0), (300, 300), (599, 300), (-1, -300), (-300, -300)] {
            assert_eq!(POLICY.start_of(at(moment)), start, "{moment}");
        }
        assert_eq!(POLICY.start_of(Timestamp::from_millisecond(-1).unwrap()), -300);
    }

    #[test]
    fn the_slowest_shard_decides() {
        let shards = [Shard { reached: 900, at: 1_000 }, Shard { reached: 400, at: 1_000 }];
        assert_eq!(POLICY.watermark(shards, 1_010), 400);
    }

    #[test]
    fn a_shard_of_which_nothing_is_heard_holds_up_nobody_for_long() {
        let shards = [Shard { reached: 900, at: 1_000 }, Shard { reached: 400, at: 500 }];
        assert_eq!(POLICY.watermark(shards, 1_010), 830);
        assert_eq!(POLICY.watermark([], 1_000), 820);
        assert_eq!(POLICY.watermark([Shard { reached: 990, at: 500 }], 1_000), 990, "it never goes back");
    }

    #[test]
    fn a_fact_from_the_future_moves_the_watermark_no_further_than_one_of_now() {
        assert_eq!(POLICY.reached(at(9_000), at(1_000)), 940);
        assert_eq!(POLICY.reached(at(900), at(1_000)), 840);
    }

    #[test]
    fn a_fact_is_too_late_when_the_watermark_is_a_lateness_past_the_end_of_its_window() {
        assert_eq!([4_199, 4_200].map(|watermark| POLICY.is_too_late(300, watermark)), [false, true]);
    }
}
