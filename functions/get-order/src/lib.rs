//! `GET /orders/{id}`: answers the order's view; before it is projected, folds the order's events.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::Client;
use eda::Failure;
use eda::aws::Aws;
use eda::event_store::load;
use eda::http::{Problem, respond};
use eda::row::Table;
use eda::rows::Rows;
use eda::serve::{Function, HttpHandler, StartError};
use envconfig::Envconfig;
use shop::order::{OrderHead, OrderView, OrderViewRow};
use uuid::Uuid;

/// The tables of this query.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order that is projected.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
    /// The orders' events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
}

/// Answers where an order stands.
pub struct GetOrder {
    dynamodb: Client,
    rows: Rows,
    config: Config,
}

impl Function for GetOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let dynamodb = aws.dynamodb();
        Ok(Self { rows: Rows::new(dynamodb.clone()), dynamodb, config })
    }
}

impl HttpHandler for GetOrder {
    /// 200 with the view, or 404. What is no UUID is no order's id: it is answered 404 without asking.
    async fn answer(&self, request: ApiGatewayV2httpRequest) -> Result<ApiGatewayV2httpResponse, Failure> {
        let id = request.path_parameters.get("id").and_then(|id| Uuid::try_parse(id).ok());
        let document = match id {
            Some(id) => self.document(&id.to_string()).await?,
            None => None,
        };
        Ok(match document {
            Some(document) => respond(200, "application/json", document),
            None => {
                let detail = "There is no order with this id. Its address is in the answer that accepted it.";
                Problem::new(404, "urn:problem:no-such-order", "No such order", detail).into()
            }
        })
    }
}

impl GetOrder {
    /// The order's view as JSON, or `None` where there is no order. The view may be moments old.
    async fn document(&self, order_id: &str) -> Result<Option<String>, Failure> {
        let key = OrderViewRow::key(order_id);
        if let Some(row) = self.rows.read_eventually(&self.config.views, key).await? {
            return Ok(Some(row.document));
        }
        let events = load(&self.dynamodb, &self.config.event_store, order_id, 0).await?;
        let row = OrderView::fold(None, &events)?.as_ref().map(OrderViewRow::of).transpose()?;
        Ok(row.map(|row| row.document))
    }
}
