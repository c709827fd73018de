//! Check before the first step: whether the customer may order for so much.
//!
//! `OrderPlaced`, handed over by the state machine → what was found

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::event::Event;
use eda::row::{Key, Table};
use eda::rows::Rows;
use eda::saga::Handed;
use eda::serve::{Function, StartError, Task};
use envconfig::Envconfig;
use shop::checks::{Finding, credit};
use shop::customer::Customer;
use shop::events::OrderPlaced;

/// What it looks at.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per customer.
    #[envconfig(from = "CUSTOMERS_TABLE")]
    pub customers: Table<Customer>,
}

/// Looks up the customer's tier, which says how much they may order for.
pub struct CheckCredit {
    rows: Rows,
    config: Config,
}

impl Function for CheckCredit {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { rows: Rows::new(aws.dynamodb()), config })
    }
}

impl Task for CheckCredit {
    type Input = Handed<Event<OrderPlaced>>;
    type Report = Finding;

    async fn run(&self, Handed(placed): Self::Input, _deadline: Deadline) -> Result<Finding, Failure> {
        let key = Key::of(&placed.data.customer_id);
        let customer = self.rows.read_eventually(&self.config.customers, key).await?;
        Ok(credit(&placed.data, customer.as_ref()))
    }
}
