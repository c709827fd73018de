//! The failure taxonomy: what a consumer does with a message that could not be handled.
//!
//! A *rejection* (a business outcome) and a *duplicate* are no failures: they are values of
//! [`Outcome`](crate::transition::Outcome).

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Whether doing it again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Again, later, may succeed: throttling, time-outs, conflicts, an unavailable partner.
    Transient,
    /// No repetition can help: the message is parked with its reason.
    Permanent,
}

/// The name of a transient failure that has no name of its own.
pub const TRANSIENT: &str = "TransientFailure";
/// The name of a permanent failure that has no name of its own.
pub const PERMANENT: &str = "PermanentFailure";

/// A message could not be handled.
///
/// `Display` is one frame: what was attempted; the cause is in `source()`.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    name: Option<&'static str>,
    what: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Doing it again may help.
    pub fn transient(what: impl Into<String>) -> Self {
        Self { kind: Kind::Transient, name: None, what: what.into(), retry_after: None, source: None }
    }

    /// No repetition can help.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, name: None, what: what.into(), retry_after: None, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Doing it again cannot help before so much time has passed.
    #[must_use]
    pub fn not_before(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How long doing it again cannot help, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Gives it a name of its own, by which a state machine can tell it from others of its kind.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// What a failed invocation calls its error: the failure's own name, or that of its kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name.unwrap_or(match self.kind {
            Kind::Transient => TRANSIENT,
            Kind::Permanent => PERMANENT,
        })
    }

    /// Whether doing it again can help.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All frames in one line, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// All frames of an error in one line, outermost first, without repeating a frame.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let frame = cause.to_string();
        if !text.ends_with(&frame) {
            text.push_str(": ");
            text.push_str(&frame);
        }
        next = cause.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
