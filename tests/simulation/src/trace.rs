//! What happened, for people: who received what, which calls it made, which fault struck.

use std::time::Duration;

/// The lines of a run.
#[derive(Debug, Default)]
pub struct Trace {
    on: bool,
    lines: Vec<String>,
    names: Vec<(String, String)>,
}

impl Trace {
    /// A trace, or none: runs are faster without.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Whether it is kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// From now on, and in hindsight, `long` reads as `short`.
    pub fn alias(&mut self, long: &str, short: &str) {
        if self.on {
            self.names.push((long.to_owned(), short.to_owned()));
        }
    }

    /// Adds a line.
    pub fn push(&mut self, at: Duration, line: &str) {
        let millis = at.as_millis();
        let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
        let (seconds, millis) = (millis / 1_000 % 60, millis % 1_000);
        self.lines.push(format!("{hours:3}:{minutes:02}:{seconds:02}.{millis:03}  {line}"));
    }

    /// The whole story.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        for (long, short) in &self.names {
            text = text.replace(long, short);
        }
        text
    }
}
