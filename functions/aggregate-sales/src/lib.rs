//! Sums up what was taken by windows of event time: a payment counts where it happened, whenever it arrives.
//!
//! `PaymentProcessed`, `PaymentRefunded` → `SalesWindowCorrected`, where the window was closed already

use eda::aws::Aws;
use eda::batch::{Deadline, FactConsumer, FailedAt};
use eda::serve::{Function, StartError};
use eda::telemetry;
use eda::window::Windows;
use shop::sales::{Sale, Sales, SalesConfig};

/// Sums up sales.
pub struct AggregateSales(Windows<Sales>);

impl Function for AggregateSales {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = SalesConfig;

    async fn start(aws: &Aws, config: SalesConfig) -> Result<Self, StartError> {
        let (tables, policy) = config.split();
        Ok(Self(Windows::new(aws, tables, policy)))
    }
}

impl FactConsumer for AggregateSales {
    type Message = Sale;

    async fn consume(&self, shard: &str, sales: Vec<Sale>, deadline: Deadline) -> Result<(), FailedAt> {
        let absorbed = self.0.absorb(shard, sales.into_iter().map(Sale::fact).collect(), deadline).await?;
        if absorbed.too_late > 0 {
            tracing::warn!(facts = absorbed.too_late, "came too late for their windows and are kept aside");
            telemetry::report(Self::NAME, "TooLate", u64::try_from(absorbed.too_late).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
