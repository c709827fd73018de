//! The relay against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::outbox::OutboxRow;
use eda::testing::{Fault, TestCloud, stream_batch};
use relay_outbox::RelayOutbox;
use serde_json::json;

fn row(index: usize) -> OutboxRow {
    OutboxRow {
        ordering_key: format!("o{index}"),
        event_id: index.to_string(),
        source: "orders".into(),
        detail_type: "OrderPlaced".into(),
        detail: format!(r#"{{"orderId":"o{index}"}}"#),
        created_at: 0,
        group: None,
        counted: false,
        trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
    }
}

fn outbox(cloud: &TestCloud, count: usize) -> Vec<OutboxRow> {
    let rows: Vec<_> = (0..count).map(row).collect();
    for row in &rows {
        cloud.put("OutboxTable", row);
    }
    rows
}

/// Relays the rows; gives how many the stream will deliver again.
async fn relay(cloud: &TestCloud, rows: &[OutboxRow]) -> usize {
    let worker = eda::batch::StreamWorker::new(cloud.start::<RelayOutbox>().await);
    worker.handle(stream_batch(rows), cloud.deadline()).await.batch_item_failures.len()
}

fn left(cloud: &TestCloud) -> Vec<String> {
    let mut left: Vec<_> =
        cloud.rows::<OutboxRow>("OutboxTable").into_iter().map(|row| row.event_id).collect();
    left.sort();
    left
}

#[tokio::test]
async fn rows_are_published_by_ten_and_deleted_by_twenty_five() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 27);
    assert_eq!(relay(&cloud, &rows).await, 0);
    assert_eq!(
        cloud.take_call_names(),
        [["events:PutEvents"; 3].as_slice(), ["dynamodb:BatchWriteItem"; 2].as_slice()].concat()
    );
    assert!(left(&cloud).is_empty());
}

