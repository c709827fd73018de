//! Check before the first step: whether, and how, the order can be shipped.
//!
//! `OrderPlaced`, handed over by the state machine → what was found

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::event::Event;
use eda::saga::Handed;
use eda::serve::{Function, StartError, Task};
use envconfig::Envconfig;
use shop::checks::{Finding, shipping};
use shop::events::OrderPlaced;

/// It needs nothing.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {}

/// Finds out how an order would be shipped.
pub struct CalculateShipping;

impl Function for CalculateShipping {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(_: &Aws, _: Config) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl Task for CalculateShipping {
    type Input = Handed<Event<OrderPlaced>>;
    type Report = Finding;

    async fn run(&self, Handed(placed): Self::Input, _deadline: Deadline) -> Result<Finding, Failure> {
        Ok(shipping(&placed.data))
    }
}
