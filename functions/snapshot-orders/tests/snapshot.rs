//! Snapshots of orders against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::ops::RangeInclusive;

use eda::batch::StreamWorker;
use eda::event::Contract;
use eda::event_store::{Fold, StoredEvent};
use eda::row::Table;
use eda::snapshot::{Snapshot, Snapshots};
use eda::testing::{Fault, TestCloud, stored_event, stream_batch};
use serde_json::json;
use shop::events::OrderConfirmed;
use shop::order::{OrderHead, OrderView};
use shop::testing::{CUSTOMER, order_placed};
use snapshot_orders::SnapshotOrders;

const TAKEN: &[&str] = &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"];

fn cloud() -> TestCloud {
    TestCloud::of("snapshot-orders")
}

fn stored<T: Contract>(cloud: &TestCloud, version: u64, data: &T) -> StoredEvent {
    let stored = stored_event(cloud, version, data);
    cloud.put("EventStoreTable", &stored);
    stored
}

/// An order of so many events: placed, and then confirmed again and again.
fn order(cloud: &TestCloud, id: &str, events: u64) -> Vec<StoredEvent> {
    append(cloud, id, 1..=events)
}

fn append(cloud: &TestCloud, id: &str, versions: RangeInclusive<u64>) -> Vec<StoredEvent> {
    let placed = order_placed(id, &[("keyboard", 2)]);
    let confirmed = OrderConfirmed { order_id: id.into(), customer_id: CUSTOMER.into() };
    let event = |version| match version {
        1 => stored(cloud, 1, &placed),
        version => stored(cloud, version, &confirmed),
    };
    versions.map(event).collect()
}

/// Delivers these events' records under this policy; gives the sequence number to go on from.
async fn deliver(cloud: &TestCloud, policy: &str, events: &[StoredEvent]) -> Option<String> {
    let function = cloud.start_with::<SnapshotOrders>(&[("SNAPSHOT_POLICY", policy)]).await;
    let response = StreamWorker::new(function).handle(stream_batch(events), cloud.deadline()).await;
    response.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier)
}

fn snapshot(cloud: &TestCloud, id: &str) -> Option<OrderView> {
    let snapshot = cloud.get("SnapshotsTable", Snapshot::key(id))?;
    Some(snapshot.state().unwrap())
}

#[tokio::test]
async fn an_order_of_a_thousand_events_is_loaded_with_a_hundred_at_most_in_two_calls() {
    let cloud = cloud();
    let mut events = Vec::new();
    for hundred in 0..10 {
        let appended = append(&cloud, "o1", hundred * 100 + 1..=hundred * 100 + 100);
        // The thousandth has not rung yet: the snapshot is as old as it can be.
        let rung = if hundred == 9 { &appended[..99] } else { &appended };
        assert_eq!(deliver(&cloud, "100", rung).await, None);
        events.extend(appended);
    }
    assert_eq!(snapshot(&cloud, "o1").map(|view| view.version), Some(900));
    cloud.take_calls();
    let store: Table<OrderHead> = Table::named("EventStoreTable");
    let snapshots = Snapshots::new(cloud.aws().dynamodb(), store, Table::named("SnapshotsTable"));
    let loaded: Option<OrderView> = snapshots.load("o1").await.unwrap();
    assert_eq!(loaded, OrderView::fold(None, &events).unwrap());
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[1].name, "dynamodb:Query");
    let after = &calls[1].body["ExpressionAttributeValues"][":after"]["N"];
    assert_eq!(after, "900", "a hundred events are read");
}

#[tokio::test]
async fn a_snapshot_follows_every_hundredth_version_for_three_calls_and_nothing_else() {
    let cloud = cloud();
    let events = order(&cloud, "o1", 102);
    assert_eq!(deliver(&cloud, "100", &events[..99]).await, None);
    assert!(cloud.take_calls().is_empty());
    assert_eq!(deliver(&cloud, "100", &events[99..]).await, None);
    assert_eq!(cloud.take_call_names(), TAKEN);
    assert_eq!(snapshot(&cloud, "o1"), OrderView::fold(None, &events).unwrap());
}

#[tokio::test]
async fn a_snapshot_follows_the_events_that_the_policy_names() {
    let cloud = cloud();
    let events = order(&cloud, "o1", 2);
    assert_eq!(deliver(&cloud, "none", &events).await, None);
    assert_eq!(deliver(&cloud, "OrderConfirmed", &events[..1]).await, None);
    assert!(cloud.take_calls().is_empty());
    assert_eq!(deliver(&cloud, "OrderConfirmed", &events[1..]).await, None);
    assert_eq!(snapshot(&cloud, "o1").map(|view| view.version), Some(2));
}

#[tokio::test]
async fn a_record_that_comes_again_costs_one_call() {
    let cloud = cloud();
    let events = order(&cloud, "o1", 2);
    deliver(&cloud, "1", &events).await;
    cloud.take_calls();
    assert_eq!(deliver(&cloud, "1", &events).await, None);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
}

#[tokio::test(start_paused = true)]
async fn the_stream_stops_at_the_record_whose_snapshot_failed() {
    let cloud = cloud();
    let (one, two) = (order(&cloud, "o1", 3), order(&cloud, "o2", 2));
    for _ in 0..3 {
        cloud.inject("dynamodb:PutItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let records = [one[0].clone(), one[1].clone(), two[0].clone(), one[2].clone()];
    assert_eq!(deliver(&cloud, "3", &records).await.as_deref(), Some("103"));
    assert_eq!(deliver(&cloud, "3", &records[3..]).await, None);
    assert_eq!(snapshot(&cloud, "o1").map(|view| view.version), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = cloud();
    let events = order(&cloud, "o1", 1);
    cloud.inject("dynamodb:PutItem", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, "1", &events).await, None);
    assert_eq!(snapshot(&cloud, "o1"), OrderView::fold(None, &events).unwrap());
}

#[tokio::test]
async fn an_order_that_nobody_can_read_does_not_hold_up_the_others() {
    let cloud = cloud();
    let (mut one, two) = (order(&cloud, "o1", 1), order(&cloud, "o2", 1));
    one[0].event_type = "OrderVanished".into();
    cloud.put("EventStoreTable", &one[0]);
    assert_eq!(deliver(&cloud, "1", &[one[0].clone(), two[0].clone()]).await, None);
    assert_eq!((snapshot(&cloud, "o1"), snapshot(&cloud, "o2").is_some()), (None, true));
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = cloud();
    let function = cloud.start_with::<SnapshotOrders>(&[("SNAPSHOT_POLICY", "1")]).await;
    let sample = serde_json::from_str(include_str!("../events/order-placed.json")).unwrap();
    let response = StreamWorker::new(function).handle(sample, cloud.deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query"]);
}
