//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use confirm_order::ConfirmOrder;
use eda::event::{Cause, Emission, SagaStyle};
use eda::event_store::StoredEvent;
use eda::telemetry::{Refusals, take_refusals};
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use serde_json::{Value, json};
use shop::order::{OrderHead, OrderStatus};
use shop::testing::{all_steps_complete as complete, open_order, order_placed, order_shipped};

const WRITE: &str = "dynamodb:TransactWriteItems";

/// A cloud with an order that has so many events and this status.
fn order(status: OrderStatus, version: usize) -> TestCloud {
    let cloud = TestCloud::of("confirm-order");
    let head = OrderHead { status, ..open_order("o1") };
    let cause = Cause::root(SagaStyle::Choreographed, None);
    let placed = order_placed("o1", &[("keyboard", 1)]);
    let event = Emission::new(&cause, &placed, &cloud.ambient()).unwrap();
    cloud.put_aggregate("EventStoreTable", "o1", &head, &vec![event; version]);
    cloud
}

async fn deliver(cloud: &TestCloud, events: &[Value]) -> usize {
    let worker = cloud.worker::<ConfirmOrder>().await;
    worker.handle(queue_batch(events), cloud.deadline()).await.batch_item_failures.len()
}

fn head(cloud: &TestCloud) -> OrderHead {
    cloud.get("EventStoreTable", OrderHead::key("o1")).unwrap()
}

fn history(cloud: &TestCloud) -> Vec<(u64, String)> {
    let mut events = cloud.rows::<StoredEvent>("EventStoreTable");
    events.sort_by_key(|event| event.version);
    events.into_iter().map(|event| (event.version, event.event_type)).collect()
}

#[tokio::test]
async fn an_open_order_is_confirmed_and_announced_in_one_call() {
    let cloud = order(OrderStatus::Open, 1);
    let cause = bus_event(&cloud, &complete("o1"));
    assert_eq!(deliver(&cloud, std::slice::from_ref(&cause)).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE]);
    let head = head(&cloud);
    assert_eq!((head.status, head.current_version), (OrderStatus::Confirmed, 2));
    assert_eq!((head.open_shard, head.deadline), (None, None));
    assert_eq!(history(&cloud), [(1, "OrderPlaced".to_owned()), (2, "OrderConfirmed".to_owned())]);
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "OrderConfirmed");
    assert_eq!(announced[0].1["metadata"]["causationId"], cause["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn a_wrong_guess_of_the_version_costs_one_call_more() {
    let cloud = order(OrderStatus::Open, 3);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &complete("o1"))]).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE; 2]);
    assert_eq!(head(&cloud).current_version, 4);
    assert_eq!(history(&cloud).len(), 4);
    assert_eq!(cloud.announced_names(), ["OrderConfirmed"]);
}

#[tokio::test]
async fn a_wrong_guess_of_the_version_counts_as_no_duplicate() {
    let cloud = order(OrderStatus::Open, 3);
    let step = cloud.start::<ConfirmOrder>().await;
    let complete = bus_event(&cloud, &complete("o1"));
    assert_eq!(take_refusals(), Refusals::default());
    cloud.call(&step, &complete).await.unwrap();
    assert_eq!(take_refusals(), Refusals { duplicates: 0, wrong_guesses: 1 });
    cloud.call(&step, &complete).await.unwrap();
    assert_eq!(take_refusals(), Refusals { duplicates: 1, wrong_guesses: 0 });
}

#[tokio::test]
async fn a_duplicate_changes_nothing_and_costs_one_refused_call() {
    let cloud = order(OrderStatus::Open, 1);
    let cause = bus_event(&cloud, &complete("o1"));
    deliver(&cloud, std::slice::from_ref(&cause)).await;
    cloud.take_calls();
    // The aggregator's event, once more under its own id, and once as expiry repeats it.
    for again in [cause, bus_event(&cloud, &complete("o1"))] {
        assert_eq!(deliver(&cloud, &[again]).await, 0);
        assert_eq!(cloud.take_call_names(), [WRITE]);
    }
    assert_eq!(history(&cloud).len(), 2);
    assert_eq!(cloud.announced_names(), ["OrderConfirmed"]);
}

#[tokio::test]
async fn a_cancelled_order_stays_cancelled() {
    let cloud = order(OrderStatus::Cancelled, 2);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &complete("o1"))]).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE]);
    assert_eq!(head(&cloud).status, OrderStatus::Cancelled);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_step_of_an_order_that_was_never_placed_is_parked() {
    let cloud = TestCloud::of("confirm-order");
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &complete("o1"))]).await, 0);
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 2);
    let reason = calls[1].body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert_eq!(reason, "there is no such order");
    assert!(cloud.rows::<StoredEvent>("EventStoreTable").is_empty());
}

#[tokio::test]
async fn an_order_that_keeps_moving_is_left_for_later() {
    let cloud = order(OrderStatus::Open, 1);
    for version in 2..6 {
        let head = json!({
            "aggregateId": { "S": "o1" }, "version": { "N": "0" }, "currentVersion": { "N": version.to_string() },
            "status": { "S": "open" }, "customerId": { "S": "customer-1" }, "commandHash": { "S": "v1:00" },
            "correlationId": { "S": "019bc13e-4c40-7000-8000-000000000001" },
        });
        let reasons = json!([{ "Code": "ConditionalCheckFailed", "Item": head }]);
        let refused = json!({ "CancellationReasons": reasons });
        cloud.inject(WRITE, Fault::Refused(400, "TransactionCanceledException", refused));
    }
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &complete("o1"))]).await, 1);
    assert_eq!(cloud.take_call_names(), [WRITE; 4]);
    assert_eq!(head(&cloud).status, OrderStatus::Open);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = order(OrderStatus::Open, 1);
    cloud.inject(WRITE, Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &complete("o1"))]).await, 0);
    assert_eq!(history(&cloud).len(), 2);
    assert_eq!(cloud.announced_names(), ["OrderConfirmed"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_served() {
    let cloud = order(OrderStatus::Open, 1);
    let mut poison = bus_event(&cloud, &complete("o2"));
    poison["detail"]["orderId"] = json!(7);
    assert_eq!(deliver(&cloud, &[poison, bus_event(&cloud, &complete("o1"))]).await, 0);
    assert_eq!(head(&cloud).status, OrderStatus::Confirmed);
    let mut names = cloud.take_call_names();
    names.sort();
    assert_eq!(names, [WRITE, "sqs:SendMessage"]);
}

#[tokio::test]
async fn a_state_machine_confirms_what_has_shipped_however_often_it_calls() {
    let cloud = order(OrderStatus::Open, 1);
    let step = cloud.start::<ConfirmOrder>().await;
    let shipped = bus_event(&cloud, &order_shipped("o1"));
    for _ in 0..2 {
        let confirmed = cloud.call(&step, &shipped).await.unwrap();
        assert_eq!(confirmed["detail-type"], "OrderConfirmed");
        assert_eq!(confirmed["detail"]["metadata"]["eventId"], cloud.announced()[0].1["metadata"]["eventId"]);
    }
    assert_eq!(cloud.take_call_names(), [WRITE; 2]);
    assert_eq!(history(&cloud).len(), 2);
}

#[tokio::test]
async fn a_state_machine_is_told_of_the_opposite_end() {
    let cloud = order(OrderStatus::Cancelled, 2);
    let step = cloud.start::<ConfirmOrder>().await;
    let (name, _) = cloud.call(&step, &bus_event(&cloud, &order_shipped("o1"))).await.unwrap_err();
    assert_eq!(name, "OppositeEnd");
}
