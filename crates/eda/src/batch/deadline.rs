use std::time::Duration;

use tokio::time::Instant;

/// When work must stop so that the rest can still be reported.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Kept back before the environment's own deadline, for reporting what was not done.
    pub const MARGIN: Duration = Duration::from_millis(750);

    /// The deadline of an invocation that has `remaining` left.
    #[must_use]
    pub fn after(remaining: Duration) -> Self {
        Self(Instant::now() + remaining.saturating_sub(Self::MARGIN))
    }

    /// Whether no new work should start.
    #[must_use]
    pub fn passed(&self) -> bool {
        Instant::now() >= self.0
    }

    /// The instant.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.0
    }
}
