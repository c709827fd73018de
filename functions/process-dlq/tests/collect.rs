//! The function against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::dead_letters::{FailedMessage, FailureState, MOST_INLINE, Source};
use eda::serve::Task;
use eda::testing::{Fault, TestCloud, bus_event, queue_message};
use process_dlq::{Input, ProcessDlq, Report};
use serde_json::{Value, json};
use shop::events::InventoryReleased;

fn cloud() -> TestCloud {
    TestCloud::of("process-dlq")
}

fn released(cloud: &TestCloud) -> Value {
    let released = InventoryReleased {
        order_id: "o1".into(),
        customer_id: "c1".into(),
        items: Vec::new(),
        reason: "card_declined".into(),
    };
    bus_event(cloud, &released)
}

/// A letter of the queue of cancel-order, with these attributes.
fn letter(id: &str, body: &str, attributes: &[(&str, &str)]) -> Value {
    let mut message = queue_message(id, body);
    message["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:111122223333:cancel-order-dead-letters");
    for (name, value) in attributes {
        message["messageAttributes"][name] = json!({
            "stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String",
        });
    }
    message
}

fn parked(id: &str, body: &str, reason: &str) -> Value {
    letter(
        id,
        body,
        &[("reason", reason), ("parkedBy", "cancel-order"), ("attempts", "3"), ("colour", "red")],
    )
}

/// The letters of the batch that are still to be taken in.
async fn take(cloud: &TestCloud, letters: &[Value]) -> Vec<String> {
    let function = cloud.start::<ProcessDlq>().await;
    let input: Input = serde_json::from_value(json!({ "Records": letters })).unwrap();
    match function.run(input, cloud.deadline()).await.unwrap() {
        Report::Batch(response) => {
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
        }
        Report::Drained(drained) => panic!("not a batch: {drained:?}"),
    }
}

fn failures(cloud: &TestCloud) -> Vec<FailedMessage> {
    cloud.rows("FailedMessagesTable")
}

#[tokio::test]
async fn a_parked_message_is_kept_with_all_that_is_needed_to_retry_it_and_announced_in_one_transaction() {
    let cloud = cloud();
    let event = released(&cloud);
    let body = event.to_string();
    assert!(take(&cloud, &[parked("m1", &body, "order 17 has no head")]).await.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);

    let rows = failures(&cloud);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.status, row.reason.as_str()), (FailureState::Failed, "order 17 has no head"));
    assert_eq!((row.cause.as_str(), row.place.as_str()), ("order <n> has no head", "cancel-order"));
    assert_eq!((row.attempts, row.failures), (3, 1));
    assert_eq!(row.body.as_deref(), Some(body.as_str()));
    assert_eq!(row.attributes.get("colour").map(String::as_str), Some("red"));
    assert_eq!(row.attributes.len(), 1, "what parking added is no attribute of the message");
    assert_eq!(row.event.as_ref().unwrap().detail_type, "InventoryReleased");
    let announced = cloud.announced();
    assert_eq!(announced[0].0, "MessageParked");
    assert_eq!(announced[0].1["group"], json!(row.group));
    assert_eq!(announced[0].1["metadata"]["correlationId"], event["detail"]["metadata"]["correlationId"]);
}

#[tokio::test]
async fn a_letter_that_is_delivered_again_changes_nothing() {
    let cloud = cloud();
    let letter = parked("m1", &released(&cloud).to_string(), "no head");
    take(&cloud, std::slice::from_ref(&letter)).await;
    let before = failures(&cloud);
    cloud.take_calls();
    assert!(take(&cloud, &[letter]).await.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(failures(&cloud), before);
    assert_eq!(cloud.announced_names().len(), 1);
}

#[tokio::test]
async fn of_a_failure_with_many_letters_the_newest_are_known() {
    let cloud = cloud();
    let body = released(&cloud).to_string();
    let letter = |number: u32| parked(&format!("m{number}"), &body, "no head");
    for number in 0..60 {
        take(&cloud, &[letter(number)]).await;
    }
    for number in 10..60 {
        take(&cloud, &[letter(number)]).await;
    }
    let rows = failures(&cloud);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (row.failures, row.letters.len()),
        (60, 50),
        "a letter that is delivered again changes nothing"
    );
}

#[tokio::test]
async fn an_event_that_fails_again_returns_to_its_row_with_its_history() {
    let cloud = cloud();
    let body = released(&cloud).to_string();
    take(&cloud, &[parked("m1", &body, "no head")]).await;
    take(&cloud, &[parked("m2", &body, "no tail")]).await;
    let rows = failures(&cloud);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.failures, row.attempts, row.reason.as_str()), (2, 6, "no tail"));
    let notes: Vec<_> = row.history.iter().map(|happening| happening.note.as_str()).collect();
    assert_eq!(notes, ["no head", "no tail"]);
    assert_eq!(cloud.announced_names(), ["MessageParked", "MessageParked"]);
}

