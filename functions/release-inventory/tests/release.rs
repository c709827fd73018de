//! The compensation against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::row::Key;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use release_inventory::ReleaseInventory;
use serde_json::{Value, json};
use shop::stock::{Product, Reservation, ReservationState};
use shop::testing::{inventory_reserved, payment_failed, payment_refunded, product};

const READ: &str = "dynamodb:GetItem";
const WRITE: &str = "dynamodb:TransactWriteItems";

/// A cloud where three keyboards and three mice are left, beside what `o1` reserved: a keyboard and two mice.
fn standing(status: Option<ReservationState>) -> TestCloud {
    let cloud = TestCloud::of("release-inventory");
    for product_id in ["keyboard", "mouse"] {
        cloud.put("InventoryTable", &product(product_id, 3));
    }
    if let Some(status) = status {
        let rejected = status == ReservationState::Rejected;
        let items = if rejected { Vec::new() } else { inventory_reserved("o1").items };
        let answered = Default::default();
        cloud.put(
            "ReservationsTable",
            &Reservation { order_id: "o1".into(), status, items, answered, expires_at: 0 },
        );
    }
    cloud
}

async fn deliver(cloud: &TestCloud, events: &[Value]) -> usize {
    let worker = cloud.worker::<ReleaseInventory>().await;
    worker.handle(queue_batch(events), cloud.deadline()).await.batch_item_failures.len()
}

fn available(cloud: &TestCloud) -> (i64, i64) {
    let of = |id| cloud.get::<Product>("InventoryTable", Key::of(id)).unwrap().available;
    (of("keyboard"), of("mouse"))
}

fn reservation(cloud: &TestCloud) -> Reservation {
    cloud.get("ReservationsTable", Key::of("o1")).unwrap()
}

fn failed(cloud: &TestCloud) -> Value {
    bus_event(cloud, &payment_failed("o1"))
}

#[tokio::test]
async fn reserved_stock_goes_back_and_is_announced_in_two_calls() {
    let cloud = standing(Some(ReservationState::Reserved));
    let cause = failed(&cloud);
    assert_eq!(deliver(&cloud, std::slice::from_ref(&cause)).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, WRITE]);
    assert_eq!(available(&cloud), (4, 5));
    assert_eq!(reservation(&cloud).status, ReservationState::Released);
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "InventoryReleased");
    assert_eq!(announced[0].1["reason"], json!("card_declined"));
    let items = json!([{ "productId": "keyboard", "quantity": 1 }, { "productId": "mouse", "quantity": 2 }]);
    assert_eq!(announced[0].1["items"], items);
    assert_eq!(announced[0].1["metadata"]["causationId"], cause["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn a_duplicate_is_seen_by_reading_and_changes_nothing() {
    let cloud = standing(Some(ReservationState::Reserved));
    let cause = failed(&cloud);
    deliver(&cloud, std::slice::from_ref(&cause)).await;
    cloud.take_calls();
    assert_eq!(deliver(&cloud, &[cause.clone(), cause]).await, 0);
    assert_eq!(cloud.take_call_names(), [READ; 2]);
    assert_eq!(available(&cloud), (4, 5));
    assert_eq!(cloud.announced_names(), ["InventoryReleased"]);
}

#[tokio::test]
async fn another_cause_is_announced_once_and_puts_nothing_back() {
    let cloud = standing(Some(ReservationState::Reserved));
    let other = bus_event(&cloud, &payment_refunded("o1"));
    deliver(&cloud, &[failed(&cloud)]).await;
    cloud.take_calls();
    // Event ids sort by their millisecond.
    cloud.advance(Duration::from_secs(1));
    assert_eq!(deliver(&cloud, &[other.clone(), other]).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, WRITE, READ]);
    assert_eq!(available(&cloud), (4, 5));
    let reasons: Vec<_> =
        cloud.announced().into_iter().map(|(_, released)| released["reason"].clone()).collect();
    assert_eq!(reasons, [json!("card_declined"), json!("destination_not_served")]);
}

