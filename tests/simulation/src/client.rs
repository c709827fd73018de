//! The clients of the API: they place orders, and again until they are answered.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use fastrand::Rng;
use serde_json::{Value, json};
use shop::money::Money;
use shop::replenishment::LOW_STOCK;
use shop::saga::HIGH_VALUE;
use shop::stock::Product;
use shop::testing::{place_order, product, unserved_address};
use simulation_cli::{Kind, Story, Worth};
use tokio::time::Instant;

use crate::functions::{Answer, Payload};
use crate::options::Options;
use crate::queue::later;
use crate::world::{Work, World};

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
    /// When it looks next where its order stands.
    pub(crate) look: Option<Instant>,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) orders: Vec<Order>,
    /// All is quiet: whoever looks now sees how its order ended.
    pub(crate) closing: bool,
    stock: i64,
}

impl Clients {
    pub(crate) fn new(rng: &mut Rng, options: &Options, now: Instant) -> Self {
        let (orders, story) = (options.orders, options.story);
        let count = i64::try_from(orders).unwrap_or(i64::MAX);
        // Scarce in some runs, so that orders compete for the last pieces.
        let stock = match story {
            None if options.most_faults > 0 => [count * 4, count, count / 2 + 1][rng.usize(0..3)],
            // Where nothing goes wrong, nothing but the product at the bound runs short.
            _ => (count * 4).max(13),
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
            let worth = options.worth.unwrap_or_else(|| match rng.u8(0..3) {
                0 => Worth::High,
                _ => Worth::Standard,
            });
            Order {
                story,
                key: format!("key-{index}"),
                request: request(story, worth, rng, stock),
                id: None,
                asking: false,
                told: false,
                next: Some(now + Duration::from_millis(rng.u64(0..=20_000))),
                look: None,
            }
        });
        Self { orders: orders.collect(), closing: false, stock }
    }

    pub(crate) fn products(&self) -> Vec<Product> {
        PRODUCTS.iter().map(|id| product(id, stock_of(id, self.stock))).collect()
    }

    /// The order whose client asks next, if it is time.
    pub(crate) fn due(&self, now: Instant) -> Option<usize> {
        self.orders.iter().position(|order| !order.asking && order.next.is_some_and(|at| at <= now))
    }

    /// The order whose client looks next where it stands, if it is time.
    pub(crate) fn looking(&self, now: Instant) -> Option<usize> {
        self.orders.iter().position(|order| order.look.is_some_and(|at| at <= now))
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let asks = self.orders.iter().filter(|order| !order.asking).filter_map(|order| order.next);
        asks.chain(self.orders.iter().filter_map(|order| order.look)).min()
    }

    /// Whether every client has its answer.
    pub(crate) fn content(&self) -> bool {
        self.orders.iter().all(|order| !order.asking && order.next.is_none() && order.look.is_none())
    }
}

/// One product begins at the bound below which it is reordered, so that it runs short and recovers time and again.
fn stock_of(product_id: &str, stock: i64) -> i64 {
    let bound = LOW_STOCK.into();
    match product_id {
        "dock" if stock < 2 * bound => bound,
        _ => stock,
    }
}

fn request(story: Story, worth: Worth, rng: &mut Rng, stock: i64) -> Value {
    let first = rng.usize(0..PRODUCTS.len());
    let second = (first + rng.usize(1..PRODUCTS.len())) % PRODUCTS.len();
    let too_many = u32::try_from(stock.max(LOW_STOCK.into()) + 1).unwrap_or(u32::MAX);
    let quantity = if story == Story::OutOfStock { too_many } else { 1 };
    let items = [
        (PRODUCTS.get(first).copied().unwrap_or_default(), quantity),
        (PRODUCTS.get(second).copied().unwrap_or_default(), rng.u32(1..=2)),
    ];
    let mut order = place_order(&items);
    if worth == Worth::High {
        let dear = Money::new(HIGH_VALUE);
        order.items.iter_mut().for_each(|line| line.price = dear);
    }
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

    /// Every other time, the client looks again within moments.
    pub(crate) fn look_again(&mut self, now: Instant, rng: &mut Rng) {
        let soon = now + Duration::from_millis(rng.u64(0..=10_000));
        self.look = rng.bool().then_some(soon);
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

impl World {
    /// A client asks for its order.
    pub(crate) fn place(&mut self, index: usize, changed: bool) {
        let Some(function) = self.system.function("place-order") else { return };
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        order.asking = true;
        let (request, story) = (order.place(changed), order.story);
        let next = self.ids + 1;
        self.say(|| {
            format!("  place-order#{next} is asked for order {index} ({story:?}, changed: {changed})")
        });
        let work = Work::Place { order: index, changed };
        self.invoke(function, work, Payload::Http(Box::new(request)), false);
    }

    /// A client is answered.
    pub(crate) fn placed(&mut self, index: usize, changed: bool, answer: Option<Answer>) {
        let again = self.strike(Kind::ClientRepeat);
        let pause = later(Instant::now(), &mut self.rng, Duration::from_secs(30));
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        order.asking = false;
        let Some(Answer::Http(response)) = answer else {
            order.next = Some(pause);
            return;
        };
        let id = body_of(&response).get("orderId").and_then(Value::as_str).map(ToOwned::to_owned);
        order.next = (again || response.status_code >= 500).then_some(pause);
        match (response.status_code, changed, order.id.clone(), id) {
            (503, ..) => {}
            (202, false, None, Some(id)) => {
                order.id = Some(id.clone());
                if self.options.most_faults > 0 {
                    order.look_again(Instant::now(), &mut self.rng);
                }
                self.trace.alias(&id, &format!("order-{index}"));
            }
            (202, false, Some(before), Some(id)) if before == id => {}
            (422, true, ..) => {}
            (status, ..) => {
                let detail = format!("order {index}, changed: {changed}, was answered {status}");
                self.watch.report("the same key gets the same answer", detail);
            }
        }
    }
}

/// The body of a response, as JSON.
pub(crate) fn body_of(response: &ApiGatewayV2httpResponse) -> Value {
    match &response.body {
        Some(Body::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    }
}
