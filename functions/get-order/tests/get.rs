//! The query against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::encodings::Body;
use eda::event::{Cause, Contract, Emission, SagaStyle};
use eda::event_store::StoredEvent;
use eda::testing::{Fault, TestCloud};
use get_order::GetOrder;
use serde_json::{Value, json};
use shop::events::OrderConfirmed;
use shop::order::{OrderView, OrderViewRow};
use shop::testing::{CUSTOMER, order_placed};

const ORDER: &str = "0b8f2a57-41de-5f55-9c63-6f1d6c1e8a0b";

fn stored<T: Contract>(cloud: &TestCloud, version: u64, data: &T) -> StoredEvent {
    let event = Emission::new(&Cause::root(SagaStyle::Choreographed, None), data, &cloud.ambient()).unwrap();
    StoredEvent {
        aggregate_id: ORDER.into(),
        version,
        event_type: event.detail_type.into(),
        event_id: event.event_id.to_string(),
        detail: event.detail,
    }
}

/// A placed and confirmed order, in the store alone.
fn with_events() -> (TestCloud, Vec<StoredEvent>) {
    let cloud = TestCloud::of("get-order");
    let confirmed = OrderConfirmed { order_id: ORDER.into(), customer_id: CUSTOMER.into() };
    let events =
        vec![stored(&cloud, 1, &order_placed(ORDER, &[("keyboard", 2)])), stored(&cloud, 2, &confirmed)];
    for event in &events {
        cloud.put("EventStoreTable", event);
    }
    (cloud, events)
}

async fn get(cloud: &TestCloud, id: &str) -> (i64, Value) {
    let request = json!({
        "version": "2.0", "routeKey": "GET /orders/{id}", "rawPath": format!("/orders/{id}"), "headers": {},
        "requestContext": { "http": { "method": "GET" } }, "pathParameters": { "id": id },
        "isBase64Encoded": false,
    });
    let handler = cloud.start::<GetOrder>().await;
    let response = eda::serve::answer(&handler, serde_json::from_value(request).unwrap()).await;
    let Some(Body::Text(body)) = response.body else { panic!("no text") };
    let content_type = response.headers.get("content-type").unwrap().to_str().unwrap();
    let expected = if response.status_code == 200 { "application/json" } else { "application/problem+json" };
    assert_eq!(content_type, expected);
    (response.status_code, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_projected_order_is_answered_as_stored_in_one_call() {
    let (cloud, events) = with_events();
    let view = OrderView::fold(None, &events[..1]).unwrap().unwrap();
    cloud.put("OrderViewsTable", &OrderViewRow::of(&view).unwrap());
    let (status, body) = get(&cloud, ORDER).await;
    assert_eq!((status, &body["status"], &body["version"]), (200, &json!("open"), &json!(1)));
    assert_eq!(body["totalAmount"], json!(99));
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
}

#[tokio::test]
async fn before_it_is_projected_an_order_is_folded_from_its_events() {
    let (cloud, events) = with_events();
    let (status, body) = get(&cloud, ORDER).await;
    assert_eq!(status, 200);
    let view = OrderView::fold(None, &events).unwrap().unwrap();
    assert_eq!(body, serde_json::to_value(view).unwrap());
    assert_eq!(body["status"], "confirmed");
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query"]);
}

#[tokio::test]
async fn an_answer_holds_neither_address_nor_payment_method() {
    let (cloud, _) = with_events();
    let (_, body) = get(&cloud, ORDER).await;
    assert_eq!((body.get("shippingAddress"), body.get("paymentMethod")), (None, None));
}

#[tokio::test]
async fn an_id_is_found_however_it_is_spelled() {
    let (cloud, _) = with_events();
    assert_eq!(get(&cloud, &ORDER.to_uppercase()).await.0, 200);
}

#[tokio::test]
async fn where_there_is_no_order_the_answer_is_404() {
    let cloud = TestCloud::of("get-order");
    let (status, body) = get(&cloud, ORDER).await;
    assert_eq!((status, &body["type"]), (404, &json!("urn:problem:no-such-order")));
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query"]);
}

#[tokio::test]
async fn what_is_no_uuid_is_answered_404_without_asking() {
    let (cloud, _) = with_events();
    for id in ["", "1", "order-1", "0b8f2a57-41de-5f55-9c63-6f1d6c1e8a0", "../orders"] {
        assert_eq!(get(&cloud, id).await.0, 404, "{id}");
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_the_views_cannot_be_read_the_answer_is_503_and_never_404() {
    let (cloud, _) = with_events();
    for call in ["dynamodb:GetItem", "dynamodb:Query"] {
        for _ in 0..3 {
            cloud.inject(call, Fault::Refused(500, "InternalServerError", json!({})));
        }
        assert_eq!(get(&cloud, ORDER).await.0, 503, "{call}");
    }
    assert_eq!(get(&cloud, ORDER).await.0, 200);
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = TestCloud::of("get-order");
    let handler = cloud.start::<GetOrder>().await;
    let sample = serde_json::from_str(include_str!("../events/get-order.json")).unwrap();
    assert_eq!(eda::serve::answer(&handler, sample).await.status_code, 404);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query"]);
}
