//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::failure::Kind;
use eda::join::JoinRow;
use eda::row::Key;
use eda::serve::{Task, perform};
use eda::testing::{TestCloud, bus_event};
use expire_orders::{Answer, Asked, ExpireOrders, Report};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shop::order::{OrderHead, OrderStatus};
use shop::shipment::{Shipment, ShipmentState};
use shop::testing::{open_order, order_placed};

fn order(cloud: &TestCloud, order_id: &str, status: OrderStatus, due_in: i64) {
    let head = OrderHead { status, ..open_order(order_id) };
    let deadline = cloud.ambient().now().as_second() + due_in;
    let open = status == OrderStatus::Open;
    let (open_shard, deadline) = (head.open_shard.filter(|_| open), open.then_some(deadline));
    cloud.put_aggregate("EventStoreTable", order_id, &OrderHead { open_shard, deadline, ..head }, &[]);
}

fn pivot(cloud: &TestCloud, order_id: &str, status: ShipmentState) {
    let row = Shipment {
        order_id: order_id.into(),
        status,
        shipment_id: None,
        reason: None,
        answered: Default::default(),
        expires_at: 0,
    };
    cloud.put("ShipmentsTable", &row);
}

fn standing(cloud: &TestCloud, order_id: &str) -> Option<ShipmentState> {
    cloud.get("ShipmentsTable", Shipment::key(order_id)).map(|row| row.status)
}

/// The join of its steps, of which these have arrived; it waits so many seconds more.
fn join(cloud: &TestCloud, order_id: &str, steps: &[&str], due_in: i64) {
    let row = JoinRow {
        join_id: order_id.into(),
        completed_at: None,
        timed_out_at: None,
        deadline: Some(cloud.ambient().now().as_second() + due_in),
        expires_at: None,
        parts: steps.iter().map(|step| ((*step).to_owned(), format!("event-of-{step}"))).collect(),
    };
    cloud.put("JoinsTable", &row);
}

fn joined(cloud: &TestCloud, order_id: &str) -> JoinRow {
    cloud.get("JoinsTable", Key::of(order_id)).unwrap()
}

async fn run(cloud: &TestCloud) -> Report {
    let answer = cloud.start::<ExpireOrders>().await.run(Asked::Expire, cloud.deadline()).await.unwrap();
    let Answer::Expired(report) = answer else { panic!("{answer:?}") };
    report
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
        ["dynamodb:GetItem", "dynamodb:GetItem", "dynamodb:TransactWriteItems"]
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
async fn a_join_that_waits_for_an_order_past_its_deadline_ends_and_says_what_is_missing() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    join(&cloud, "o1", &["inventory"], -1);
    assert_eq!(run(&cloud).await, Report { closed: 1, ..Report::default() });
    assert_eq!(cloud.announced_names(), ["JoinTimedOut", "OrderExpired"]);
    let (_, timed_out) = &cloud.announced()[0];
    assert_eq!(timed_out["missing"], json!(["payment", "shipment"]));
    assert_eq!(timed_out["metadata"]["correlationId"], json!(open_order("o1").correlation_id));
    assert!(joined(&cloud, "o1").timed_out_at.is_some());
}

#[tokio::test]
async fn an_order_that_has_shipped_is_pushed_on_though_its_join_has_timed_out() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    pivot(&cloud, "o1", ShipmentState::Shipped);
    join(&cloud, "o1", &["inventory", "shipment"], -1);
    assert_eq!(run(&cloud).await, Report { overdue: 1, ..Report::default() });
    assert_eq!(cloud.announced_names(), ["JoinTimedOut", "AllStepsComplete"]);
    assert_eq!(cloud.announced()[0].1["missing"], json!(["payment"]));
}

#[tokio::test]
async fn a_join_times_out_once_however_often_its_order_comes_up() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    join(&cloud, "o1", &["inventory"], -1);
    run(&cloud).await;
    cloud.advance(Duration::from_secs(3_600));
    run(&cloud).await;
    assert_eq!(cloud.announced_names(), ["JoinTimedOut", "OrderExpired", "OrderExpired"]);
}

#[tokio::test]
async fn a_run_that_dies_after_the_join_has_ended_leaves_the_order_to_the_next() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    join(&cloud, "o1", &["inventory"], -1);
    // After eight queries, the head and the join: the time-out.
    cloud.kill_at(10, eda::testing::Death::After);
    assert!(tokio::time::timeout(Duration::from_secs(1), run(&cloud)).await.is_err(), "it dies");
    assert_eq!(cloud.announced_names(), ["JoinTimedOut"]);
    assert_eq!(run(&cloud).await, Report { closed: 1, ..Report::default() });
    assert_eq!(cloud.announced_names(), ["JoinTimedOut", "OrderExpired"]);
}

