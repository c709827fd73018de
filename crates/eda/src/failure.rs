//! The failure taxonomy: what a consumer does with a message that could not be handled.
//!
//! A *rejection* (a business outcome) and a *duplicate* are no failures: they are values of
//! [`Outcome`](crate::transition::Outcome).

use std::error::Error;
use std::fmt;

/// Whether doing it again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Again, later, may succeed: throttling, time-outs, conflicts, an unavailable partner.
    Transient,
    /// No repetition can help: the message is parked with its reason.
    Permanent,
}

/// A message could not be handled.
///
/// `Display` is one frame: what was attempted; the cause is in `source()`.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Doing it again may help.
    pub fn transient(what: impl Into<String>) -> Self {
        Self { kind: Kind::Transient, what: what.into(), source: None }
    }

    /// No repetition can help.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, what: what.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
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