#[tokio::test]
async fn an_event_keeps_its_detail_its_time_and_its_trace() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 1);
    relay(&cloud, &rows).await;
    let entry = &cloud.take_calls()[0].body["Entries"][0];
    assert_eq!(entry["Detail"], json!(r#"{"orderId":"o0"}"#));
    assert_eq!(entry["DetailType"], json!("OrderPlaced"));
    assert_eq!(entry["Source"], json!("orders"));
    assert_eq!(entry["TraceHeader"], json!("Root=1-5759e988-bd862e3fe1be46a994272793"));
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_did_not_take_is_put_again() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 3);
    let entries = json!([{ "EventId": "a" }, { "ErrorCode": "ThrottlingException" }, { "EventId": "c" }]);
    cloud.inject("events:PutEvents", Fault::Answered(json!({ "FailedEntryCount": 1, "Entries": entries })));
    assert_eq!(relay(&cloud, &rows).await, 0);
    let calls = cloud.take_calls();
    assert_eq!(calls[1].body["Entries"].as_array().unwrap().len(), 1);
    assert_eq!(calls[1].body["Entries"][0]["Detail"], json!(r#"{"orderId":"o1"}"#));
    assert!(left(&cloud).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_the_bus_refuses_stays_and_blocks_nobody() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 3);
    let entries = json!([{ "EventId": "a" }, { "ErrorCode": "MalformedDetail" }, { "EventId": "c" }]);
    cloud.inject("events:PutEvents", Fault::Answered(json!({ "FailedEntryCount": 1, "Entries": entries })));
    assert_eq!(relay(&cloud, &rows).await, 0);
    assert_eq!(left(&cloud), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_that_was_not_published() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 3);
    for _ in 0..5 {
        cloud.inject("events:PutEvents", Fault::Refused(500, "InternalException", json!({})));
    }
    assert_eq!(relay(&cloud, &rows).await, 0);
    assert_eq!(left(&cloud), ["0", "1", "2"]);
    assert!(!cloud.take_call_names().contains(&"dynamodb:BatchWriteItem".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn deletes_that_were_not_processed_are_sent_again() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 1);
    let delete =
        json!([{ "DeleteRequest": { "Key": { "orderingKey": { "S": "o0" }, "eventId": { "S": "0" } } } }]);
    let answer = json!({ "UnprocessedItems": { "OutboxTable": delete } });
    cloud.inject("dynamodb:BatchWriteItem", Fault::Answered(answer));
    relay(&cloud, &rows).await;
    assert!(left(&cloud).is_empty());
}

/// Rows of these orders, in this order, that the ordered queue carries for a customer.
fn ordered(cloud: &TestCloud, orders: &[&str]) -> Vec<OutboxRow> {
    let of = |(index, order): (usize, &&str)| OutboxRow {
        ordering_key: (*order).to_owned(),
        group: Some("customer-1".into()),
        ..row(index)
    };
    let rows: Vec<_> = orders.iter().enumerate().map(of).collect();
    rows.iter().for_each(|row| cloud.put("OutboxTable", row));
    rows
}

#[tokio::test]
async fn the_ordered_queue_has_an_event_before_the_bus_and_the_row_goes_last() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = ordered(&cloud, &["a"]);
    assert_eq!(relay(&cloud, &rows).await, 0);
    let calls = cloud.take_calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["sqs:SendMessageBatch", "events:PutEvents", "dynamodb:BatchWriteItem"]);
    let message = &calls[0].body["Entries"][0];
    assert_eq!(message["MessageGroupId"], json!("customer-1"));
    assert_eq!(message["MessageDeduplicationId"], json!("0"));
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793";
    assert_eq!(message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], json!(trace));
    let body: serde_json::Value = serde_json::from_str(message["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!((&body["detail-type"], &body["detail"]["orderId"]), (&json!("OrderPlaced"), &json!("o0")));
}

#[tokio::test]
async fn a_batch_of_messages_holds_one_event_of_an_order_at_most() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = ordered(&cloud, &["a", "b", "a", "c"]);
    relay(&cloud, &rows).await;
    let calls = cloud.take_calls().into_iter().filter(|call| call.name == "sqs:SendMessageBatch");
    let ids = |call: &serde_json::Value| -> Vec<String> {
        let entries = call["Entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["MessageDeduplicationId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(calls.map(|call| ids(&call.body)).collect::<Vec<_>>(), [vec!["0", "1", "3"], vec!["2"]]);
}

#[tokio::test(start_paused = true)]
async fn what_the_ordered_queue_has_not_taken_the_bus_does_not_get() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = ordered(&cloud, &["a", "a", "b"]);
    let failed = json!([{ "Id": "0", "SenderFault": true, "Code": "InvalidParameterValue" }]);
    let taken = json!([{ "Id": "1", "MessageId": "1", "MD5OfMessageBody": "" }]);
    cloud.inject("sqs:SendMessageBatch", Fault::Answered(json!({ "Successful": taken, "Failed": failed })));
    assert_eq!(relay(&cloud, &rows).await, 0);
    let put = cloud.take_calls().into_iter().find(|call| call.name == "events:PutEvents").unwrap();
    assert_eq!(put.body["Entries"].as_array().unwrap().len(), 1);
    assert_eq!(left(&cloud), ["0", "1"], "the event and what is behind it stay for the sweeper");
}

#[tokio::test]
async fn an_unreadable_image_takes_nobody_down() {
    let cloud = TestCloud::of("relay-outbox");
    let rows = outbox(&cloud, 2);
    let mut batch = stream_batch(&rows);
    batch.records[0].change.new_image = serde_dynamo::Item::default();
    let worker = eda::batch::StreamWorker::new(cloud.start::<RelayOutbox>().await);
    assert!(worker.handle(batch, cloud.deadline()).await.batch_item_failures.is_empty());
    assert_eq!(left(&cloud), ["0"], "the unreadable row stays for an operator");
}
