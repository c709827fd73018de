//! The command against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::encodings::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eda::event_store::StoredEvent;
use eda::outbox::OutboxRow;
use eda::testing::{Fault, TestCloud};
use place_order::PlaceOrder;
use serde_json::{Value, json};
use shop::order::{MAX_BODY_BYTES, OrderHead, OrderStatus, open_shard, order_id};
use shop::testing::place_order as command;

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";

/// What a caller sees.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: i64,
    content_type: String,
    location: Option<String>,
    correlation_id: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The fields that a problem names.
    fn fields(&self) -> Vec<String> {
        assert_eq!(self.content_type, "application/problem+json", "{}", self.body);
        assert_eq!(self.json()["status"], self.status);
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

fn request(key: &str, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "rawQueryString": "",
        "headers": { "content-type": "application/json", "idempotency-key": key, "x-amzn-trace-id": TRACE },
        "requestContext": { "http": { "method": "POST", "path": "/orders" } },
        "body": body, "isBase64Encoded": false,
    })
}

fn by(caller: &str, mut request: Value) -> Value {
    request["requestContext"]["authorizer"] = json!({ "iam": { "userId": caller } });
    request
}

fn without(header: &str, mut request: Value) -> Value {
    request["headers"].as_object_mut().unwrap().remove(header);
    request
}

fn order() -> Value {
    serde_json::to_value(command(&[("keyboard", 1), ("mouse", 2)])).unwrap()
}

fn with(field: &str, value: Value) -> String {
    let mut order = order();
    order[field] = value;
    order.to_string()
}

async fn ask(handler: &PlaceOrder, request: Value) -> Answer {
    let response = eda::serve::answer(handler, serde_json::from_value(request).unwrap()).await;
    let header = |name| response.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let Some(Body::Text(body)) = response.body.clone() else { panic!("no text") };
    Answer {
        status: response.status_code,
        content_type: header("content-type").unwrap(),
        location: header("location"),
        correlation_id: header("x-correlation-id"),
        body,
    }
}

async fn post(cloud: &TestCloud, request: Value) -> Answer {
    ask(&cloud.start::<PlaceOrder>().await, request).await
}

fn cloud() -> TestCloud {
    TestCloud::of("place-order")
}

fn heads(cloud: &TestCloud) -> Vec<OrderHead> {
    cloud.rows("EventStoreTable")
}

#[tokio::test]
async fn an_order_is_appended_and_announced_in_one_call() {
    let cloud = cloud();
    let answer = post(&cloud, request("k1", &order().to_string())).await;

    let id = order_id("anonymous", "k1").to_string();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.location, Some(format!("/orders/{id}")));
    assert_eq!(answer.json(), json!({ "orderId": id, "status": "accepted" }));
    assert_eq!(answer.correlation_id, Some(heads(&cloud)[0].correlation_id.to_string()));
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);

    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    let (name, detail) = &announced[0];
    assert_eq!((name.as_str(), &detail["version"]), ("OrderPlaced", &json!("2.0")));
    assert_eq!(detail["orderId"], id.as_str());
    assert_eq!(detail["totalAmount"], json!(148.5));
    assert_eq!(detail["metadata"]["saga"], "choreographed");
    assert_eq!(detail["metadata"]["correlationId"], detail["metadata"]["eventId"]);
    assert_eq!(cloud.rows::<OutboxRow>("OutboxTable")[0].trace.as_deref(), Some(TRACE));

    let stored = cloud.rows::<StoredEvent>("EventStoreTable");
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].aggregate_id.as_str(), stored[0].version), (id.as_str(), 1));
    assert_eq!(&serde_json::from_str::<Value>(&stored[0].detail).unwrap(), detail);

    let head = heads(&cloud).remove(0);
    assert_eq!((head.current_version, head.status), (1, OrderStatus::Open));
    assert_eq!(head.correlation_id.to_string(), detail["metadata"]["correlationId"]);
    assert_eq!(head.open_shard, Some(open_shard(&id)));
    let seconds: i64 = cloud.environment()["ORDER_DEADLINE_SECONDS"].parse().unwrap();
    assert_eq!(head.deadline, Some(cloud.ambient().now().as_second() + seconds));
}

