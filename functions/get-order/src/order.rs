//! `GET /orders/{id}`: answers the order's view; before it is projected, folds the order's events.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use eda::Failure;
use eda::http::{Problem, respond};
use eda::view::View;
use shop::order::{OrderView, OrderViewRow};
use uuid::Uuid;

use super::GetOrder;

impl GetOrder {
    /// 200 with the view, or 404. What is no UUID is no order's id: it is answered 404 without asking.
    pub(crate) async fn order(&self, id: &str) -> Result<ApiGatewayV2httpResponse, Failure> {
        let document = match Uuid::try_parse(id) {
            Ok(id) => self.document(&id.to_string()).await?,
            Err(_) => None,
        };
        Ok(match document {
            Some(document) => respond(200, "application/json", document),
            None => {
                let detail = "There is no order with this id. Its address is in the answer that accepted it.";
                Problem::new(404, "urn:problem:no-such-order", "No such order", detail).into()
            }
        })
    }

    /// The order's view as JSON, or `None` where there is no order. The view may be moments old.
    async fn document(&self, order_id: &str) -> Result<Option<String>, Failure> {
        let live = self.current.get().await?.live;
        if let Some(row) = self.row(order_id, live).await? {
            return Ok(Some(row.document));
        }
        let view: Option<OrderView> = self.snapshots.load(order_id).await?;
        let row = view.map(|view| OrderViewRow::of(&view, live)).transpose()?;
        Ok(row.map(|row| row.document))
    }

    /// The order's row, if there is one that readers are to see.
    async fn row(&self, order_id: &str, live: u64) -> Result<Option<OrderViewRow>, Failure> {
        let read =
            async |live| self.rows.read_eventually(&self.views, OrderViewRow::key(order_id, live)).await;
        let row = read(live).await?;
        match row {
            // A newer generation has taken the place: readers were sent elsewhere meanwhile.
            Some(row) if row.generation > live => {
                let live = self.current.refreshed().await?.live;
                Ok(read(live).await?.filter(|row| row.generation == live))
            }
            row => Ok(row.filter(|row| row.generation == live)),
        }
    }
}
