//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use serde_json::{Value, json};
use ship_order::ShipOrder;
use shop::events::PaymentProcessed;
use shop::shipment::{Shipment, ShipmentState, shipment_id};
use shop::testing::{payment_processed as paid, unserved_address};

async fn deliver(cloud: &TestCloud, events: &[Value]) -> usize {
    let worker = cloud.worker::<ShipOrder>().await;
    worker.handle(queue_batch(events), cloud.deadline()).await.batch_item_failures.len()
}

fn shipment(cloud: &TestCloud) -> Shipment {
    cloud.get("ShipmentsTable", Shipment::key("o1")).unwrap()
}

fn put(cloud: &TestCloud, status: ShipmentState) {
    let (shipment_id, reason) = (None, None);
    cloud.put(
        "ShipmentsTable",
        &Shipment {
            order_id: "o1".into(),
            status,
            shipment_id,
            reason,
            answered: Default::default(),
            expires_at: 0,
        },
    );
}

#[tokio::test]
async fn a_paid_order_is_shipped_and_announced_in_one_call() {
    let cloud = TestCloud::of("ship-order");
    let event = bus_event(&cloud, &paid("o1"));
    assert_eq!(deliver(&cloud, std::slice::from_ref(&event)).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(shipment(&cloud).status, ShipmentState::Shipped);
    assert_eq!(shipment(&cloud).shipment_id, Some(shipment_id("o1")));
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "OrderShipped");
    assert_eq!(announced[0].1["shipmentId"], json!(shipment_id("o1")));
    let (metadata, cause) = (&announced[0].1["metadata"], &event["detail"]["metadata"]);
    assert_eq!(metadata["causationId"], cause["eventId"]);
    assert_eq!(metadata["correlationId"], cause["correlationId"]);
}

#[tokio::test]
async fn an_order_that_cannot_be_shipped_is_closed_for_good_in_one_call() {
    let nowhere = PaymentProcessed { shipping_address: None, ..paid("o1") };
    let far_away = PaymentProcessed { shipping_address: Some(unserved_address()), ..paid("o1") };
    for (order, reason) in [(nowhere, "no_address"), (far_away, "destination_not_served")] {
        let cloud = TestCloud::of("ship-order");
        assert_eq!(deliver(&cloud, &[bus_event(&cloud, &order)]).await, 0);
        assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
        assert_eq!(shipment(&cloud).status, ShipmentState::Closed);
        assert_eq!(shipment(&cloud).reason.as_deref(), Some(reason));
        let announced = cloud.announced();
        assert_eq!(announced.len(), 1);
        assert_eq!(announced[0].0, "ShipmentFailed");
        assert_eq!(announced[0].1["reason"], json!(reason));
    }
}

#[tokio::test]
async fn a_duplicate_changes_nothing_and_costs_one_refused_call() {
    let cloud = TestCloud::of("ship-order");
    let event = bus_event(&cloud, &paid("o1"));
    deliver(&cloud, std::slice::from_ref(&event)).await;
    let before = shipment(&cloud);
    cloud.take_calls();
    assert_eq!(deliver(&cloud, &[event.clone(), event]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!(shipment(&cloud), before);
    assert_eq!(cloud.announced_names(), ["OrderShipped"]);
}

#[tokio::test]
async fn a_closed_shipment_is_never_opened_again() {
    let cloud = TestCloud::of("ship-order");
    put(&cloud, ShipmentState::Closed);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &paid("o1"))]).await, 0);
    assert_eq!(shipment(&cloud).status, ShipmentState::Closed);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_shipped_order_is_never_closed() {
    let cloud = TestCloud::of("ship-order");
    put(&cloud, ShipmentState::Shipped);
    let refused = PaymentProcessed { shipping_address: None, ..paid("o1") };
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &refused)]).await, 0);
    assert_eq!(shipment(&cloud).status, ShipmentState::Shipped);
    assert!(cloud.announced().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = TestCloud::of("ship-order");
    cloud.inject("dynamodb:TransactWriteItems", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &paid("o1"))]).await, 0);
    assert_eq!(shipment(&cloud).status, ShipmentState::Shipped);
    assert_eq!(cloud.announced_names(), ["OrderShipped"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_served() {
    let cloud = TestCloud::of("ship-order");
    let mut poison = bus_event(&cloud, &paid("o2"));
    poison["detail"]["version"] = json!("9.9");
    assert_eq!(deliver(&cloud, &[poison, bus_event(&cloud, &paid("o1"))]).await, 0);
    assert_eq!(shipment(&cloud).status, ShipmentState::Shipped);
    let mut names = cloud.take_call_names();
    names.sort();
    assert_eq!(names, ["dynamodb:TransactWriteItems", "sqs:SendMessage"]);
}

async fn call(cloud: &TestCloud, event: &Value) -> Result<Value, (&'static str, String)> {
    cloud.call(&cloud.start::<ShipOrder>().await, event).await
}

#[tokio::test]
async fn a_state_machine_gets_the_shipment_however_often_it_calls() {
    let cloud = TestCloud::of("ship-order");
    let event = bus_event(&cloud, &paid("o1"));
    for _ in 0..2 {
        let shipped = call(&cloud, &event).await.unwrap();
        assert_eq!(shipped["detail-type"], "OrderShipped");
        assert_eq!(shipped["detail"]["metadata"]["eventId"], cloud.announced()[0].1["metadata"]["eventId"]);
    }
    assert_eq!(cloud.announced_names(), ["OrderShipped"]);
}

#[tokio::test]
async fn a_state_machine_is_told_why_nothing_ships() {
    let cloud = TestCloud::of("ship-order");
    let far_away = PaymentProcessed { shipping_address: Some(unserved_address()), ..paid("o1") };
    let refused = ("ShipmentRefused", "destination_not_served".to_owned());
    for order in [far_away, paid("o1")] {
        assert_eq!(call(&cloud, &bus_event(&cloud, &order)).await.unwrap_err(), refused, "closed is final");
    }
    assert_eq!(cloud.announced_names(), ["ShipmentFailed"]);
}
