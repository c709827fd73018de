//! The query against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use aws_lambda_events::encodings::Body;
use eda::event_store::{Fold, StoredEvent};
use eda::snapshot::Snapshot;
use eda::testing::{Fault, TestCloud, stored_event};
use eda::view::{FIRST_GENERATION, Generations, View};
use get_order::GetOrder;
use serde_json::{Value, json};
use shop::events::OrderConfirmed;
use shop::order::{OrderView, OrderViewRow};
use shop::testing::{CUSTOMER, order_placed};

const ORDER: &str = "0b8f2a57-41de-5f55-9c63-6f1d6c1e8a0b";

/// A placed and confirmed order, in the store alone.
fn with_events() -> (TestCloud, Vec<StoredEvent>) {
    let cloud = TestCloud::of("get-order");
    let confirmed = OrderConfirmed { order_id: ORDER.into(), customer_id: CUSTOMER.into() };
    let events = vec![
        stored_event(&cloud, 1, &order_placed(ORDER, &[("keyboard", 2)])),
        stored_event(&cloud, 2, &confirmed),
    ];
    for event in &events {
        cloud.put("EventStoreTable", event);
    }
    (cloud, events)
}

async fn get(cloud: &TestCloud, id: &str) -> (i64, Value) {
    ask(cloud, "GET /orders/{id}", id, "").await
}

async fn ask(cloud: &TestCloud, route: &str, id: &str, query: &str) -> (i64, Value) {
    let request = json!({
        "version": "2.0", "routeKey": route, "rawPath": route.replace("{id}", id), "rawQueryString": query,
        "headers": {}, "requestContext": { "http": { "method": "GET" } }, "pathParameters": { "id": id },
        "isBase64Encoded": false,
    });
    let handler = cloud.start::<GetOrder>().await;
    cloud.take_calls();
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
    cloud.put("OrderViewsTable", &OrderViewRow::of(&view, FIRST_GENERATION).unwrap());
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
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:GetItem", "dynamodb:Query"]);
}

#[tokio::test]
async fn an_order_with_a_snapshot_is_folded_from_there() {
    let (cloud, events) = with_events();
    let state = OrderView::fold(None, &events[..1]).unwrap().unwrap();
    cloud.put("SnapshotsTable", &Snapshot::of(ORDER, &state).unwrap());
    let (_, body) = get(&cloud, ORDER).await;
    assert_eq!(body, serde_json::to_value(OrderView::fold(None, &events).unwrap()).unwrap());
    let calls = cloud.take_calls();
    assert_eq!(calls[2].body["ExpressionAttributeValues"][":after"], json!({ "N": "1" }));
}

/// A view whose readers were sent to this generation.
fn sent_to(live: u64) -> Generations {
    Generations { live, ..Generations::first("orders") }
}

#[tokio::test]
async fn readers_see_the_live_generation_and_no_other() {
    let (cloud, events) = with_events();
    for (generation, events) in [(1, &events[..1]), (2, &events[..])] {
        let view = OrderView::fold(None, events).unwrap().unwrap();
        cloud.put("OrderViewsTable", &OrderViewRow::of(&view, generation).unwrap());
    }
    for (live, version) in [(1, 1), (2, 2)] {
        cloud.put("ProjectionsTable", &sent_to(live));
        assert_eq!(get(&cloud, ORDER).await.1["version"], version);
        let orders = list(&cloud, CUSTOMER, "").await.1["orders"].take();
        assert_eq!((orders.as_array().unwrap().len(), &orders[0]["version"]), (1, &json!(version)));
    }
}

#[tokio::test]
async fn a_reader_whose_generation_has_given_way_learns_of_the_live_one() {
    let (cloud, events) = with_events();
    let view = OrderView::fold(None, &events).unwrap().unwrap();
    let handler = cloud.start::<GetOrder>().await;
    cloud.put("OrderViewsTable", &OrderViewRow::of(&view, 3).unwrap());
    cloud.put("ProjectionsTable", &sent_to(3));
    cloud.take_calls();
    let sample =
        include_str!("../events/get-order.json").replace("99a2809c-4b6c-5d52-9cbb-918ae6450583", ORDER);
    let answer = eda::serve::answer(&handler, serde_json::from_str(&sample).unwrap()).await;
    assert_eq!(answer.status_code, 200);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"; 3]);
}

