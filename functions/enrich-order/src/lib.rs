//! Joins an order with what is known of its customer.
//!
//! `OrderPlaced` → `OrderEnriched`
//!
//! There is no state of its own to commit with the event, so it goes to the bus directly; its id is derived from the
//! order's event, and is the same whenever that is delivered again.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::BatchConsumer;
use eda::bus::{Bus, derived_id};
use eda::event::{Emission, Event};
use eda::row::Table;
use eda::rows::{Found, Rows};
use eda::serve::{Function, StartError};
use envconfig::Envconfig;
use shop::customer::{Customer, enriched};
use shop::events::{OrderEnriched, OrderPlaced};

/// Whom orders are joined with, and where the events go.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per customer.
    #[envconfig(from = "CUSTOMERS_TABLE")]
    pub customers: Table<Customer>,
    /// The bus.
    #[envconfig(from = "EVENT_BUS_NAME")]
    pub bus: String,
}

/// Enriches orders.
pub struct EnrichOrder {
    rows: Rows,
    bus: Bus,
    config: Config,
}

impl Function for EnrichOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { rows: Rows::new(aws.dynamodb()), bus: Bus::new(aws, &config.bus), config })
    }
}

impl BatchConsumer for EnrichOrder {
    type Message = Event<OrderPlaced>;

    async fn consume_all(
        &self,
        orders: Vec<Event<OrderPlaced>>,
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        let who = orders.iter().map(|order| order.data.customer_id.as_str()).collect();
        let customers = self.rows.read_many(&self.config.customers, who).await?;
        let mut results = Vec::with_capacity(orders.len());
        let mut events = Vec::with_capacity(orders.len());
        for order in &orders {
            results.push(enrich(order, &customers).map(|event| events.push(event)));
        }
        let mut published = self.bus.publish(&events).await.into_iter();
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            let lost = || Err(Failure::transient("nobody knows what the bus did"));
            *result = published.next().unwrap_or_else(lost);
        }
        Ok(results)
    }
}

/// The event that follows from an order. A customer whom nobody knows keeps no order from being enriched.
fn enrich(order: &Event<OrderPlaced>, customers: &Found<Customer>) -> Result<Emission, Failure> {
    let customer = customers.get(&order.data.customer_id)?;
    if customer.is_none() {
        tracing::warn!(orderId = order.data.order_id, "the order's customer is unknown");
    }
    let id = derived_id::<OrderEnriched>(&order.metadata.event_id.to_string());
    // The same to the byte when it is made again, as long as the customer is.
    Emission::with_id(id, order.metadata.event_time, &order.cause(), &enriched(&order.data, customer))
}
