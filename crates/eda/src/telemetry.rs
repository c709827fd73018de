//! Telemetry: structured JSON logs on standard output, metrics in CloudWatch's embedded format.
//!
//! Logs join on the correlation id, which every message's span carries. Payloads are never logged.

use std::sync::OnceLock;
use std::time::SystemTime;

use envconfig::Envconfig;
use metrique::Flex;
use metrique::emf::Emf;
use metrique::timers::Timer;
use metrique::unit::{Count, Millisecond};
use metrique::unit_of_work::metrics;
use metrique::writer::sink::{DevNullSink, FlushImmediately};
use metrique::writer::{BoxEntrySink, FormatExt};

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
    #[metrics(unit = Millisecond)]
    duration: Timer,
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