#[tokio::test]
async fn a_retry_of_something_unreadable_comes_back_to_the_failure_that_it_names() {
    let cloud = cloud();
    take(&cloud, &[parked("m1", "no event at all", "unreadable")]).await;
    let id = failures(&cloud)[0].failure_id.clone();
    let attributes = [("reason", "unreadable"), ("parkedBy", "cancel-order"), ("failureId", id.as_str())];
    take(&cloud, &[letter("m2", "no event at all", &attributes)]).await;
    let rows = failures(&cloud);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].failures, 2);
}

#[tokio::test]
async fn failures_of_one_cause_share_a_group_and_others_do_not() {
    let cloud = cloud();
    let unreadable = |id: &str, reason: &str| parked(id, id, reason);
    take(
        &cloud,
        &[
            unreadable("a", "order 1 has no head"),
            unreadable("b", "order 2 has no head"),
            unreadable("c", "no tail"),
        ],
    )
    .await;
    let rows = failures(&cloud);
    let group = |id: &str| rows.iter().find(|row| row.body.as_deref() == Some(id)).unwrap().group.clone();
    assert_eq!(group("a"), group("b"));
    assert_ne!(group("a"), group("c"));
}

#[tokio::test]
async fn what_was_received_too_often_names_the_queue_it_came_from() {
    let cloud = cloud();
    let mut message = letter("m1", &released(&cloud).to_string(), &[]);
    let queue = "arn:aws:sqs:us-east-1:111122223333:cancel-order";
    message["attributes"]["DeadLetterQueueSourceArn"] = json!(queue);
    message["attributes"]["ApproximateReceiveCount"] = json!("11");
    take(&cloud, &[message]).await;
    let row = &failures(&cloud)[0];
    assert_eq!(row.source, Source::Queue { queue: Some(queue.into()), function: None });
    assert_eq!((row.place.as_str(), row.attempts), ("cancel-order", 11));
}

#[tokio::test]
async fn an_undelivered_event_names_its_rule_and_its_target() {
    let cloud = cloud();
    let (rule, target) =
        ("arn:aws:events:us-east-1:1:rule/bus/cancel-order", "arn:aws:sqs:us-east-1:1:cancel-order");
    let attributes = [
        ("RULE_ARN", rule),
        ("TARGET_ARN", target),
        ("ERROR_CODE", "NO_PERMISSIONS"),
        ("ERROR_MESSAGE", "denied"),
        ("RETRY_ATTEMPTS", "185"),
    ];
    take(&cloud, &[letter("m1", &released(&cloud).to_string(), &attributes)]).await;
    let row = &failures(&cloud)[0];
    assert_eq!(row.source, Source::Target { rule: rule.into(), target: Some(target.into()) });
    assert_eq!((row.reason.as_str(), row.attempts), ("NO_PERMISSIONS: denied", 186));
    assert!(row.attributes.is_empty());
}

#[tokio::test]
async fn a_failed_invocation_is_kept_by_what_its_function_was_given() {
    let cloud = cloud();
    let sample = include_str!("../events/invocation-failed.json");
    let sample: Value = serde_json::from_str(sample).unwrap();
    take(&cloud, sample["Records"].as_array().unwrap()).await;
    let row = &failures(&cloud)[0];
    assert_eq!((row.place.as_str(), row.attempts), ("expire-orders", 3));
    assert_eq!(row.reason, "TransientFailure: the deadlines could not be read");
    let payload: Value = serde_json::from_str(row.body.as_deref().unwrap()).unwrap();
    assert_eq!(payload["detail-type"], "Scheduled Event");
}

fn given_up() -> Value {
    let sample: Value = serde_json::from_str(include_str!("../events/records-given-up.json")).unwrap();
    let mut message = sample["Records"][0].clone();
    let mut body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    body["DDBStreamBatchInfo"]["streamArn"] = json!("EventStoreTable.StreamArn");
    body["DDBStreamBatchInfo"]["startSequenceNumber"] = json!("100");
    body["DDBStreamBatchInfo"]["endSequenceNumber"] = json!("102");
    message["body"] = json!(body.to_string());
    message
}

fn record(sequence: u32) -> Value {
    json!({
        "eventID": sequence.to_string(), "eventName": "INSERT", "eventVersion": "1.1",
        "dynamodb": {
            "Keys": { "aggregateId": { "S": "o1" } }, "NewImage": { "aggregateId": { "S": "o1" } },
            "SequenceNumber": sequence.to_string(), "StreamViewType": "NEW_IMAGE",
        },
    })
}

#[tokio::test]
async fn records_that_a_streams_reader_gave_up_on_are_fetched_while_they_are_there() {
    let cloud = cloud();
    cloud.inject("dynamodb:GetShardIterator", Fault::Answered(json!({ "ShardIterator": "i1" })));
    let page = |records: &[u32], next: &str| {
        let records: Vec<_> = records.iter().map(|sequence| record(*sequence)).collect();
        Fault::Answered(json!({ "Records": records, "NextShardIterator": next }))
    };
    cloud.inject("dynamodb:GetRecords", page(&[100, 101], "i2"));
    cloud.inject("dynamodb:GetRecords", page(&[], "i3"));
    cloud.inject("dynamodb:GetRecords", page(&[102, 103], "i4"));
    assert!(take(&cloud, &[given_up()]).await.is_empty());
    let row = &failures(&cloud)[0];
    let event: Value = serde_json::from_str(row.body.as_deref().unwrap()).unwrap();
    let sequences = event["Records"].as_array().unwrap().iter();
    let sequences = sequences.map(|record| record["dynamodb"]["SequenceNumber"].clone());
    assert_eq!(sequences.collect::<Vec<_>>(), ["100", "101", "102"]);
    assert_eq!(event["Records"][0]["dynamodb"]["NewImage"]["aggregateId"]["S"], "o1");
    assert_eq!(event["Records"][0]["eventSourceARN"], "EventStoreTable.StreamArn");
    assert_eq!(row.place, "project-orders");
}

