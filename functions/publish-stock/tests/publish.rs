//! The publication against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::batch::StreamWorker;
use eda::testing::{Fault, TestCloud, stream_changes};
use publish_stock::PublishStock;
use serde_json::{Value, json};
use shop::stock::Product;
use shop::testing::product;

fn cloud() -> TestCloud {
    TestCloud::of("publish-stock")
}

/// The product, after so many changes, with so many pieces.
fn stock(version: u64, available: i64) -> Product {
    Product { version, ..product("keyboard", available) }
}

fn change(from: i64, to: i64, version: u64) -> (Option<Product>, Product) {
    (Some(stock(version - 1, from)), stock(version, to))
}

/// Delivers the changes, and gives the sequence number to go on from.
async fn deliver(cloud: &TestCloud, changes: &[(Option<Product>, Product)]) -> Option<String> {
    let worker = StreamWorker::new(cloud.start::<PublishStock>().await);
    let response = worker.handle(stream_changes(changes), cloud.deadline()).await;
    assert!(response.batch_item_failures.len() <= 1);
    response.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier)
}

/// The details of what was put on the bus, call by call.
fn published(cloud: &TestCloud) -> Vec<Vec<Value>> {
    let calls = cloud.take_calls();
    assert!(calls.iter().all(|call| call.name == "events:PutEvents"), "{calls:?}");
    let entries = calls.iter().map(|call| call.body["Entries"].as_array().unwrap().iter());
    entries
        .map(|entries| {
            entries.map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()).collect()
        })
        .collect()
}

#[tokio::test]
async fn a_change_says_how_many_pieces_there_are_and_how_many_there_were() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, &[change(12, 9, 8)]).await, None);
    let published = published(&cloud);
    let update = &published[0][0];
    assert_eq!((&update["quantity"], &update["previousQuantity"]), (&json!(9), &json!(12)));
    assert_eq!((&update["productId"], &update["stockVersion"]), (&json!("keyboard"), &json!(8)));
    assert_eq!(
        (&update["warehouseId"], &update["productCategory"]),
        (&json!("warehouse-1"), &json!("electronics"))
    );
    assert_eq!(update["metadata"]["eventTime"], "2026-01-15T10:30:00Z", "when the row changed");
}

#[tokio::test]
async fn a_change_that_comes_again_has_the_same_id_and_the_next_another() {
    let cloud = cloud();
    for _ in 0..2 {
        deliver(&cloud, &[change(12, 9, 8), change(9, 12, 9)]).await;
    }
    let published = published(&cloud);
    assert_eq!(published[0], published[1]);
    assert_ne!(published[0][0]["metadata"]["eventId"], published[0][1]["metadata"]["eventId"]);
}

#[tokio::test]
async fn a_new_product_had_nothing_before() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, &[(None, stock(1, 50))]).await, None);
    let published = published(&cloud);
    assert_eq!((&published[0][0]["quantity"], &published[0][0]["previousQuantity"]), (&json!(50), &json!(0)));
}

#[tokio::test]
async fn what_changes_no_quantity_says_nothing() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, &[change(5, 5, 2)]).await, None);
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn changes_are_published_by_ten() {
    let cloud = cloud();
    let changes: Vec<_> = (1..=12).map(|version| change(100, 99, version)).collect();
    assert_eq!(deliver(&cloud, &changes).await, None);
    let sizes: Vec<_> = published(&cloud).iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_stream_stops_at_the_first_change_that_the_bus_did_not_take() {
    let cloud = cloud();
    let entries = json!([{ "EventId": "a" }, { "ErrorCode": "MalformedDetail" }, { "EventId": "c" }]);
    cloud.inject("events:PutEvents", Fault::Answered(json!({ "FailedEntryCount": 1, "Entries": entries })));
    let changes = [change(4, 3, 2), (Some(stock(2, 3)), stock(3, 3)), change(3, 2, 4), change(2, 1, 5)];
    assert_eq!(deliver(&cloud, &changes).await.as_deref(), Some("102"), "the second that says something");
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_is_down_the_stream_waits() {
    let cloud = cloud();
    for _ in 0..3 {
        cloud.inject("events:PutEvents", Fault::Refused(500, "InternalException", json!({})));
    }
    assert_eq!(deliver(&cloud, &[change(4, 3, 2)]).await.as_deref(), Some("100"));
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_did_not_take_at_once_is_put_again() {
    let cloud = cloud();
    let entries = json!([{ "EventId": "a" }, { "ErrorCode": "ThrottlingException" }]);
    cloud.inject("events:PutEvents", Fault::Answered(json!({ "FailedEntryCount": 1, "Entries": entries })));
    assert_eq!(deliver(&cloud, &[change(4, 3, 2), change(3, 2, 3)]).await, None);
    let published = published(&cloud);
    assert_eq!(published[1], published[0][1..]);
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = cloud();
    let worker = StreamWorker::new(cloud.start::<PublishStock>().await);
    let sample = serde_json::from_str(include_str!("../events/stock-modified.json")).unwrap();
    assert!(worker.handle(sample, cloud.deadline()).await.batch_item_failures.is_empty());
    assert_eq!(published(&cloud)[0][0]["quantity"], json!(9));
}