#[tokio::test]
async fn an_order_of_more_than_a_thousand_says_that_it_is_orchestrated() {
    for (price, saga) in [("999.99", "choreographed"), ("1000", "choreographed"), ("1000.01", "orchestrated")]
    {
        let cloud = cloud();
        let mut order = order();
        order["items"] = json!([{ "productId": "keyboard", "quantity": 1, "price": 1 }]);
        let body = order.to_string().replace("\"price\":1", &format!("\"price\":{price}"));
        assert_eq!(post(&cloud, request("k1", &body)).await.status, 202);
        assert_eq!(cloud.announced()[0].1["metadata"]["saga"], saga, "{price}");
    }
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_costs_one_refused_call() {
    let cloud = cloud();
    let first = post(&cloud, request("k1", &order().to_string())).await;
    cloud.take_calls();
    cloud.advance(std::time::Duration::from_secs(400 * 86_400));
    assert_eq!(post(&cloud, request("k1", &order().to_string())).await, first);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(cloud.announced_names(), ["OrderPlaced"]);
}

#[tokio::test]
async fn a_request_written_otherwise_is_the_same_request() {
    let cloud = cloud();
    let first = post(&cloud, request("k1", &order().to_string())).await;
    let spaced = serde_json::to_string_pretty(&order()).unwrap();
    let reversed = r#"{"shippingAddress":{"country":"US","postalCode":"12345","city":"Springfield",
        "line1":"1 Main Street","name":"Jo\u0020Doe"},"paymentMethod":"pm_card_visa","currency":"USD",
        "items":[{"price":49.50,"quantity":1,"productId":"keyboard"},{"price":4.95e1,"quantity":2.0,"productId":"mouse"}],
        "customerId":"customer-1"}"#;
    for body in [spaced.as_str(), reversed] {
        assert_eq!(post(&cloud, request("k1", body)).await, first);
    }
    let mut encoded = request("k1", &STANDARD.encode(reversed));
    encoded["isBase64Encoded"] = json!(true);
    assert_eq!(post(&cloud, encoded).await, first);
    assert_eq!(cloud.announced_names(), ["OrderPlaced"]);
}

#[tokio::test]
async fn another_order_under_the_same_key_is_refused_and_changes_nothing() {
    let cloud = cloud();
    post(&cloud, request("k1", &order().to_string())).await;
    let before = heads(&cloud);
    let answer = post(&cloud, request("k1", &with("customerId", json!("customer-2")))).await;
    assert_eq!((answer.status, answer.location.as_deref()), (422, None));
    assert_eq!(answer.json()["type"], "urn:problem:idempotency-key-reused");
    assert_eq!(heads(&cloud), before);
    assert_eq!(cloud.announced_names(), ["OrderPlaced"]);
}

#[tokio::test]
async fn an_order_that_has_ended_still_answers_its_request() {
    let cloud = cloud();
    let first = post(&cloud, request("k1", &order().to_string())).await;
    let ended = OrderHead {
        status: OrderStatus::Confirmed,
        current_version: 2,
        open_shard: None,
        deadline: None,
        ..heads(&cloud).remove(0)
    };
    cloud.put("EventStoreTable", &EndedHead { version: 0, head: ended });
    assert_eq!(post(&cloud, request("k1", &order().to_string())).await, first);
    assert_eq!(heads(&cloud)[0].status, OrderStatus::Confirmed);
}

/// A head as the store keeps it, in its place.
#[derive(serde::Serialize, serde::Deserialize)]
struct EndedHead {
    version: u64,
    #[serde(flatten)]
    head: OrderHead,
}

impl eda::row::Row for EndedHead {
    const NAME: &'static str = "ended head";
    const PARTITION_KEY: &'static str = "aggregateId";
}

#[tokio::test]
async fn callers_never_meet_each_others_keys_and_stay_the_same_across_sessions() {
    let cloud = cloud();
    let body = order().to_string();
    let first = post(&cloud, by("AROAONE:monday", request("k1", &body))).await;
    let again = post(&cloud, by("AROAONE:tuesday", request("k1", &body))).await;
    let other = post(&cloud, by("AROATWO:monday", request("k1", &body))).await;
    assert_eq!(first, again);
    assert_ne!(first.location, other.location);
    assert_eq!(cloud.announced_names().len(), 2);
}

