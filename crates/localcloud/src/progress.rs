//! Shows what takes long, on standard error: a line that lives on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// Where steps are shown.
#[derive(Debug, Clone)]
pub struct Progress {
    style: Style,
}

#[derive(Debug, Clone)]
enum Style {
    Live(MultiProgress),
    Plain,
    Silent,
}

impl Progress {
    /// On standard error: live if it is a terminal, else one line when a step begins and one when it ends.
    #[must_use]
    pub fn stderr() -> Self {
        let live = std::io::stderr().is_terminal();
        Self { style: if live { Style::Live(MultiProgress::new()) } else { Style::Plain } }
    }

    /// Nowhere; for tests.
    #[must_use]
    pub fn silent() -> Self {
        Self { style: Style::Silent }
    }

    /// Begins a step, for example `building the functions`.
    #[must_use]
    pub fn step(&self, title: impl Into<String>) -> Step {
        let title = title.into();
        let bar = match &self.style {
            Style::Live(all) => {
                let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}");
                let bar = all.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(title.clone());
                bar.enable_steady_tick(TICK);
                Some(bar)
            }
            Style::Plain => {
                eprintln!("{title} …");
                None
            }
            Style::Silent => None,
        };
        Step { title, bar, plain: matches!(self.style, Style::Plain), begun: Instant::now() }
    }

    /// Begins a step of a known number of parts, for example `placing orders`.
    #[must_use]
    pub fn counted(&self, title: impl Into<String>, parts: u64) -> Step {
        let step = self.step(title);
        if let Some(bar) = &step.bar {
            bar.set_length(parts);
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {bar:30} {pos}/{len} {elapsed} {msg}")
            {
                bar.set_style(style);
            }
        }
        step
    }
}

/// A step under way. One that is dropped without [`Step::done`] has failed or was interrupted; its line disappears.
#[derive(Debug)]
pub struct Step {
    title: String,
    bar: Option<ProgressBar>,
    plain: bool,
    begun: Instant,
}

impl Step {
    /// Says what is being done just now; seen on a terminal only.
    pub fn say(&self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        }
    }

    /// Says something that a reader of a log should see too, such as a reason to wait.
    pub fn note(&self, message: &str) {
        self.say(message);
        if self.plain {
            eprintln!("{}: {message}", self.title);
        }
    }

    /// Counts one more part of a counted step.
    pub fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Time since the step began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends the step, successfully, and answers how long it took.
    pub fn done(mut self) -> Duration {
        let elapsed = self.begun.elapsed();
        let summary = format!("✓ {} ({:.1} s)", self.title, elapsed.as_secs_f64());
        if let Some(bar) = self.bar.take() {
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar.finish_with_message(summary);
        } else if self.plain {
            eprintln!("{summary}");
        }
        elapsed
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
