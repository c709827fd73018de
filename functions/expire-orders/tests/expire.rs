//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::serve::Task;
use eda::testing::TestCloud;
use expire_orders::{ExpireOrders, Report};
use serde_json::json;
use shop::order::{OrderHead, OrderStatus};
use shop::shipment::{Shipment, ShipmentState};
use shop::testing::open_order;

fn order(cloud: &TestCloud, order_id: &str, status: OrderStatus, due_in: i64) {
    let head = OrderHead { status, ..open_order(order_id) };
    let deadline = cloud.ambient().now().as_second() + due_in;
    let open = status == OrderStatus::Open;
    let (open_shard, deadline) = (head.open_shard.filter(|_| open), open.then_some(deadline));
    cloud.put_aggregate("EventStoreTable", order_id, &OrderHead { open_shard, deadline, ..head }, &[]);
}

fn pivot(cloud: &TestCloud, order_id: &str, status: ShipmentState) {
    let row = Shipment { order_id: order_id.into(), status, shipment_id: None, reason: None, expires_at: 0 };
    cloud.put("ShipmentsTable", &row);
}

fn standing(cloud: &TestCloud, order_id: &str) -> Option<ShipmentState> {
    cloud.get("ShipmentsTable", Shipment::key(order_id)).map(|row| row.status)
}

async fn run(cloud: &TestCloud) -> Report {
    cloud.start::<ExpireOrders>().await.run(cloud.deadline()).await.unwrap()
}

#[tokio::test]
async fn an_order_past_its_deadline_is_closed_at_the_pivot_and_announced_in_one_transaction() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    assert_eq!(run(&cloud).await, Report { closed: 1, ..Report::default() });
    assert_eq!(standing(&cloud, "o1"), Some(ShipmentState::Closed));
    let calls = cloud.take_call_names();
    assert_eq!(
        calls.iter().filter(|call| *call != "dynamodb:Query").collect::<Vec<_>>(),
        ["dynamodb:GetItem", "dynamodb:TransactWriteItems"]
    );
    let announced = cloud.announced();
    assert_eq!(announced[0].0, "OrderExpired");
    assert_eq!(announced[0].1["reason"], json!("expired"));
    assert_eq!(announced[0].1["metadata"]["saga"], json!("choreographed"));
}

#[tokio::test]
async fn an_order_before_its_deadline_is_left_alone() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, 1);
    assert_eq!(run(&cloud).await, Report::default());
    assert_eq!(standing(&cloud, "o1"), None);
}

#[tokio::test]
async fn an_order_that_has_ended_is_left_alone() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Confirmed, -1);
    order(&cloud, "o2", OrderStatus::Cancelled, -1);
    assert_eq!(run(&cloud).await, Report::default());
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_closed_order_that_stays_open_is_announced_again_with_a_new_id_once_per_interval() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    run(&cloud).await;
    assert_eq!(run(&cloud).await, Report::default(), "its deadline has moved");
    cloud.advance(Duration::from_secs(3_600));
    assert_eq!(run(&cloud).await, Report { repeated: 1, ..Report::default() });
    assert_eq!(run(&cloud).await, Report::default());
    let announced = cloud.announced();
    assert_eq!(cloud.announced_names(), ["OrderExpired", "OrderExpired"]);
    assert_ne!(announced[0].1["metadata"]["eventId"], announced[1].1["metadata"]["eventId"]);
    assert_eq!(announced[0].1["metadata"]["correlationId"], announced[1].1["metadata"]["correlationId"]);
}

#[tokio::test]
async fn a_shipped_order_that_stays_open_is_pushed_on_and_never_closed() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    pivot(&cloud, "o1", ShipmentState::Shipped);
    assert_eq!(run(&cloud).await, Report { overdue: 1, ..Report::default() });
    assert_eq!(standing(&cloud, "o1"), Some(ShipmentState::Shipped));
    assert_eq!(cloud.announced_names(), ["AllStepsComplete"]);
    assert_eq!(run(&cloud).await, Report::default());
}

#[tokio::test]
async fn an_order_closed_by_a_refusal_is_announced_as_expired() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    pivot(&cloud, "o1", ShipmentState::Closed);
    assert_eq!(run(&cloud).await, Report { repeated: 1, ..Report::default() });
    assert_eq!(cloud.announced_names(), ["OrderExpired"]);
}

#[tokio::test]
async fn two_runs_at_once_announce_each_order_once() {
    let cloud = TestCloud::of("expire-orders");
    for index in 0..20 {
        order(&cloud, &format!("o{index}"), OrderStatus::Open, -1);
    }
    let (one, other) = tokio::join!(run(&cloud), run(&cloud));
    assert_eq!(one.closed + other.closed, 20);
    assert_eq!(one.repeated + other.repeated + one.failed + other.failed, 0);
    assert_eq!(cloud.announced_names().len(), 20);
}