#[tokio::test]
async fn records_that_are_gone_are_said_to_be_gone() {
    let cloud = cloud();
    let gone = Fault::Refused(400, "TrimmedDataAccessException", json!({ "message": "trimmed" }));
    cloud.inject("dynamodb:GetShardIterator", gone);
    assert!(take(&cloud, &[given_up()]).await.is_empty());
    let row = &failures(&cloud)[0];
    assert!(row.reason.contains("no longer in the stream"), "{}", row.reason);
    assert_eq!(row.body.as_deref(), Some(""));
}

#[tokio::test]
async fn a_stream_that_does_not_answer_leaves_the_letter_where_it_is() {
    let cloud = cloud();
    for _ in 0..3 {
        let busy = Fault::Refused(400, "LimitExceededException", json!({ "message": "busy" }));
        cloud.inject("dynamodb:GetShardIterator", busy);
    }
    assert_eq!(take(&cloud, &[given_up()]).await.len(), 1);
    assert!(failures(&cloud).is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_for_a_row_is_kept_beside_it_first() {
    let cloud = cloud();
    let large = "x".repeat(MOST_INLINE + 1);
    assert!(take(&cloud, &[parked("m1", &large, "too large")]).await.is_empty());
    assert_eq!(cloud.take_call_names(), ["s3:PutObject", "dynamodb:TransactWriteItems"]);
    let row = &failures(&cloud)[0];
    assert_eq!(row.body, None);
    let key = format!("FailedMessagesBucket/{}", row.body_key.as_deref().unwrap());
    assert_eq!(cloud.objects().get(&key), Some(&large));
}

#[tokio::test]
async fn what_cannot_be_written_stays_and_its_neighbours_are_taken_in() {
    let cloud = cloud();
    cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(400, "ValidationException", json!({})));
    let letters = [parked("m1", "one", "broken"), parked("m2", "two", "broken")];
    assert_eq!(take(&cloud, &letters).await, ["m1"]);
    assert_eq!(failures(&cloud).len(), 1);
}

fn received(letter: &Value) -> Value {
    json!({ "Messages": [{
        "MessageId": letter["messageId"], "ReceiptHandle": "handle", "Body": letter["body"],
        "MessageAttributes": { "reason": { "DataType": "String", "StringValue": "broken" } },
        "Attributes": { "ApproximateReceiveCount": "1" },
    }] })
}

async fn drain(cloud: &TestCloud) -> Value {
    let function = cloud.start::<ProcessDlq>().await;
    let input = json!({ "queueUrls": ["CancelOrderDeadLetterQueue"] });
    let arn = json!({ "Attributes": { "QueueArn": "arn:aws:sqs:us-east-1:1:cancel-order-dead-letters" } });
    cloud.inject("sqs:GetQueueAttributes", Fault::Answered(arn));
    let report = function.run(serde_json::from_value(input).unwrap(), cloud.deadline()).await.unwrap();
    serde_json::to_value(report).unwrap()["CancelOrderDeadLetterQueue"].clone()
}

#[tokio::test]
async fn a_queue_is_drained_on_demand_and_each_letter_is_deleted_after_its_row_is_written() {
    let cloud = cloud();
    let message = parked("m1", "one", "broken");
    cloud.inject("sqs:ReceiveMessage", Fault::Answered(received(&message)));
    cloud.inject("sqs:ReceiveMessage", Fault::Answered(json!({})));
    assert_eq!(drain(&cloud).await, json!({ "taken": 1, "known": 0, "left": 0, "cutShort": false }));
    let calls = [
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "dynamodb:TransactWriteItems",
        "sqs:DeleteMessage",
        "sqs:ReceiveMessage",
    ];
    assert_eq!(cloud.take_call_names(), calls);
}

#[tokio::test]
async fn a_letter_whose_row_cannot_be_written_is_not_deleted() {
    let cloud = cloud();
    let message = parked("m1", "one", "broken");
    cloud.inject("sqs:ReceiveMessage", Fault::Answered(received(&message)));
    cloud.inject("sqs:ReceiveMessage", Fault::Answered(json!({})));
    cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(400, "ValidationException", json!({})));
    assert_eq!(drain(&cloud).await, json!({ "taken": 0, "known": 0, "left": 1, "cutShort": false }));
    assert!(!cloud.take_call_names().contains(&"sqs:DeleteMessage".to_owned()));
}
