//! Sales against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aggregate_sales::AggregateSales;
use aws_lambda_events::kinesis::KinesisEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eda::batch::{FactWorker, FactsConfig};
use eda::testing::{Fault, TestCloud, bus_event};
use eda::window::WindowRow;
use serde_json::{Value, json};
use shop::money::Money;
use shop::sales::SalesWindow;
use shop::testing::{payment_processed, payment_refunded};

async fn worker(cloud: &TestCloud) -> FactWorker<AggregateSales> {
    let config = FactsConfig {
        failures_queue_url: cloud.environment()["FAILURES_QUEUE_URL"].clone(),
        function_name: Some("aggregate-sales-1".into()),
    };
    FactWorker::new(cloud.start::<AggregateSales>().await, cloud.aws().sqs(), config)
}

/// A batch of a shard that holds this data, with sequence numbers 0, 1, …
fn batch(data: &[String]) -> KinesisEvent {
    let records = data.iter().enumerate().map(|(index, data)| {
        json!({
            "eventID": format!("shardId-000000000000:{index}"), "eventSource": "aws:kinesis", "eventVersion": "1.0",
            "eventName": "aws:kinesis:record", "awsRegion": "us-east-1", "invokeIdentityArn": "arn:aws:iam::1:role/r",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/s",
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "c", "sequenceNumber": index.to_string(),
                "data": STANDARD.encode(data), "approximateArrivalTimestamp": 1_768_473_000.5,
            },
        })
    });
    serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap()
}

/// Handles the data; gives the sequence numbers from which the stream delivers again.
async fn handle(cloud: &TestCloud, data: &[String]) -> Vec<String> {
    let response = worker(cloud).await.handle(batch(data), cloud.deadline()).await;
    response.batch_item_failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
}

fn windows(cloud: &TestCloud) -> Vec<SalesWindow> {
    cloud.rows::<WindowRow>("SalesWindowsTable").into_iter().map(SalesWindow::from).collect()
}

#[tokio::test]
async fn payments_add_to_their_window_and_refunds_take_from_theirs_in_one_transaction() {
    let cloud = TestCloud::of("aggregate-sales");
    let paid = payment_processed("o1");
    let mut refunded = payment_refunded("o2");
    refunded.amount = Money::default();
    let nothing = bus_event(&cloud, &refunded).to_string();
    refunded.amount = paid.amount;
    let facts = [bus_event(&cloud, &paid), bus_event(&cloud, &paid), bus_event(&cloud, &refunded)];
    let mut data: Vec<_> = facts.iter().map(Value::to_string).collect();
    data.push(nothing);
    assert!(handle(&cloud, &data).await.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems", "dynamodb:UpdateItem"]);
    let [window] = windows(&cloud).try_into().unwrap();
    assert_eq!((window.sales, window.refunds, window.closed), (2, 1, false));
    assert_eq!((window.revenue[0].currency.as_str(), window.revenue[0].amount), ("USD", paid.amount));
}

#[tokio::test]
async fn a_payment_that_is_put_twice_counts_once() {
    let cloud = TestCloud::of("aggregate-sales");
    let data = [bus_event(&cloud, &payment_processed("o1")).to_string()];
    for _ in 0..2 {
        assert!(handle(&cloud, &data).await.is_empty());
    }
    assert_eq!(windows(&cloud)[0].sales, 1);
}

#[tokio::test]
async fn what_nobody_can_read_is_given_up_with_the_reason_so_that_it_can_be_retried_and_its_neighbours_count()
{
    let cloud = TestCloud::of("aggregate-sales");
    let mut strange = bus_event(&cloud, &payment_processed("o1"));
    strange["detail"]["currency"] = json!("dollars");
    let data =
        [strange.to_string(), "poison".into(), bus_event(&cloud, &payment_processed("o2")).to_string()];
    assert!(handle(&cloud, &data).await.is_empty());
    assert_eq!(windows(&cloud)[0].sales, 1);
    let letters: Vec<Value> = cloud
        .take_calls()
        .into_iter()
        .filter(|call| call.name == "sqs:SendMessage")
        .map(|call| serde_json::from_str(call.body["MessageBody"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(letters.len(), 2);
    let reason = letters[0]["responsePayload"]["errorMessage"].as_str().unwrap();
    assert!(reason.contains("currency: is none of ISO 4217"), "{reason}");
    assert_eq!(letters[1]["requestContext"]["functionArn"], "aggregate-sales-1");
    let again: KinesisEvent = serde_json::from_value(letters[1]["requestPayload"].clone()).unwrap();
    assert_eq!(again.records[0].kinesis.data.0, b"poison");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_can_neither_be_read_nor_given_up_is_delivered_again() {
    let cloud = TestCloud::of("aggregate-sales");
    for _ in 0..3 {
        cloud.inject("sqs:SendMessage", Fault::Refused(500, "InternalError", json!({})));
    }
    let data = [bus_event(&cloud, &payment_processed("o1")).to_string(), "poison".into()];
    assert_eq!(handle(&cloud, &data).await, ["1"]);
    assert_eq!(windows(&cloud)[0].sales, 1);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_counted_is_delivered_again() {
    let cloud = TestCloud::of("aggregate-sales");
    for _ in 0..3 {
        cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let data = [bus_event(&cloud, &payment_processed("o1")).to_string()];
    assert_eq!(handle(&cloud, &data).await, ["0"]);
    assert!(handle(&cloud, &data).await.is_empty());
    assert_eq!(windows(&cloud)[0].sales, 1);
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = TestCloud::of("aggregate-sales");
    let batch = serde_json::from_str(include_str!("../events/sales.json")).unwrap();
    let response = worker(&cloud).await.handle(batch, cloud.deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    let (sales, refunds) =
        windows(&cloud).iter().fold((0, 0), |(s, r), window| (s + window.sales, r + window.refunds));
    assert_eq!((sales, refunds), (1, 1));
}
