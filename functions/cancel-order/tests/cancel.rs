//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use cancel_order::CancelOrder;
use eda::event::{Cause, Emission, SagaStyle};
use eda::event_store::StoredEvent;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use serde_json::{Value, json};
use shop::order::{OrderHead, OrderStatus};
use shop::testing::{
    inventory_released as released, inventory_reservation_failed as failed, open_order, order_placed,
};

const WRITE: &str = "dynamodb:TransactWriteItems";

/// A cloud with an order that has so many events and this status.
fn order(status: OrderStatus, version: usize) -> TestCloud {
    let cloud = TestCloud::of("cancel-order");
    let head = OrderHead { status, ..open_order("o1") };
    let cause = Cause::root(SagaStyle::Choreographed, None);
    let placed = order_placed("o1", &[("keyboard", 1)]);
    let event = Emission::new(&cause, &placed, &cloud.ambient()).unwrap();
    cloud.put_aggregate("EventStoreTable", "o1", &head, &vec![event; version]);
    cloud
}

async fn deliver(cloud: &TestCloud, events: &[Value]) -> usize {
    let worker = cloud.worker::<CancelOrder>().await;
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
async fn an_open_order_is_cancelled_for_the_reason_that_travelled_with_the_compensation() {
    let cloud = order(OrderStatus::Open, 1);
    let cause = bus_event(&cloud, &released("o1"));
    assert_eq!(deliver(&cloud, std::slice::from_ref(&cause)).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE]);
    let head = head(&cloud);
    assert_eq!((head.status, head.current_version), (OrderStatus::Cancelled, 2));
    assert_eq!((head.open_shard, head.deadline), (None, None));
    assert_eq!(history(&cloud), [(1, "OrderPlaced".to_owned()), (2, "OrderCancelled".to_owned())]);
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "OrderCancelled");
    assert_eq!(announced[0].1["reason"], json!("expired"));
    assert_eq!(announced[0].1["metadata"]["causationId"], cause["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn an_order_that_could_not_be_reserved_is_cancelled() {
    let cloud = order(OrderStatus::Open, 1);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &failed("o1"))]).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE]);
    assert_eq!(cloud.announced()[0].1["reason"], json!("out_of_stock"));
}

#[tokio::test]
async fn a_wrong_guess_of_the_version_costs_one_call_more() {
    let cloud = order(OrderStatus::Open, 3);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &released("o1"))]).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE; 2]);
    assert_eq!(head(&cloud).current_version, 4);
    assert_eq!(cloud.announced_names(), ["OrderCancelled"]);
}

#[tokio::test]
async fn a_second_cause_changes_nothing_and_costs_one_refused_call() {
    let cloud = order(OrderStatus::Open, 1);
    let cause = bus_event(&cloud, &released("o1"));
    deliver(&cloud, std::slice::from_ref(&cause)).await;
    cloud.take_calls();
    for again in [cause, bus_event(&cloud, &released("o1")), bus_event(&cloud, &failed("o1"))] {
        assert_eq!(deliver(&cloud, &[again]).await, 0);
        assert_eq!(cloud.take_call_names(), [WRITE]);
    }
    assert_eq!(history(&cloud).len(), 2);
    assert_eq!(cloud.announced_names(), ["OrderCancelled"]);
}

#[tokio::test]
async fn a_confirmed_order_stays_confirmed() {
    let cloud = order(OrderStatus::Confirmed, 2);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &released("o1"))]).await, 0);
    assert_eq!(cloud.take_call_names(), [WRITE]);
    assert_eq!(head(&cloud).status, OrderStatus::Confirmed);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_compensation_of_an_order_that_was_never_placed_is_parked() {
    let cloud = TestCloud::of("cancel-order");
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &released("o1"))]).await, 0);
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 2);
    let reason = calls[1].body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert_eq!(reason, "there is no such order");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = order(OrderStatus::Open, 1);
    cloud.inject(WRITE, Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &released("o1"))]).await, 0);
    assert_eq!(history(&cloud).len(), 2);
    assert_eq!(cloud.announced_names(), ["OrderCancelled"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_served() {
    let cloud = order(OrderStatus::Open, 1);
    let stranger = bus_event(&cloud, &order_placed("o2", &[("keyboard", 1)]));
    assert_eq!(deliver(&cloud, &[stranger, bus_event(&cloud, &released("o1"))]).await, 0);
    assert_eq!(head(&cloud).status, OrderStatus::Cancelled);
    let calls = cloud.take_calls();
    let parked = calls.iter().find(|call| call.name == "sqs:SendMessage").unwrap();
    let reason = parked.body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("known: InventoryReservationFailed, InventoryReleased"), "{reason}");
}

#[tokio::test]
async fn a_state_machine_cancels_however_often_it_calls() {
    let cloud = order(OrderStatus::Open, 1);
    let step = cloud.start::<CancelOrder>().await;
    let cause = bus_event(&cloud, &released("o1"));
    for _ in 0..2 {
        assert_eq!(cloud.call(&step, &cause).await.unwrap()["detail-type"], "OrderCancelled");
    }
    assert_eq!(cloud.announced_names(), ["OrderCancelled"]);
    let confirmed = order(OrderStatus::Confirmed, 2);
    let step = confirmed.start::<CancelOrder>().await;
    assert_eq!(
        confirmed.call(&step, &bus_event(&confirmed, &released("o1"))).await.unwrap_err().0,
        "OppositeEnd"
    );
}
