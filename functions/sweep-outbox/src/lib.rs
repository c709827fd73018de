//! Publishes what stayed in the outbox: what the bus refused, and what the stream lost.

use eda::aws::Aws;
use eda::batch::Deadline;
use eda::outbox::{Publisher, PublisherConfig, Swept};
use eda::serve::{Function, StartError, Task, Tick};
use eda::{Failure, telemetry};

/// Sweeps the outbox.
pub struct SweepOutbox(Publisher);

impl Function for SweepOutbox {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = PublisherConfig;

    async fn start(aws: &Aws, config: PublisherConfig) -> Result<Self, StartError> {
        Ok(Self(Publisher::new(aws, config)))
    }
}

impl Task for SweepOutbox {
    type Input = Tick;
    type Report = Swept;

    async fn run(&self, _: Tick, deadline: Deadline) -> Result<Swept, Failure> {
        let swept = self.0.sweep(deadline).await?;
        telemetry::report(Self::NAME, "OutboxAgeMs", swept.oldest_ms);
        telemetry::report(Self::NAME, "OutboxStuck", swept.rows.left + swept.unreadable);
        Ok(swept)
    }
}
