//! The join against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aggregate_steps::AggregateSteps;
use eda::join::JoinRow;
use eda::row::Key;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use serde_json::{Value, json};
use shop::testing::{inventory_reserved, order_shipped, payment_failed, payment_processed};

const PART: &str = "dynamodb:UpdateItem";
const LAST: &str = "dynamodb:TransactWriteItems";

fn cloud() -> TestCloud {
    TestCloud::of("aggregate-steps")
}

/// The three steps of an order, in the order in which they usually arrive.
fn steps(cloud: &TestCloud, order_id: &str) -> [Value; 3] {
    [
        bus_event(cloud, &inventory_reserved(order_id)),
        bus_event(cloud, &payment_processed(order_id)),
        bus_event(cloud, &order_shipped(order_id)),
    ]
}

async fn deliver(cloud: &TestCloud, events: &[Value]) -> usize {
    let worker = cloud.worker::<AggregateSteps>().await;
    worker.handle(queue_batch(events), cloud.deadline()).await.batch_item_failures.len()
}

fn join(cloud: &TestCloud) -> JoinRow {
    cloud.get("JoinsTable", Key::of("o1")).unwrap()
}

#[tokio::test]
async fn the_last_step_completes_the_order_and_each_costs_one_call() {
    let cloud = cloud();
    let steps = steps(&cloud, "o1");
    for (step, call) in steps.iter().zip([PART, PART, LAST]) {
        assert!(cloud.announced().is_empty());
        assert_eq!(deliver(&cloud, std::slice::from_ref(step)).await, 0);
        assert_eq!(cloud.take_call_names(), [call]);
    }
    assert!(join(&cloud).completed_at.is_some());
    let announced = cloud.announced();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].0, "AllStepsComplete");
    assert_eq!(announced[0].1["orderId"], json!("o1"));
    assert_eq!(announced[0].1["steps"], json!(["inventory", "payment", "shipment"]));
    assert_eq!(announced[0].1["metadata"]["causationId"], steps[2]["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn in_whatever_order_the_steps_arrive_the_order_is_complete_once() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let cloud = cloud();
        let steps = steps(&cloud, "o1");
        for index in order {
            // Every step comes twice.
            let step = steps[index].clone();
            assert_eq!(deliver(&cloud, &[step.clone(), step]).await, 0);
        }
        assert_eq!(deliver(&cloud, &steps).await, 0);
        assert_eq!(cloud.announced_names(), ["AllStepsComplete"], "{order:?}");
        let completed_by = &cloud.announced()[0].1["metadata"]["causationId"];
        assert_eq!(completed_by, &steps[order[2]]["detail"]["metadata"]["eventId"], "{order:?}");
    }
}

#[tokio::test]
async fn a_wrong_guess_costs_one_call_more() {
    let cloud = cloud();
    let [reserved, paid, shipped] = steps(&cloud, "o1");
    deliver(&cloud, &[shipped]).await;
    assert_eq!(cloud.take_call_names(), [LAST, PART]);
    deliver(&cloud, &[reserved]).await;
    assert_eq!(cloud.take_call_names(), [PART]);
    deliver(&cloud, &[paid]).await;
    assert_eq!(cloud.take_call_names(), [PART, LAST]);
    assert_eq!(cloud.announced_names(), ["AllStepsComplete"]);
}

#[tokio::test]
async fn a_duplicate_costs_one_refused_call() {
    let cloud = cloud();
    let steps = steps(&cloud, "o1");
    deliver(&cloud, &steps).await;
    cloud.take_calls();
    let before = join(&cloud);
    for (step, call) in steps.iter().zip([PART, PART, LAST]) {
        assert_eq!(deliver(&cloud, std::slice::from_ref(step)).await, 0);
        assert_eq!(cloud.take_call_names(), [call]);
    }
    assert_eq!(join(&cloud), before);
}

#[tokio::test]
async fn the_same_step_under_another_id_counts_once() {
    let cloud = cloud();
    for _ in 0..3 {
        deliver(&cloud, &[bus_event(&cloud, &inventory_reserved("o1"))]).await;
    }
    assert_eq!(join(&cloud).parts.len(), 1);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn orders_are_joined_apart() {
    let cloud = cloud();
    let [reserved, paid, _] = steps(&cloud, "o1");
    let [.., shipped] = steps(&cloud, "o2");
    assert_eq!(deliver(&cloud, &[reserved, paid, shipped]).await, 0);
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_join_waits_as_long_as_its_order_has() {
    let cloud = cloud();
    let mut reserved = bus_event(&cloud, &inventory_reserved("o1"));
    // The order was placed an hour ago: its first event's id, by which the transaction is called, says so.
    let placed_at = cloud.ambient().now().as_second();
    reserved["detail"]["metadata"]["correlationId"] = json!(cloud.ambient().new_id());
    cloud.advance(std::time::Duration::from_secs(3_600));
    deliver(&cloud, &[reserved]).await;
    let seconds: i64 = cloud.environment()["ORDER_DEADLINE_SECONDS"].parse().unwrap();
    assert_eq!(join(&cloud).deadline, Some(placed_at + seconds));
}

#[tokio::test]
async fn a_step_that_comes_after_the_time_out_is_acknowledged_and_completes_nothing() {
    let cloud = cloud();
    let [reserved, paid, shipped] = steps(&cloud, "o1");
    deliver(&cloud, &[reserved]).await;
    cloud.put("JoinsTable", &JoinRow { timed_out_at: Some(1), ..join(&cloud) });
    assert_eq!(deliver(&cloud, &[paid, shipped]).await, 0);
    assert!(cloud.announced().is_empty());
    assert_eq!(join(&cloud).parts.len(), 3, "what is acknowledged is in the row");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = cloud();
    cloud.inject(PART, Fault::ReplyLost);
    cloud.inject(LAST, Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &steps(&cloud, "o1")).await, 0);
    assert_eq!(cloud.announced_names(), ["AllStepsComplete"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_served() {
    let cloud = cloud();
    let stranger = bus_event(&cloud, &payment_failed("o1"));
    let [reserved, ..] = steps(&cloud, "o1");
    assert_eq!(deliver(&cloud, &[stranger, reserved]).await, 0);
    assert_eq!(join(&cloud).parts.len(), 1);
    let mut names = cloud.take_call_names();
    names.sort();
    assert_eq!(names, [PART, "sqs:SendMessage"]);
}
