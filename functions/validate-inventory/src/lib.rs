//! Check before the first step: whether there is enough on stock.
//!
//! `OrderPlaced`, handed over by the state machine → what was found
//!
//! It looks and takes nothing. That there is enough now does not say that there will be when the reservation comes, which
//! decides; that there is too little spares the order all other steps.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::event::Event;
use eda::row::Table;
use eda::rows::Rows;
use eda::saga::Handed;
use eda::serve::{Function, StartError, Task};
use envconfig::Envconfig;
use shop::checks::{Finding, stock};
use shop::events::OrderPlaced;
use shop::stock::{Product, merged};

/// What it looks at.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per product.
    #[envconfig(from = "INVENTORY_TABLE")]
    pub inventory: Table<Product>,
}

/// Looks whether there is enough of everything.
pub struct ValidateInventory {
    rows: Rows,
    config: Config,
}

impl Function for ValidateInventory {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { rows: Rows::new(aws.dynamodb()), config })
    }
}

impl Task for ValidateInventory {
    type Input = Handed<Event<OrderPlaced>>;
    type Report = Finding;

    async fn run(&self, Handed(placed): Self::Input, _deadline: Deadline) -> Result<Finding, Failure> {
        let wanted = merged(&placed.data.items);
        let products = wanted.iter().map(|item| item.product_id.as_str()).collect();
        let products = self.rows.read_many(&self.config.inventory, products).await?;
        stock(&wanted, |product| Ok(products.get(product)?.map_or(0, |product| product.available)))
    }
}
