//! The clients of the API: they place orders, and again until they are answered.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use fastrand::Rng;
use serde_json::{Value, json};
use shop::stock::Product;
use shop::testing::{place_order, product, unserved_address};
use tokio::time::Instant;

use crate::options::Story;

const PRODUCTS: [&str; 5] = ["keyboard", "mouse", "monitor", "cable", "dock"];

/// An order, as its client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) story: Story,
    key: String,
    request: Value,
    /// As the API answered it first.
    pub(crate) id: Option<String>,
    pub(crate) asking: bool,
    /// It was told how the order ended.
    pub(crate) told: bool,
    /// When the client asks next; never again, if nothing is said.
    pub(crate) next: Option<Instant>,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) orders: Vec<Order>,
    stock: i64,
}

impl Clients {
    pub(crate) fn new(rng: &mut Rng, orders: usize, story: Option<Story>, now: Instant) -> Self {
        let count = i64::try_from(orders).unwrap_or(i64::MAX);
        // Scarce in some runs, so that orders compete for the last pieces.
        let stock = match story {
            Some(_) => count * 4,
            None => [count * 4, count, count / 2 + 1][rng.usize(0..3)],
        };
        let orders = (0..orders).map(|index| {
            let story = story.unwrap_or_else(|| match rng.u8(0..20) {
                0 => Story::OutOfStock,
                1 | 2 => Story::Declined,
                3 => Story::NotChargeable,
                4 | 5 => Story::Unserved,
                6 => Story::NeedsAuthentication,
                _ => Story::Standard,
            });
            Order {
                story,
                key: format!("key-{index}"),
                request: request(story, rng, stock),
                id: None,
                asking: false,
                told: false,
                next: Some(now + Duration::from_millis(rng.u64(0..=20_000))),
            }
        });
        Self { orders: orders.collect(), stock }
    }

    pub(crate) fn products(&self) -> Vec<Product> {
        PRODUCTS.iter().map(|id| product(id, self.stock)).collect()
    }

    /// The order whose client asks next, if it is time.
    pub(crate) fn due(&self, now: Instant) -> Option<usize> {
        self.orders.iter().position(|order| !order.asking && order.next.is_some_and(|at| at <= now))
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.orders.iter().filter(|order| !order.asking).filter_map(|order| order.next).min()
    }

    /// Whether every client has its answer.
    pub(crate) fn content(&self) -> bool {
        self.orders.iter().all(|order| !order.asking && order.next.is_none())
    }
}

fn request(story: Story, rng: &mut Rng, stock: i64) -> Value {
    let first = rng.usize(0..PRODUCTS.len());
    let second = (first + rng.usize(1..PRODUCTS.len())) % PRODUCTS.len();
    let too_many = u32::try_from(stock + 1).unwrap_or(u32::MAX);
    let quantity = if story == Story::OutOfStock { too_many } else { 1 };
    let items = [
        (PRODUCTS.get(first).copied().unwrap_or_default(), quantity),
        (PRODUCTS.get(second).copied().unwrap_or_default(), rng.u32(1..=2)),
    ];
    let mut order = place_order(&items);
    match story {
        Story::Declined => order.payment_method = "pm_card_visa_chargeDeclined".into(),
        Story::NotChargeable => order.payment_method = "pm_card_unheard_of".into(),
        Story::NeedsAuthentication => order.payment_method = "pm_card_authenticationRequired".into(),
        Story::Unserved => order.shipping_address = unserved_address(),
        Story::Standard | Story::OutOfStock => {}
    }
    serde_json::to_value(order).unwrap_or_default()
}

impl Order {
    /// The request; `changed` is another one under the same key.
    pub(crate) fn place(&self, changed: bool) -> ApiGatewayV2httpRequest {
        let mut order = self.request.clone();
        if let (true, Some(customer)) = (changed, order.get_mut("customerId")) {
            *customer = json!("customer-other");
        }
        let request = json!({
            "version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "rawQueryString": "",
            "headers": { "content-type": "application/json", "idempotency-key": self.key },
            "requestContext": {
                "http": { "method": "POST", "path": "/orders" },
                "authorizer": { "iam": { "userId": "AIDASIMULATION" } },
            },
            "body": order.to_string(), "isBase64Encoded": false,
        });
        serde_json::from_value(request).unwrap_or_default()
    }

    /// Asks for the order.
    pub(crate) fn read(&self) -> ApiGatewayV2httpRequest {
        let id = self.id.as_deref().unwrap_or_default();
        let request = json!({
            "version": "2.0", "routeKey": "GET /orders/{id}", "rawPath": format!("/orders/{id}"),
            "rawQueryString": "", "headers": {}, "pathParameters": { "id": id },
            "requestContext": { "http": { "method": "GET", "path": format!("/orders/{id}") } },
            "isBase64Encoded": false,
        });
        serde_json::from_value(request).unwrap_or_default()
    }
}

/// The body of a response, as JSON.
pub(crate) fn body_of(response: &ApiGatewayV2httpResponse) -> Value {
    match &response.body {
        Some(Body::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    }
}