#[tokio::test]
async fn a_join_that_is_complete_or_was_never_begun_is_left_alone() {
    let cloud = TestCloud::of("expire-orders");
    for order_id in ["o1", "o2"] {
        order(&cloud, order_id, OrderStatus::Open, -1);
        pivot(&cloud, order_id, ShipmentState::Shipped);
    }
    join(&cloud, "o1", &["inventory", "payment", "shipment"], -1);
    cloud.put("JoinsTable", &JoinRow { completed_at: Some(1), ..joined(&cloud, "o1") });
    assert_eq!(run(&cloud).await, Report { overdue: 2, ..Report::default() });
    assert_eq!(cloud.announced_names(), ["AllStepsComplete", "AllStepsComplete"]);
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

/// The order of a saga that a state machine coordinates, and what it asks for when something went wrong.
async fn close(cloud: &TestCloud, order_id: &str, error: &str, cause: &str) -> Value {
    let mut placed = bus_event(cloud, &order_placed(order_id, &[("keyboard", 1)]));
    placed["detail"]["metadata"]["eventId"] = json!("019bc13e-4c40-7000-8000-000000000001");
    let input = json!({ "close": placed, "because": { "Error": error, "Cause": cause } });
    let function = cloud.start::<ExpireOrders>().await;
    let input = serde_json::value::to_raw_value(&input).unwrap();
    let answer = perform(&function, &input, cloud.deadline()).await.unwrap();
    serde_json::to_value(answer).unwrap()
}

const DECLINED: &str = r#"{"errorMessage":"card_declined","errorType":"PaymentDeclined"}"#;

#[tokio::test]
async fn a_state_machine_closes_an_order_at_the_pivot_for_the_reason_it_was_refused() {
    let cloud = TestCloud::of("expire-orders");
    let expired = close(&cloud, "o1", "PaymentDeclined", DECLINED).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(standing(&cloud, "o1"), Some(ShipmentState::Closed));
    assert_eq!(expired["detail-type"], "OrderExpired");
    assert_eq!(expired["detail"], cloud.announced()[0].1);
    assert_eq!(expired["detail"]["reason"], "card_declined");
    assert_eq!(expired["detail"]["metadata"]["saga"], "orchestrated");
}

#[tokio::test]
async fn what_is_no_refusal_closes_an_order_because_a_step_failed() {
    for (error, cause) in [("States.Timeout", ""), ("PermanentFailure", DECLINED), ("OutOfStock", "no JSON")]
    {
        let cloud = TestCloud::of("expire-orders");
        assert_eq!(close(&cloud, "o1", error, cause).await["detail"]["reason"], "step_failed", "{error}");
    }
}

#[tokio::test]
async fn closing_again_returns_the_same_event_and_announces_nothing() {
    let cloud = TestCloud::of("expire-orders");
    let first = close(&cloud, "o1", "PaymentDeclined", DECLINED).await;
    let again = close(&cloud, "o1", "States.Timeout", "").await;
    let id = |event: &Value| event["detail"]["metadata"]["eventId"].clone();
    assert_eq!(id(&first), id(&again));
    assert_eq!(again["detail"]["reason"], "card_declined", "what closed it counts");
    assert_eq!(cloud.announced_names(), ["OrderExpired"]);
}

#[tokio::test]
async fn an_order_that_was_closed_by_others_is_announced_for_the_state_machine_too_once() {
    let cloud = TestCloud::of("expire-orders");
    pivot(&cloud, "o1", ShipmentState::Closed);
    let first = close(&cloud, "o1", "ShipmentRefused", "").await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!(first["detail"], cloud.announced()[0].1);
    close(&cloud, "o1", "ShipmentRefused", "").await;
    assert_eq!(cloud.announced_names(), ["OrderExpired"]);
}

#[tokio::test]
async fn an_order_that_has_shipped_is_not_closed_but_to_be_confirmed() {
    let cloud = TestCloud::of("expire-orders");
    pivot(&cloud, "o1", ShipmentState::Shipped);
    let complete = close(&cloud, "o1", "States.Timeout", "").await;
    assert_eq!(complete["detail-type"], "AllStepsComplete");
    assert_eq!(standing(&cloud, "o1"), Some(ShipmentState::Shipped));
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_malformed_request_to_close_is_refused_and_never_taken_for_a_tick() {
    let cloud = TestCloud::of("expire-orders");
    order(&cloud, "o1", OrderStatus::Open, -1);
    let function = cloud.start::<ExpireOrders>().await;
    for input in
        [r#"{ "close": {} }"#, r#"{ "close": "o1", "because": {} }"#, r#"{ "close": {}, "because": 1 }"#]
    {
        let input: Box<RawValue> = serde_json::from_str(input).unwrap();
        let failure = perform(&function, &input, cloud.deadline()).await.unwrap_err();
        assert_eq!(failure.kind(), Kind::Permanent, "{failure}");
    }
    assert!(cloud.announced().is_empty());
}
