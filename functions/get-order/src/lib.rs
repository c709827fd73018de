//! The queries of the API: one handler, a module per route.

mod activity;
mod customer;
mod order;
mod sales;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::Client;
use eda::Failure;
use eda::aws::Aws;
use eda::http::{Problem, respond, route};
use eda::row::Table;
use eda::rows::Rows;
use eda::serve::{Function, HttpHandler, StartError};
use eda::snapshot::{Snapshot, Snapshots};
use eda::view::{Current, Generations, READERS_LAG};
use eda::window::WindowRow;
use envconfig::Envconfig;
use shop::OPENAPI;
use shop::activity::ActivityRow;
use shop::order::{ORDERS, OrderHead, OrderViewRow, is_identifier};

/// The tables of these queries.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order that is projected, with the index of customers' orders.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
    /// The orders' events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// What orders' events came to at some version.
    #[envconfig(from = "SNAPSHOTS_TABLE")]
    pub snapshots: Table<Snapshot>,
    /// The views' generations: which of them is answered.
    #[envconfig(from = "PROJECTIONS_TABLE")]
    pub projections: Table<Generations>,
    /// What customers learnt of their orders.
    #[envconfig(from = "ACTIVITY_TABLE")]
    pub activity: Table<ActivityRow>,
    /// What was taken, by windows of event time.
    #[envconfig(from = "SALES_WINDOWS_TABLE")]
    pub sales: Table<WindowRow>,
}

/// Answers where orders stand.
pub struct GetOrder {
    dynamodb: Client,
    rows: Rows,
    snapshots: Snapshots<OrderHead>,
    current: Current,
    views: Table<OrderViewRow>,
    activity: Table<ActivityRow>,
    sales: Table<WindowRow>,
}

impl Function for GetOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let Config { views, event_store, snapshots, projections, activity, sales } = config;
        let dynamodb = aws.dynamodb();
        let current = Current::new(dynamodb.clone(), projections, ORDERS, aws.ambient(), READERS_LAG);
        // Known before the first request; where it cannot be read now, it is read then.
        let _ = current.get().await;
        let snapshots = Snapshots::new(dynamodb.clone(), event_store, snapshots);
        Ok(Self { rows: Rows::new(dynamodb.clone()), dynamodb, snapshots, current, views, activity, sales })
    }
}

impl HttpHandler for GetOrder {
    async fn answer(&self, request: ApiGatewayV2httpRequest) -> Result<ApiGatewayV2httpResponse, Failure> {
        let id = request.path_parameters.get("id").map(String::as_str).unwrap_or_default();
        match route(&request) {
            "GET /orders/{id}" => self.order(id).await,
            of_customer if of_customer.starts_with("GET /customers/{id}/") && !is_identifier(id) => {
                Ok(Problem::new(404, "urn:problem:no-such-customer", "No such customer", NO_CUSTOMER).into())
            }
            "GET /customers/{id}/orders" => self.orders_of_customer(id, &request).await,
            "GET /customers/{id}/activity" => self.activity_of_customer(id, &request).await,
            "GET /sales" => self.sales(&request).await,
            "GET /openapi.json" => Ok(respond(200, "application/json", OPENAPI.to_owned())),
            _ => Ok(Problem::new(404, "urn:problem:no-such-route", "No such route", NO_ROUTE).into()),
        }
    }
}

const NO_CUSTOMER: &str =
    "A customer's id is made of 1 to 64 letters, digits, hyphens or underscores, a letter or digit first.";
const NO_ROUTE: &str = "GET /openapi.json describes the routes that there are.";
