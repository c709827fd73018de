//! A demonstration on the deployed system: orders over HTTP, every scenario, and whether the promises were kept.

mod drive;
mod invariants;
mod outage;
mod rebuild;
mod report;
mod scenario;

use std::time::{Duration, Instant};

pub use drive::Options;
pub use report::{Invariant, Orders, Report, Saga, Timings};
pub use scenario::{End, Scenario};

use crate::{Error, LocalCloud, Progress};

/// How long orders may take beyond their deadline before they count as unfinished.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs the demonstration on a fresh local cloud.
///
/// # Errors
/// [`Error`] where the cloud does not answer. An order that ends wrongly, or an invariant that does not hold, is no error:
/// the report says so.
pub async fn run(cloud: &LocalCloud, options: &Options, progress: &Progress) -> Result<Report, Error> {
    let begun = Instant::now();
    let mut driver = drive::Driver::start(cloud, options).await?;
    let step = progress.counted("orders", options.orders);
    driver.open(&step).await?;
    driver.follow(&step, begun + PATIENCE).await?;
    step.done();
    let step = progress.step("waiting until all is quiet");
    let unpublished = driver.settle(begun + PATIENCE + PATIENCE).await?;
    step.done();
    let invariants = invariants::check(&driver, unpublished).await?;
    let spent = cloud.timings();
    let timings = Timings {
        tools_ms: report::millis(spent.tools),
        build_ms: report::millis(spent.build),
        deploy_ms: report::millis(spent.deploy),
        orders_ms: report::millis(begun.elapsed()),
    };
    driver.report(invariants, unpublished, timings).await
}
