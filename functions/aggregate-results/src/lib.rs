//! Joins what the checks before the first step have found: approves an order, or refuses it with all reasons.
//!
//! What each branch of the fork found → approval | `OrderRefused`

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::serve::{Function, StartError, Task};
use envconfig::Envconfig;
use serde::Serialize;
use shop::checks::{Decision, Finding, Shipping, decide};
use shop::saga::Refused;

/// It needs nothing.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {}

/// An order may begin its saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// It may; if not, the task fails.
    pub approved: bool,
    /// How it would be shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Shipping>,
}

/// Joins findings.
pub struct AggregateResults;

impl Function for AggregateResults {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(_: &Aws, _: Config) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Task for AggregateResults {
    type Input = Vec<Finding>;
    type Report = Approval;

    async fn run(&self, findings: Vec<Finding>, _deadline: Deadline) -> Result<Approval, Failure> {
        match decide(&findings) {
            Decision::Approved(shipping) => Ok(Approval { approved: true, shipping }),
            Decision::Refused(reasons) => {
                let reasons = reasons.join(", ");
                tracing::info!(reasons, "the order is refused");
                Err(Failure::permanent(reasons).named(Refused::Order.name()))
            }
            Decision::Incomplete(missing) => {
                Err(Failure::permanent(format!("these checks are missing: {}", missing.join(", "))))
            }
        }
    }
}