#[tokio::test]
async fn where_nothing_was_reserved_a_tombstone_is_left_and_announced_once_per_cause() {
    let cloud = standing(None);
    let (first, second) = (failed(&cloud), failed(&cloud));
    assert_eq!(deliver(&cloud, std::slice::from_ref(&first)).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, WRITE]);
    assert_eq!(deliver(&cloud, &[first, second]).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, READ, WRITE]);
    assert_eq!(reservation(&cloud).status, ReservationState::Released);
    assert_eq!(reservation(&cloud).answered.len(), 2);
    assert_eq!(available(&cloud), (3, 3));
    let announced = cloud.announced();
    assert_eq!(announced.len(), 2);
    assert_eq!(announced[0].1["items"], json!([]));
}

#[tokio::test]
async fn a_rejected_reservation_stays_rejected_and_is_announced_only() {
    let cloud = standing(Some(ReservationState::Rejected));
    let cause = failed(&cloud);
    assert_eq!(deliver(&cloud, &[cause.clone(), cause]).await, 0);
    assert_eq!(reservation(&cloud).status, ReservationState::Rejected);
    assert_eq!(available(&cloud), (3, 3));
    assert_eq!(cloud.announced_names(), ["InventoryReleased"]);
}

#[tokio::test]
async fn a_reservation_made_since_the_read_is_released_all_the_same() {
    let cloud = standing(Some(ReservationState::Reserved));
    cloud.inject(READ, Fault::Answered(json!({})));
    assert_eq!(deliver(&cloud, &[failed(&cloud)]).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, WRITE, WRITE]);
    assert_eq!(available(&cloud), (4, 5));
    assert_eq!(cloud.announced_names(), ["InventoryReleased"]);
}

#[tokio::test]
async fn a_duplicate_that_was_handled_since_the_read_changes_nothing() {
    let cloud = standing(Some(ReservationState::Reserved));
    let cause = failed(&cloud);
    deliver(&cloud, std::slice::from_ref(&cause)).await;
    cloud.take_calls();
    cloud.inject(READ, Fault::Answered(json!({})));
    assert_eq!(deliver(&cloud, &[cause]).await, 0);
    assert_eq!(cloud.take_call_names(), [READ, WRITE]);
    assert_eq!(available(&cloud), (4, 5));
    assert_eq!(cloud.announced_names(), ["InventoryReleased"]);
}

#[tokio::test]
async fn a_reservation_that_keeps_moving_is_left_for_later() {
    let cloud = standing(Some(ReservationState::Reserved));
    let moved = json!({ "CancellationReasons": [{ "Code": "ConditionalCheckFailed" }] });
    for _ in 0..3 {
        let refused = Fault::Refused(400, "TransactionCanceledException", moved.clone());
        cloud.inject(WRITE, refused);
    }
    assert_eq!(deliver(&cloud, &[failed(&cloud)]).await, 1);
    assert_eq!(cloud.take_call_names(), [READ, WRITE, WRITE, WRITE]);
    assert_eq!(available(&cloud), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_puts_nothing_back_twice() {
    let cloud = standing(Some(ReservationState::Reserved));
    cloud.inject(WRITE, Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[failed(&cloud)]).await, 0);
    assert_eq!(available(&cloud), (4, 5));
    assert_eq!(cloud.announced_names(), ["InventoryReleased"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_served() {
    let cloud = standing(Some(ReservationState::Reserved));
    let stranger = bus_event(&cloud, &inventory_reserved("o2"));
    assert_eq!(deliver(&cloud, &[stranger, failed(&cloud)]).await, 0);
    assert_eq!(available(&cloud), (4, 5));
    let calls = cloud.take_calls();
    let parked = calls.iter().find(|call| call.name == "sqs:SendMessage").unwrap();
    let reason = parked.body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("known: PaymentFailed, PaymentRefunded"), "{reason}");
}

#[tokio::test]
async fn a_state_machine_gets_the_release_however_often_it_calls() {
    for status in [None, Some(ReservationState::Reserved), Some(ReservationState::Rejected)] {
        let cloud = standing(status);
        let step = cloud.start::<ReleaseInventory>().await;
        let cause = bus_event(&cloud, &payment_refunded("o1"));
        let first = cloud.call(&step, &cause).await.unwrap();
        assert_eq!(first["detail"], cloud.announced()[0].1, "{status:?}");
        let again = cloud.call(&step, &cause).await.unwrap();
        assert_eq!(again["detail"]["items"], first["detail"]["items"], "{status:?}");
        assert_eq!(again["detail"]["metadata"]["eventId"], first["detail"]["metadata"]["eventId"]);
        assert_eq!(cloud.announced_names(), ["InventoryReleased"], "{status:?}");
    }
}