#[tokio::test]
async fn a_caller_that_cannot_be_told_from_others_is_not_served() {
    let cloud = cloud();
    let mut request = request("k1", &order().to_string());
    request["requestContext"]["authorizer"] = json!({ "jwt": { "claims": {} } });
    assert_eq!(post(&cloud, request).await.status, 503);
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn concurrent_requests_with_one_key_place_one_order() {
    let cloud = cloud();
    let (one, two) = (cloud.start::<PlaceOrder>().await, cloud.start::<PlaceOrder>().await);
    let request = request("k1", &order().to_string());
    let (first, second) = tokio::join!(ask(&one, request.clone()), ask(&two, request));
    assert_eq!(first.status, 202);
    assert_eq!(first, second);
    assert_eq!(cloud.announced_names(), ["OrderPlaced"]);
    assert_eq!(heads(&cloud).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = cloud();
    cloud.inject("dynamodb:TransactWriteItems", Fault::ReplyLost);
    assert_eq!(post(&cloud, request("k1", &order().to_string())).await.status, 202);
    assert_eq!(cloud.announced_names(), ["OrderPlaced"]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_the_caller_is_asked_to_come_again() {
    let cloud = cloud();
    for _ in 0..3 {
        cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let answer = post(&cloud, request("k1", &order().to_string())).await;
    assert_eq!((answer.status, answer.fields()), (503, vec![]));
    assert!(heads(&cloud).is_empty());
    assert_eq!(post(&cloud, request("k1", &order().to_string())).await.status, 202);
}

#[tokio::test]
async fn the_largest_order_fits_one_transaction() {
    let cloud = cloud();
    let lines: Vec<_> = (0..98).map(|index| format!("product-{index}")).collect();
    let lines: Vec<_> = lines.iter().map(|product| (product.as_str(), 10_000)).collect();
    let body = serde_json::to_string(&command(&lines)).unwrap();
    assert_eq!(post(&cloud, request("k1", &body)).await.status, 202);
    assert_eq!(cloud.announced()[0].1["items"].as_array().unwrap().len(), 98);
}

#[tokio::test]
async fn whatever_is_refused_names_its_cause_and_writes_nothing() {
    let cloud = cloud();
    let body = order().to_string();
    let long = format!("{body}{}", " ".repeat(MAX_BODY_BYTES));
    let mut text = request("k1", &body);
    text["headers"]["content-type"] = json!("text/plain");
    let refused: Vec<(Value, i64, Vec<&str>)> = vec![
        (without("idempotency-key", request("k1", &body)), 400, vec!["Idempotency-Key"]),
        (request("", &body), 400, vec!["Idempotency-Key"]),
        (request(&"k".repeat(256), &body), 400, vec!["Idempotency-Key"]),
        (request("two words", &body), 400, vec!["Idempotency-Key"]),
        (text, 415, vec![]),
        (without("content-type", request("k1", &body)), 415, vec![]),
        (request("k1", &long), 413, vec![]),
        (request("k1", ""), 400, vec![]),
        (request("k1", "customerId=1"), 400, vec![]),
        (request("k1", "null"), 422, vec!["body"]),
        (request("k1", &with("currency", json!("usd"))), 422, vec!["currency"]),
        (request("k1", &with("totalAmount", json!(1))), 422, vec!["totalAmount"]),
        (
            request("k1", r#"{"items": [{"quantity": 0, "price": "1"}], "customerId": 7}"#),
            422,
            vec![
                "customerId",
                "currency",
                "paymentMethod",
                "items[0].productId",
                "items[0].quantity",
                "items[0].price",
                "shippingAddress",
            ],
        ),
    ];
    for (request, status, fields) in refused {
        let answer = post(&cloud, request).await;
        assert_eq!((answer.status, answer.fields()), (status, fields.into_iter().map(Into::into).collect()));
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn a_card_number_is_refused_and_never_repeated() {
    let cloud = cloud();
    let answer = post(&cloud, request("k1", &with("paymentMethod", json!("4242424242424242")))).await;
    assert_eq!((answer.status, answer.fields()), (422, vec!["paymentMethod".to_owned()]));
    assert!(!answer.body.contains("4242"), "{}", answer.body);
}

#[tokio::test]
async fn the_sample_places_the_order_that_the_other_functions_samples_are_about() {
    let cloud = cloud();
    let sample = serde_json::from_str(include_str!("../events/post-order.json")).unwrap();
    let answer = post(&cloud, sample).await;
    assert_eq!(answer.status, 202);
    let asked: Value = serde_json::from_str(include_str!("../../get-order/events/get-order.json")).unwrap();
    assert_eq!(answer.json()["orderId"], asked["pathParameters"]["id"]);
}
