//! Projection: brings the view of each order that has moved up to date.
//!
//! A stream record is a doorbell. The events are read from the store, after the view's own checkpoint, so a record
//! that comes twice, late or out of order changes nothing, and a gap closes itself.

use aws_sdk_dynamodb::Client;
use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Deadline, Doorbell, FailedAt, Projection, StreamConsumer, project_each};
use eda::event_store::load;
use eda::row::Table;
use eda::rows::Rows;
use eda::serve::{Function, StartError};
use eda::transition::Written;
use envconfig::Envconfig;
use shop::order::{OrderHead, OrderView, OrderViewRow};

/// The tables of this projection.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// One row per order, with its checkpoint.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
}

/// How often a view is tried again that others move at the same time. An order has few events, so few can.
const ATTEMPTS: usize = 4;

/// Projects orders into their views.
pub struct ProjectOrders {
    dynamodb: Client,
    rows: Rows,
    config: Config,
}

impl Function for ProjectOrders {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let dynamodb = aws.dynamodb();
        Ok(Self { rows: Rows::new(dynamodb.clone()), dynamodb, config })
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
        let mut stored = self.rows.read(&self.config.views, OrderViewRow::key(order_id)).await?;
        for _ in 0..ATTEMPTS {
            if stored.as_ref().is_some_and(|row| row.checkpoint >= version) {
                return Ok(());
            }
            let Some(next) = self.next(order_id, stored.as_ref()).await? else {
                tracing::warn!(orderId = order_id, version, "the store has no event for this doorbell");
                return Ok(());
            };
            let checkpoint = stored.map(|row| row.checkpoint);
            match self.rows.write(next.replacing(&self.config.views, checkpoint)?).await? {
                Written::Applied(_) => return Ok(()),
                Written::Refused(other) => stored = other,
            }
        }
        Err(Failure::transient("the view is being moved by others"))
    }
}

impl ProjectOrders {
    /// The view after the events that `stored` does not hold yet; `None` where the store has none.
    async fn next(
        &self,
        order_id: &str,
        stored: Option<&OrderViewRow>,
    ) -> Result<Option<OrderViewRow>, Failure> {
        // A view that an earlier release wrote in another form is folded anew: only the events count.
        let view = stored.and_then(|row| row.view().ok());
        let checkpoint = view.as_ref().map_or(0, |view| view.version);
        let events = load(&self.dynamodb, &self.config.event_store, order_id, checkpoint).await?;
        if events.is_empty() {
            return Ok(None);
        }
        OrderView::fold(view, &events)?.as_ref().map(OrderViewRow::of).transpose()
    }
}
