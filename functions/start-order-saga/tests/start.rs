//! The start of a saga, against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::sqs::SqsEvent;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use serde_json::{Value, json};
use shop::testing::order_placed;
use start_order_saga::StartOrderSaga;

const ORDER: &str = "99a2809c-4b6c-5d52-9cbb-918ae6450583";

fn cloud() -> TestCloud {
    TestCloud::of("start-order-saga")
}

fn placed(cloud: &TestCloud) -> Value {
    bus_event(cloud, &order_placed(ORDER, &[("keyboard", 30)]))
}

/// How many messages must be delivered again.
async fn deliver(cloud: &TestCloud, batch: SqsEvent) -> usize {
    let worker = cloud.worker::<StartOrderSaga>().await;
    worker.handle(batch, cloud.deadline()).await.batch_item_failures.len()
}

#[tokio::test]
async fn an_order_starts_an_execution_of_its_name_by_one_call() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, queue_batch(&[placed(&cloud)])).await, 0);
    let calls = cloud.take_calls();
    assert_eq!(calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["states:StartExecution"]);
    assert_eq!(calls[0].body["name"], ORDER);
    assert_eq!(calls[0].body["stateMachineArn"], "OrderSagaStateMachine.Arn");
    let input: Value = serde_json::from_str(calls[0].body["input"].as_str().unwrap()).unwrap();
    assert_eq!((&input["source"], &input["detail-type"]), (&json!("orders"), &json!("OrderPlaced")));
    assert_eq!(input["detail"]["version"], "2.0");
    assert_eq!(input["detail"]["metadata"]["saga"], "orchestrated");
    assert_eq!(input["detail"]["totalAmount"], json!(1485));
}

#[tokio::test]
async fn a_duplicate_has_the_same_name_and_input_to_the_byte_even_if_it_was_published_again() {
    let cloud = cloud();
    let event = placed(&cloud);
    let mut again = event.clone();
    again["id"] = json!("another-id-of-the-bus");
    again["time"] = json!("2026-01-16T10:30:00Z");
    deliver(&cloud, queue_batch(&[event])).await;
    deliver(&cloud, queue_batch(&[again])).await;
    let calls = cloud.take_calls();
    assert_eq!(calls[0].body, calls[1].body);
}

#[tokio::test]
async fn an_old_version_is_handed_over_in_the_newest() {
    let cloud = cloud();
    let old = json!({
        "source": "orders", "detail-type": "OrderPlaced", "time": "2026-01-15T10:30:00Z",
        "detail": { "orderId": ORDER, "customerId": "customer-1", "amount": 2_000,
            "items": [{ "productId": "keyboard", "quantity": 2, "price": 1_000 }],
            "timestamp": "2026-01-15T10:30:00Z" },
    });
    assert_eq!(deliver(&cloud, queue_batch(&[old])).await, 0);
    let input: Value = serde_json::from_str(cloud.take_calls()[0].body["input"].as_str().unwrap()).unwrap();
    assert_eq!((&input["detail"]["version"], &input["detail"]["currency"]), (&json!("2.0"), &json!("USD")));
    assert_eq!(input["detail"]["totalAmount"], json!(2_000));
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_duplicate_and_acknowledged() {
    let cloud = cloud();
    cloud.inject("states:StartExecution", Fault::Refused(400, "ExecutionAlreadyExists", json!({})));
    assert_eq!(deliver(&cloud, queue_batch(&[placed(&cloud)])).await, 0);
    assert_eq!(cloud.take_call_names(), ["states:StartExecution"]);
}

#[tokio::test]
async fn where_nobody_knows_whether_it_started_it_is_delivered_again() {
    let cloud = cloud();
    cloud.inject("states:StartExecution", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, queue_batch(&[placed(&cloud)])).await, 1);
    cloud.inject("states:StartExecution", Fault::Refused(400, "ThrottlingException", json!({})));
    assert_eq!(deliver(&cloud, queue_batch(&[placed(&cloud)])).await, 1);
    assert_eq!(cloud.take_call_names(), ["states:StartExecution"; 2]);
}

#[tokio::test]
async fn what_cannot_be_read_is_parked_and_starts_nothing() {
    let cloud = cloud();
    let mut event = placed(&cloud);
    event["detail"]["version"] = json!("9.9");
    assert_eq!(deliver(&cloud, queue_batch(&[event])).await, 0);
    assert_eq!(cloud.take_call_names(), ["sqs:SendMessage"]);
}
