//! A customer's feed against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::encodings::Body;
use eda::event::{Contract, Event};
use eda::testing::{Fault, TestCloud, bus_event};
use get_order::GetOrder;
use serde_json::{Value, json};
use shop::activity::{ActivityRow, OrderNews};
use shop::events::{OrderConfirmed, OrderPlaced};
use shop::testing::{CUSTOMER, order_placed};

/// The stored entry of an event.
fn entry<T: Contract>(cloud: &TestCloud, data: &T, news: fn(Event<T>) -> OrderNews) -> ActivityRow {
    let document = bus_event(cloud, data);
    let event = Event::from_detail(&document["detail"].to_string(), cloud.ambient().now()).unwrap();
    ActivityRow::of(&news(event), 1)
}

async fn feed(cloud: &TestCloud, customer: &str, query: &str) -> (i64, Value) {
    let route = "GET /customers/{id}/activity";
    let request = json!({
        "version": "2.0", "routeKey": route, "rawPath": route.replace("{id}", customer), "rawQueryString": query,
        "headers": {}, "requestContext": { "http": { "method": "GET" } }, "pathParameters": { "id": customer },
        "isBase64Encoded": false,
    });
    let handler = cloud.start::<GetOrder>().await;
    cloud.take_calls();
    let response = eda::serve::answer(&handler, serde_json::from_value(request).unwrap()).await;
    let Some(Body::Text(body)) = response.body else { panic!("no text") };
    (response.status_code, serde_json::from_str(&body).unwrap())
}

fn orders(answer: &Value) -> Vec<&str> {
    answer["activity"].as_array().unwrap().iter().map(|entry| entry["orderId"].as_str().unwrap()).collect()
}

/// Orders of a customer, in the order in which they were placed.
fn with_orders(count: usize) -> (TestCloud, Vec<String>) {
    let cloud = TestCloud::of("get-order");
    let orders: Vec<_> = (0..count).map(|index| format!("o{index}")).collect();
    for order in &orders {
        let placed: OrderPlaced = order_placed(order, &[("keyboard", 2)]);
        cloud.put("ActivityTable", &entry(&cloud, &placed, OrderNews::OrderPlaced));
        cloud.advance(std::time::Duration::from_secs(60));
    }
    (cloud, orders)
}

#[tokio::test]
async fn a_feed_says_what_happened_newest_first_in_one_call() {
    let (cloud, _) = with_orders(1);
    let confirmed = OrderConfirmed { order_id: "o0".into(), customer_id: CUSTOMER.into() };
    cloud.put("ActivityTable", &entry(&cloud, &confirmed, OrderNews::OrderConfirmed));
    let (status, answer) = feed(&cloud, CUSTOMER, "").await;
    assert_eq!(status, 200);
    let [newest, oldest] = answer["activity"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((&newest["type"], &oldest["type"]), (&json!("OrderConfirmed"), &json!("OrderPlaced")));
    assert_eq!((&oldest["amount"], &oldest["currency"]), (&json!(99), &json!("USD")));
    assert_eq!((newest.get("amount"), newest.get("reason")), (None, None));
    assert_eq!(answer.get("nextCursor"), None);
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"]);
}

#[tokio::test]
async fn pages_of_any_size_make_up_the_whole_feed() {
    let (cloud, mut placed) = with_orders(7);
    placed.reverse();
    for limit in 1..=8 {
        let (mut shown, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let (_, answer) = feed(&cloud, CUSTOMER, &query).await;
            shown.extend(orders(&answer).into_iter().map(ToOwned::to_owned));
            let Some(cursor) = answer.get("nextCursor") else { break };
            query = format!("limit={limit}&cursor={}", cursor.as_str().unwrap());
        }
        assert_eq!(shown, placed, "{limit}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_feed_is_answered_400_and_a_customer_without_activity_with_an_empty_feed() {
    let (cloud, _) = with_orders(3);
    let (_, first) = feed(&cloud, CUSTOMER, "limit=1").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let (status, body) = feed(&cloud, "c2", &format!("cursor={cursor}")).await;
    assert_eq!((status, &body["errors"][0]["field"]), (400, &json!("cursor")));
    assert_eq!(feed(&cloud, "c2", "").await, (200, json!({ "activity": [] })));
}

#[tokio::test(start_paused = true)]
async fn while_the_feed_cannot_be_read_the_answer_is_503_and_no_empty_feed() {
    let (cloud, _) = with_orders(1);
    for _ in 0..3 {
        cloud.inject("dynamodb:Query", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(feed(&cloud, CUSTOMER, "").await.0, 503);
}
