//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::row::Key;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use reserve_inventory::ReserveInventory;
use serde_json::{Value, json};
use shop::events::OrderPlaced;
use shop::stock::{Product, Reservation, ReservationState};
use shop::testing::{order_placed as order, product};

fn stocked(products: &[(&str, i64)]) -> TestCloud {
    let cloud = TestCloud::of("reserve-inventory");
    for (product_id, available) in products {
        cloud.put("InventoryTable", &product(product_id, *available));
    }
    cloud
}

fn available(cloud: &TestCloud, product_id: &str) -> i64 {
    cloud.get::<Product>("InventoryTable", Key::of(product_id)).unwrap().available
}

async fn deliver(cloud: &TestCloud, orders: &[OrderPlaced]) -> usize {
    let worker = cloud.worker::<ReserveInventory>().await;
    let events: Vec<_> = orders.iter().map(|order| bus_event(cloud, order)).collect();
    worker.handle(queue_batch(&events), cloud.deadline()).await.batch_item_failures.len()
}

#[tokio::test]
async fn an_order_in_stock_is_reserved_and_announced_in_one_call() {
    let cloud = stocked(&[("a", 5), ("b", 5)]);
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2), ("b", 1)])]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!((available(&cloud, "a"), available(&cloud, "b")), (3, 4));
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "InventoryReserved");
    assert_eq!(
        announced[0].1["items"],
        json!([{"productId": "a", "quantity": 2}, {"productId": "b", "quantity": 1}])
    );
    assert_eq!(announced[0].1["totalAmount"], json!(148.5));
}

#[tokio::test]
async fn a_duplicate_changes_nothing_and_costs_one_refused_call() {
    let cloud = stocked(&[("a", 5)]);
    let order = order("o1", &[("a", 2)]);
    deliver(&cloud, std::slice::from_ref(&order)).await;
    cloud.take_calls();
    assert_eq!(deliver(&cloud, &[order]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(available(&cloud, "a"), 3);
    assert_eq!(cloud.announced_names(), ["InventoryReserved"]);
}

#[tokio::test]
async fn a_short_item_rejects_the_whole_order_and_names_what_was_short() {
    let cloud = stocked(&[("a", 5), ("b", 0)]);
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2), ("b", 1), ("unknown", 1)])]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!(available(&cloud, "a"), 5);
    let announced = cloud.announced();
    assert_eq!(announced[0].0, "InventoryReservationFailed");
    assert_eq!(announced[0].1["unavailable"], json!(["b", "unknown"]));
    let row = cloud.get::<Reservation>("ReservationsTable", Key::of("o1")).unwrap();
    assert_eq!(row.status, ReservationState::Rejected);
}

fn tombstone(order_id: &str) -> Reservation {
    Reservation {
        order_id: order_id.into(),
        status: ReservationState::Released,
        items: vec![],
        answered: Default::default(),
        expires_at: 0,
    }
}

#[tokio::test]
async fn a_tombstone_refuses_a_late_reservation() {
    let cloud = stocked(&[("a", 5)]);
    cloud.put("ReservationsTable", &tombstone("o1"));
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2)])]).await, 0);
    assert_eq!(available(&cloud, "a"), 5);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn lines_of_one_product_are_merged() {
    let cloud = stocked(&[("a", 5)]);
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2), ("a", 3)])]).await, 0);
    assert_eq!(available(&cloud, "a"), 0);
}

#[tokio::test]
async fn orders_of_one_batch_never_take_more_than_there_is() {
    let cloud = stocked(&[("a", 5)]);
    let orders: Vec<_> = (0..4).map(|index| order(&format!("o{index}"), &[("a", 2)])).collect();
    assert_eq!(deliver(&cloud, &orders).await, 0);
    assert_eq!(available(&cloud, "a"), 1);
    let mut names = cloud.announced_names();
    names.sort();
    assert_eq!(names.iter().filter(|name| *name == "InventoryReserved").count(), 2);
    assert_eq!(names.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_until_it_is_decided() {
    let cloud = stocked(&[("a", 5)]);
    let reasons = json!({ "CancellationReasons": [{ "Code": "None" }, { "Code": "TransactionConflict" }, { "Code": "None" }] });
    cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(400, "TransactionCanceledException", reasons));
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2)])]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!(available(&cloud, "a"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = stocked(&[("a", 5)]);
    cloud.inject("dynamodb:TransactWriteItems", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[order("o1", &[("a", 2)])]).await, 0);
    assert_eq!(available(&cloud, "a"), 3);
    assert_eq!(cloud.announced_names(), ["InventoryReserved"]);
}

#[tokio::test]
async fn poison_is_parked_with_its_reason_and_its_neighbours_are_served() {
    let cloud = stocked(&[("a", 5)]);
    let worker = cloud.worker::<ReserveInventory>().await;
    let mut poison = bus_event(&cloud, &order("o1", &[("a", 2)]));
    poison["detail"]["version"] = json!("9.9");
    let batch = queue_batch(&[poison, bus_event(&cloud, &order("o2", &[("a", 2)]))]);
    assert!(worker.handle(batch, cloud.deadline()).await.batch_item_failures.is_empty());
    assert_eq!(available(&cloud, "a"), 3);
    let calls = cloud.take_calls();
    let parked = calls.iter().find(|call| call.name == "sqs:SendMessage").unwrap();
    let reason = parked.body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("OrderPlaced version \"9.9\" is unknown; known: 1.0, 2.0"), "{reason}");
}

async fn call(cloud: &TestCloud, event: &Value) -> Result<Value, (&'static str, String)> {
    cloud.call(&cloud.start::<ReserveInventory>().await, event).await
}

#[tokio::test]
async fn a_state_machine_gets_the_event_that_was_announced_however_often_it_calls() {
    let cloud = stocked(&[("a", 5)]);
    let placed = bus_event(&cloud, &order("o1", &[("a", 2)]));
    let first = call(&cloud, &placed).await.unwrap();
    assert_eq!(first["detail"], cloud.announced()[0].1);
    assert_eq!(first["detail"]["metadata"]["saga"], "orchestrated");
    let again = call(&cloud, &placed).await.unwrap();
    assert_eq!(again["detail"]["metadata"]["eventId"], first["detail"]["metadata"]["eventId"]);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!((available(&cloud, "a"), cloud.announced().len()), (3, 1));
}

#[tokio::test]
async fn a_state_machine_is_told_what_stands_in_the_row() {
    let cloud = stocked(&[("a", 1)]);
    let short = bus_event(&cloud, &order("o1", &[("a", 2)]));
    for _ in 0..2 {
        assert_eq!(call(&cloud, &short).await.unwrap_err(), ("OutOfStock", "out_of_stock".to_owned()));
    }
    assert_eq!(cloud.announced_names(), ["InventoryReservationFailed"]);
    cloud.put("ReservationsTable", &tombstone("o2"));
    let late = bus_event(&cloud, &order("o2", &[("a", 1)]));
    assert_eq!(call(&cloud, &late).await.unwrap_err(), ("Compensated", "compensated".to_owned()));
    assert_eq!(available(&cloud, "a"), 1);
}
