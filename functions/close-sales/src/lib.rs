//! Closes the windows of sales that the watermark has passed, also while nothing is sold.
//!
//! → `SalesWindowClosed`

use eda::aws::Aws;
use eda::batch::Deadline;
use eda::serve::{Function, StartError, Task, Tick};
use eda::window::{Closing, Windows};
use eda::{Failure, telemetry};
use shop::sales::{Sales, SalesConfig};

/// Closes windows.
pub struct CloseSales(Windows<Sales>);

impl Function for CloseSales {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = SalesConfig;

    async fn start(aws: &Aws, config: SalesConfig) -> Result<Self, StartError> {
        let (tables, policy) = config.split();
        Ok(Self(Windows::new(aws, tables, policy)))
    }
}

impl Task for CloseSales {
    type Input = Tick;
    type Report = Closing;

    async fn run(&self, _: Tick, deadline: Deadline) -> Result<Closing, Failure> {
        let closing = self.0.close_due(deadline).await?;
        telemetry::report(Self::NAME, "WatermarkLagMs", closing.watermark_lag_ms);
        telemetry::report(Self::NAME, "WindowLagMs", closing.window_lag_ms);
        Ok(closing)
    }
}
