//! Projection: brings the view of each order that has moved up to date.
//!
//! A stream record is a doorbell. The events are read from the store, after the view's own checkpoint, so a record
//! that comes twice, late or out of order changes nothing, and a gap closes itself.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Deadline, Doorbell, FailedAt, Projection, StreamConsumer, project_each};
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::view::{Current, Generations, Projector, WRITERS_LAG};
use envconfig::Envconfig;
use shop::order::{ORDERS, OrderHead, OrderViewRow};

/// The tables of this projection.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// One row per order, with its checkpoint.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
    /// The views' generations: which of them are kept up to date.
    #[envconfig(from = "PROJECTIONS_TABLE")]
    pub projections: Table<Generations>,
}

/// Projects orders into their views.
pub struct ProjectOrders {
    projector: Projector<OrderViewRow, OrderHead>,
    current: Current,
}

impl Function for ProjectOrders {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let current = Current::new(aws.dynamodb(), config.projections, ORDERS, aws.ambient(), WRITERS_LAG);
        // Known before the first doorbell rings; where it cannot be read now, it is read then.
        let _ = current.get().await;
        Ok(Self { projector: Projector::new(aws.dynamodb(), config.event_store, config.views), current })
    }
}

impl StreamConsumer for ProjectOrders {
    type Image = Doorbell;

    async fn consume(&self, doorbells: Vec<Doorbell>, deadline: Deadline) -> Result<(), FailedAt> {
        project_each(self, doorbells, deadline).await
    }
}

impl Projection for ProjectOrders {
    async fn project(&self, order_id: &str, version: u64) -> Result<(), Failure> {
        let generations = self.current.get().await?.maintained();
        self.projector.project(order_id, version, &generations).await.map(drop)
    }
}