#[tokio::test]
async fn a_list_goes_on_where_another_generation_has_taken_over() {
    let (cloud, _) = with_orders("c1", 4);
    let (first, cursor) = page(&list(&cloud, "c1", "limit=2").await);
    for index in 0..4 {
        let row = cloud.get("OrderViewsTable", OrderViewRow::key(&format!("c1-{index}"), 1)).unwrap();
        cloud.put("OrderViewsTable", &OrderViewRow::of(&row.view().unwrap(), 2).unwrap());
    }
    cloud.put("ProjectionsTable", &sent_to(2));
    let (second, _) = page(&list(&cloud, "c1", &format!("limit=2&cursor={}", cursor.unwrap())).await);
    assert_eq!([first, second].concat(), ["c1-3", "c1-2", "c1-1", "c1-0"]);
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
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:GetItem", "dynamodb:Query"]);
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
    // The start tries to learn of the generations, too.
    for (call, times) in [("dynamodb:GetItem", 6), ("dynamodb:Query", 3)] {
        for _ in 0..times {
            cloud.inject(call, Fault::Refused(500, "InternalServerError", json!({})));
        }
        assert_eq!(get(&cloud, ORDER).await.0, 503, "{call}");
    }
    assert_eq!(get(&cloud, ORDER).await.0, 200);
}

/// Orders of a customer, one a minute, the oldest first; all are projected.
fn with_orders(customer: &str, count: usize) -> (TestCloud, Vec<String>) {
    let cloud = TestCloud::of("get-order");
    let orders = (0..count).map(|index| project(&cloud, customer, index)).collect();
    (cloud, orders)
}

fn project(cloud: &TestCloud, customer: &str, minute: usize) -> String {
    let order_id = format!("{customer}-{minute}");
    let mut placed = order_placed(&order_id, &[("keyboard", 2)]);
    placed.customer_id = customer.to_owned();
    placed.timestamp += Duration::from_secs(60 * minute as u64);
    let stored = StoredEvent { aggregate_id: order_id.clone(), ..stored_event(cloud, 1, &placed) };
    let view = OrderView::fold(None, &[stored]).unwrap().unwrap();
    cloud.put("OrderViewsTable", &OrderViewRow::of(&view, FIRST_GENERATION).unwrap());
    order_id
}

async fn list(cloud: &TestCloud, customer: &str, query: &str) -> (i64, Value) {
    ask(cloud, "GET /customers/{id}/orders", customer, query).await
}

/// The ids of a page's orders, and its cursor.
fn page(answer: &(i64, Value)) -> (Vec<String>, Option<String>) {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let orders = answer.1["orders"].as_array().unwrap().iter();
    let cursor = answer.1.get("nextCursor").map(|cursor| cursor.as_str().unwrap().to_owned());
    (orders.map(|order| order["orderId"].as_str().unwrap().to_owned()).collect(), cursor)
}

#[tokio::test]
async fn a_customers_orders_are_listed_newest_first_in_one_call() {
    let (cloud, mut orders) = with_orders("c1", 3);
    project(&cloud, "c2", 1);
    let answer = list(&cloud, "c1", "").await;
    orders.reverse();
    assert_eq!(page(&answer), (orders.clone(), None));
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"]);
    let row: OrderViewRow =
        cloud.get("OrderViewsTable", OrderViewRow::key(&orders[0], FIRST_GENERATION)).unwrap();
    assert_eq!(answer.1["orders"][0], serde_json::from_str::<Value>(&row.document).unwrap());
}

#[tokio::test]
async fn pages_of_any_size_make_up_the_whole_list() {
    let (cloud, mut orders) = with_orders("c1", 7);
    orders.reverse();
    for limit in 1..=8 {
        let (mut listed, mut query, mut pages) = (Vec::new(), format!("limit={limit}"), 0);
        loop {
            let (ids, cursor) = page(&list(&cloud, "c1", &query).await);
            assert!(ids.len() <= limit);
            listed.extend(ids);
            pages += 1;
            let Some(cursor) = cursor else { break };
            query = format!("cursor={cursor}&limit={limit}");
        }
        assert_eq!((&listed, pages), (&orders, 7_usize.div_ceil(limit)), "{limit}");
    }
}

#[tokio::test]
async fn an_order_placed_meanwhile_is_not_on_the_pages_to_come() {
    let (cloud, _) = with_orders("c1", 4);
    let (first, cursor) = page(&list(&cloud, "c1", "limit=2").await);
    project(&cloud, "c1", 9);
    let (second, _) = page(&list(&cloud, "c1", &format!("limit=2&cursor={}", cursor.unwrap())).await);
    assert_eq!([first, second].concat(), ["c1-3", "c1-2", "c1-1", "c1-0"]);
}

