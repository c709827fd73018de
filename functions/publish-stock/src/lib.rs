//! Turns changes of the inventory's rows into domain events, so that nobody has to know its table.
//!
//! inventory row, before and after → `StockUpdate`
//!
//! There is no state of its own to commit with the event, so it goes to the bus directly; its id is derived from the product
//! and the version of its stock, and is the same whenever the stream delivers the change again.

use eda::ambient::Ambient;
use eda::aws::Aws;
use eda::batch::{Change, Deadline, FailedAt, StreamConsumer};
use eda::bus::{Bus, derived_id};
use eda::event::{Cause, Emission, SagaStyle};
use eda::serve::{Function, StartError};
use envconfig::Envconfig;
use shop::events::StockUpdate;
use shop::stock::Product;

/// Where the events go.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The bus.
    #[envconfig(from = "EVENT_BUS_NAME")]
    pub bus: String,
}

/// Publishes stock updates.
pub struct PublishStock {
    bus: Bus,
    ambient: Ambient,
}

impl Function for PublishStock {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { bus: Bus::new(aws, config.bus), ambient: aws.ambient() })
    }
}

impl StreamConsumer for PublishStock {
    type Image = Change<Product>;

    /// Publishes every change of a quantity, not the newest only: one that was undone at once was a shortage too.
    async fn consume(&self, changes: Vec<Change<Product>>, _deadline: Deadline) -> Result<(), FailedAt> {
        let (mut positions, mut events) = (Vec::new(), Vec::new());
        for (position, change) in changes.iter().enumerate() {
            match self.event(change) {
                Ok(Some(event)) => {
                    positions.push(position);
                    events.push(event);
                }
                Ok(None) => {}
                Err(failure) => return Err(FailedAt { position, failure }),
            }
        }
        let published = positions.into_iter().zip(self.bus.publish(&events).await);
        for (position, published) in published {
            published.map_err(|failure| FailedAt { position, failure })?;
        }
        Ok(())
    }
}

impl PublishStock {
    fn event(&self, Change { old, new, at }: &Change<Product>) -> Result<Option<Emission>, eda::Failure> {
        let Some(update) = new.update(old.as_ref())? else { return Ok(None) };
        let id = derived_id::<StockUpdate>(&format!("{}/{}", update.product_id, update.stock_version));
        let at = at.unwrap_or_else(|| self.ambient.now());
        Emission::with_id(id, at, &Cause::root(SagaStyle::default(), None), &update).map(Some)
    }
}
