//! The feed's writer against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::testing::{Fault, TestCloud, bus_event, message_batch, ordered_message};
use record_activity::RecordActivity;
use serde_json::{Value, json};
use shop::activity::ActivityRow;
use shop::events::{OrderCancelled, OrderConfirmed};
use shop::testing::{CUSTOMER, order_placed, payment_processed};

fn cancelled(order: &str) -> OrderCancelled {
    OrderCancelled { order_id: order.into(), customer_id: CUSTOMER.into(), reason: "expired".into() }
}

/// Handles these events of the customer in one batch; gives what comes again.
async fn record(cloud: &TestCloud, events: &[Value]) -> Vec<String> {
    let worker = cloud.ordered_worker::<RecordActivity>().await;
    let messages = events.iter().enumerate();
    let messages =
        messages.map(|(index, event)| ordered_message(&index.to_string(), CUSTOMER, &event.to_string()));
    let response = worker.handle(message_batch(&messages.collect::<Vec<_>>()), cloud.deadline()).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

/// The feed, oldest first.
fn feed(cloud: &TestCloud) -> Vec<ActivityRow> {
    let mut rows: Vec<ActivityRow> = cloud.rows("ActivityTable");
    rows.sort_by(|one, other| one.event_id.cmp(&other.event_id));
    rows
}

#[tokio::test]
async fn an_event_is_in_the_feed_after_one_write() {
    let cloud = TestCloud::of("record-activity");
    assert!(record(&cloud, &[bus_event(&cloud, &order_placed("o1", &[("keyboard", 2)]))]).await.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:PutItem"]);
    let [entry] = feed(&cloud).try_into().unwrap();
    assert_eq!((entry.customer_id.as_str(), entry.order_id.as_str()), (CUSTOMER, "o1"));
    assert_eq!((entry.event_type.as_str(), entry.amount.as_deref()), ("OrderPlaced", Some("99")));
}

#[tokio::test]
async fn a_copy_that_comes_after_the_queue_has_forgotten_it_changes_nothing() {
    let cloud = TestCloud::of("record-activity");
    let placed = bus_event(&cloud, &order_placed("o1", &[("keyboard", 2)]));
    cloud.advance(Duration::from_secs(1));
    let paid = bus_event(&cloud, &payment_processed("o1"));
    record(&cloud, &[placed.clone(), paid]).await;
    let before = feed(&cloud);
    cloud.advance(Duration::from_secs(86_400));
    assert!(record(&cloud, &[placed]).await.is_empty());
    assert_eq!(feed(&cloud), before);
    assert_eq!(
        before.iter().map(|row| row.event_type.as_str()).collect::<Vec<_>>(),
        ["OrderPlaced", "PaymentProcessed"]
    );
}

#[tokio::test]
async fn an_entry_says_why_something_did_not_come_to_be_and_never_where_it_was_to_go() {
    let cloud = TestCloud::of("record-activity");
    let events =
        [bus_event(&cloud, &order_placed("o1", &[("keyboard", 2)])), bus_event(&cloud, &cancelled("o1"))];
    record(&cloud, &events).await;
    let rows = feed(&cloud);
    assert!(rows.iter().any(|row| row.reason.as_deref() == Some("expired")));
    let stored = serde_json::to_string(&rows).unwrap();
    assert!(!stored.contains("Main Street") && !stored.contains("pm_card"), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_comes_again_with_all_that_is_behind_it() {
    let cloud = TestCloud::of("record-activity");
    for _ in 0..3 {
        cloud.inject("dynamodb:PutItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let confirmed = OrderConfirmed { order_id: "o1".into(), customer_id: CUSTOMER.into() };
    let events = [bus_event(&cloud, &order_placed("o1", &[("keyboard", 2)])), bus_event(&cloud, &confirmed)];
    assert_eq!(record(&cloud, &events).await, ["0", "1"]);
    assert!(feed(&cloud).is_empty());
    assert!(record(&cloud, &events).await.is_empty());
    assert_eq!(feed(&cloud).len(), 2);
}

#[tokio::test]
async fn the_samples_are_understood() {
    let cloud = TestCloud::of("record-activity");
    let worker = cloud.ordered_worker::<RecordActivity>().await;
    for (sample, entries) in [
        (include_str!("../events/order-fulfilled.json"), 4),
        (include_str!("../events/order-cancelled.json"), 9),
    ] {
        let batch = serde_json::from_str(sample).unwrap();
        assert!(worker.handle(batch, cloud.deadline()).await.batch_item_failures.is_empty());
        assert_eq!(feed(&cloud).len(), entries);
    }
}
