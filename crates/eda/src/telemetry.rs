//! Telemetry: structured JSON logs on standard output, metrics in CloudWatch's embedded format.
//!
//! Logs join on the correlation id, which every message's span carries. Payloads are never logged.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use envconfig::Envconfig;
use jiff::Timestamp;
use metrique::Flex;
use metrique::emf::Emf;
use metrique::timers::Timer;
use metrique::unit::{Count, Millisecond};
use metrique::unit_of_work::metrics;
use metrique::writer::sink::{DevNullSink, FlushImmediately};
use metrique::writer::{BoxEntrySink, FormatExt};

use crate::event::Metadata;

/// Where metrics go.
#[derive(Clone, Debug, Envconfig)]
pub struct TelemetryConfig {
    /// CloudWatch namespace: one per deployment, or figures of several would add up.
    #[envconfig(from = "METRICS_NAMESPACE", default = "EventDriven")]
    pub namespace: String,
}

static SINK: OnceLock<BoxEntrySink> = OnceLock::new();

/// Starts logging and metrics: logs are JSON where Lambda asks for it (`AWS_LAMBDA_LOG_FORMAT`), at Lambda's level.
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>
pub fn init(config: TelemetryConfig) {
    lambda_runtime::tracing::init_default_subscriber();
    SINK.get_or_init(|| {
        let format = Emf::builder(config.namespace, vec![vec![]]).build();
        FlushImmediately::new_boxed(format.output_to_makewriter(|| std::io::stdout().lock()))
    });
}

/// Where metrics go; nowhere before [`init`].
fn sink() -> BoxEntrySink {
    SINK.get().cloned().unwrap_or_else(|| BoxEntrySink::new(DevNullSink::new()))
}

/// What a batch came to. Written when it is dropped.
#[metrics(emf::dimension_sets = [["Function"]], rename_all = "PascalCase")]
pub(crate) struct Batch {
    #[metrics(timestamp)]
    timestamp: SystemTime,
    function: &'static str,
    #[metrics(unit = Count)]
    received: usize,
    /// Done, or done before.
    #[metrics(unit = Count)]
    pub(crate) done: usize,
    /// Will be delivered again.
    #[metrics(unit = Count)]
    pub(crate) again: usize,
    /// Cannot be handled; kept with the reason.
    #[metrics(unit = Count)]
    pub(crate) parked: usize,
    /// What was to be done and was found done before.
    #[metrics(unit = Count)]
    duplicates: usize,
    /// Guesses, of a version or of the last part of a join, that the row has corrected: each costs a call.
    #[metrics(unit = Count)]
    wrong_guesses: usize,
    /// The greatest age of an event, from its fact to its being done: what this step and all before it took.
    #[metrics(unit = Millisecond)]
    pub(crate) event_age: Duration,
    /// The greatest age of a business transaction: from its first event to this one's being done.
    #[metrics(unit = Millisecond)]
    pub(crate) transaction_age: Duration,
    #[metrics(unit = Millisecond)]
    duration: Timer,
}

/// What rows have refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Because it was done before.
    pub duplicates: usize,
    /// Because it was guessed wrong.
    pub wrong_guesses: usize,
}

thread_local! {
    /// Since a batch last counted them. A function has one thread, and handles one batch at a time.
    static REFUSALS: Cell<Refusals> = const { Cell::new(Refusals { duplicates: 0, wrong_guesses: 0 }) };
}

/// What was to be done was found done before.
pub fn duplicate() {
    let refusals = REFUSALS.get();
    REFUSALS.set(Refusals { duplicates: refusals.duplicates.saturating_add(1), ..refusals });
}

/// A guess was wrong.
pub(crate) fn wrong_guess() {
    let refusals = REFUSALS.get();
    REFUSALS.set(Refusals { wrong_guesses: refusals.wrong_guesses.saturating_add(1), ..refusals });
}

/// What this thread has seen refused since this was last asked for.
#[must_use]
pub fn take_refusals() -> Refusals {
    REFUSALS.take()
}

impl Batch {
    /// Counts what was refused while this batch was handled.
    pub(crate) fn count_refusals(&mut self) {
        let Refusals { duplicates, wrong_guesses } = take_refusals();
        (self.duplicates, self.wrong_guesses) = (duplicates, wrong_guesses);
    }

    /// An event is done.
    pub(crate) fn aged(&mut self, metadata: &Metadata) {
        let since = |then: i64| {
            let age = Timestamp::now().as_millisecond().saturating_sub(then);
            Duration::from_millis(u64::try_from(age).unwrap_or_default())
        };
        self.event_age = self.event_age.max(since(metadata.event_time.as_millisecond()));
        if let Some(began) = metadata.began_at() {
            self.transaction_age = self.transaction_age.max(since(began.as_millisecond()));
        }
    }
}

/// A [`Batch`] that writes itself.
pub(crate) type BatchReport = BatchGuard;

impl Batch {
    pub(crate) fn start(function: &'static str, received: usize) -> BatchReport {
        Self {
            timestamp: SystemTime::now(),
            function,
            received,
            done: 0,
            again: 0,
            parked: 0,
            duplicates: 0,
            wrong_guesses: 0,
            event_age: Duration::ZERO,
            transaction_age: Duration::ZERO,
            duration: Timer::start_now(),
        }
        .append_on_drop(sink())
    }
}

/// One figure under its own name. Written when it is dropped.
#[metrics(emf::dimension_sets = [["Function"]], rename_all = "PascalCase")]
struct Figure {
    #[metrics(timestamp)]
    timestamp: SystemTime,
    function: &'static str,
    #[metrics(flatten)]
    figure: Flex<u64>,
}

/// Reports a figure that `function` saw, as the metric `name`: a count of things, or a gauge in the unit its name ends in.
pub fn report(function: &'static str, name: &'static str, figure: u64) {
    let figure =
        Figure { timestamp: SystemTime::now(), function, figure: Flex::new(name).with_value(figure) };
    drop(figure.append_on_drop(sink()));
}

/// One figure of a group of things, under its own name. Written when it is dropped.
#[metrics(emf::dimension_sets = [["Function"], ["Function", "Group"]], rename_all = "PascalCase")]
struct GroupFigure {
    #[metrics(timestamp)]
    timestamp: SystemTime,
    function: &'static str,
    group: String,
    #[metrics(flatten)]
    figure: Flex<u64>,
}

/// Reports a figure as [`report`] does, for all groups together and for this one.
pub fn report_of_group(function: &'static str, name: &'static str, group: &str, figure: u64) {
    let figure = GroupFigure {
        timestamp: SystemTime::now(),
        function,
        group: group.to_owned(),
        figure: Flex::new(name).with_value(figure),
    };
    drop(figure.append_on_drop(sink()));
}