#[tokio::test]
async fn orders_placed_at_the_same_moment_are_each_listed_once() {
    let (cloud, _) = with_orders("c1", 1);
    for index in 0..5 {
        let mut row: OrderViewRow =
            cloud.get("OrderViewsTable", OrderViewRow::key("c1-0", FIRST_GENERATION)).unwrap();
        row.order_id = format!("twin-{index}");
        row.view_id = row.view_id.replace("c1-0", &row.order_id);
        row.document = row.document.replace("c1-0", &row.order_id);
        cloud.put("OrderViewsTable", &row);
    }
    let (mut listed, mut query) = (Vec::new(), "limit=2".to_owned());
    while let (ids, Some(cursor)) = page(&list(&cloud, "c1", &query).await) {
        listed.extend(ids);
        query = format!("limit=2&cursor={cursor}");
    }
    listed.extend(page(&list(&cloud, "c1", &query).await).0);
    listed.sort();
    assert_eq!(listed, ["c1-0", "twin-0", "twin-1", "twin-2", "twin-3", "twin-4"]);
}

#[tokio::test]
async fn a_customer_who_has_not_ordered_has_an_empty_list() {
    let (cloud, _) = with_orders("c1", 1);
    assert_eq!(list(&cloud, "c2", "").await, (200, json!({ "orders": [] })));
}

#[tokio::test]
async fn a_tampered_or_foreign_cursor_and_a_wrong_limit_are_answered_400_without_asking() {
    let (cloud, _) = with_orders("c1", 3);
    let cursor = page(&list(&cloud, "c1", "limit=1").await).1.unwrap();
    cloud.take_calls();
    let tampered = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    for (customer, query, field) in [
        ("c1", format!("cursor={tampered}"), "cursor"),
        ("c2", format!("cursor={cursor}"), "cursor"),
        ("c1", "cursor=".to_owned(), "cursor"),
        ("c1", "limit=0".to_owned(), "limit"),
        ("c1", "limit=101".to_owned(), "limit"),
    ] {
        let (status, body) = list(&cloud, customer, &query).await;
        assert_eq!((status, &body["type"]), (400, &json!("urn:problem:invalid-query")), "{query}");
        assert_eq!(body["errors"][0]["field"], field, "{query}");
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn an_id_that_no_customer_can_have_is_answered_404_without_asking() {
    let (cloud, _) = with_orders("c1", 1);
    for id in ["", "a b", "-c1", "c\u{80}", &"c".repeat(65)] {
        for route in ["GET /customers/{id}/orders", "GET /customers/{id}/activity"] {
            let (status, body) = ask(&cloud, route, id, "").await;
            assert_eq!(
                (status, &body["type"]),
                (404, &json!("urn:problem:no-such-customer")),
                "{route} {id:?}"
            );
            assert!(cloud.take_calls().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_index_cannot_be_read_the_answer_is_503_and_no_empty_list() {
    let (cloud, _) = with_orders("c1", 1);
    for _ in 0..3 {
        cloud.inject("dynamodb:Query", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(list(&cloud, "c1", "").await.0, 503);
}

#[tokio::test]
async fn the_api_describes_itself() {
    let cloud = TestCloud::of("get-order");
    let (status, body) = ask(&cloud, "GET /openapi.json", "", "").await;
    assert_eq!((status, &body["openapi"]), (200, &json!("3.1.0")));
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn a_route_that_is_none_of_its_own_is_answered_404() {
    let cloud = TestCloud::of("get-order");
    let (status, body) = ask(&cloud, "DELETE /orders/{id}", ORDER, "").await;
    assert_eq!((status, &body["type"]), (404, &json!("urn:problem:no-such-route")));
}

#[tokio::test]
async fn the_samples_are_understood() {
    let cloud = TestCloud::of("get-order");
    let handler = cloud.start::<GetOrder>().await;
    cloud.take_calls();
    let samples = [
        (
            include_str!("../events/get-order.json"),
            404,
            &["dynamodb:GetItem", "dynamodb:GetItem", "dynamodb:Query"][..],
        ),
        (include_str!("../events/get-customer-orders.json"), 200, &["dynamodb:Query"]),
        (include_str!("../events/get-customer-activity.json"), 200, &["dynamodb:Query"]),
        (include_str!("../events/get-sales.json"), 200, &["dynamodb:Query"]),
        (include_str!("../events/get-description.json"), 200, &[]),
    ];
    for (sample, status, calls) in samples {
        let answer = eda::serve::answer(&handler, serde_json::from_str(sample).unwrap()).await;
        assert_eq!(answer.status_code, status);
        assert_eq!(cloud.take_call_names(), calls);
    }
}
