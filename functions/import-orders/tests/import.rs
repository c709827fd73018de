//! Orders from files, against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::sqs::SqsBatchResponse;
use eda::batch::{LongWorker, Parking, ParkingConfig};
use eda::event_store::StoredEvent;
use eda::testing::TestCloud;
use envconfig::Envconfig;
use import_orders::ImportOrders;
use serde_json::{Value, json};
use shop::order::{OrderHead, imported_order_id};
use shop::testing::place_order;

const BUCKET: &str = "ImportsBucket";
const FILE: &str = "incoming/orders.jsonl";

fn cloud() -> TestCloud {
    TestCloud::of("import-orders")
}

/// A line that orders so many keyboards.
fn order(keyboards: u32) -> Value {
    serde_json::to_value(place_order(&[("keyboard", keyboards)])).unwrap()
}

fn keyed(key: &str, keyboards: u32) -> Value {
    let mut order = order(keyboards);
    order["idempotencyKey"] = json!(key);
    order
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Puts a file and tells the function, as S3 and the rule do; `version` tells uploads of one key apart.
async fn import(cloud: &TestCloud, key: &str, version: &str, content: &str) -> SqsBatchResponse {
    cloud.put_object(&format!("{BUCKET}/{key}"), content);
    let mut sample: Value = serde_json::from_str(include_str!("../events/object-created.json")).unwrap();
    let mut event: Value = serde_json::from_str(sample["Records"][0]["body"].as_str().unwrap()).unwrap();
    event["detail"]["bucket"]["name"] = json!(BUCKET);
    event["detail"]["object"] = json!({
        "key": key, "size": content.len(), "etag": content.len().to_string(), "version-id": version,
        "sequencer": "617f08299329d189",
    });
    sample["Records"][0]["body"] = json!(event.to_string());
    let environment = cloud.environment().into_iter().collect();
    let parking = ParkingConfig::init_from_hashmap(&environment).unwrap();
    let consumer = cloud.start::<ImportOrders>().await;
    let worker = LongWorker::new(consumer, Parking::new(cloud.aws().sqs(), parking, "import-orders"));
    worker.handle(serde_json::from_value(sample).unwrap(), cloud.deadline()).await
}

fn results(cloud: &TestCloud) -> Vec<Value> {
    let objects = cloud.objects();
    let results = &objects[&format!("{BUCKET}/results/orders.jsonl")];
    results.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn placed(cloud: &TestCloud) -> usize {
    let heads = cloud.rows::<OrderHead>("EventStoreTable").len();
    assert_eq!(cloud.rows::<StoredEvent>("EventStoreTable").len(), heads);
    assert_eq!(cloud.announced_names(), vec!["OrderPlaced"; heads]);
    heads
}

#[tokio::test]
async fn each_line_is_an_order_for_one_transaction() {
    let cloud = cloud();
    let answer = import(&cloud, FILE, "v1", &lines(&[order(1), order(2)])).await;
    assert!(answer.batch_item_failures.is_empty());
    let calls =
        ["dynamodb:GetItem", "s3:GetObject", "dynamodb:TransactWriteItems", "dynamodb:TransactWriteItems"];
    let then = ["dynamodb:PutItem", "s3:PutObject", "dynamodb:PutItem"];
    assert_eq!(cloud.take_call_names(), [&calls[..], &then].concat());
    assert_eq!(placed(&cloud), 2);
    let id = imported_order_id(BUCKET, FILE, 2, None).to_string();
    let second = cloud.announced().into_iter().find(|(_, detail)| detail["orderId"] == id).unwrap().1;
    assert_eq!((&second["totalAmount"], &second["metadata"]["saga"]), (&json!(99), &json!("choreographed")));
    assert_eq!(second["metadata"]["correlationId"], second["metadata"]["eventId"]);
    let head = cloud.get::<OrderHead>("EventStoreTable", OrderHead::key(&id)).unwrap();
    let seconds: i64 = cloud.environment()["ORDER_DEADLINE_SECONDS"].parse().unwrap();
    assert_eq!(head.deadline, Some(cloud.ambient().now().as_second() + seconds));
    assert_eq!(results(&cloud), [json!({ "lines": 2, "taken": 2, "refused": 0 })]);
}

#[tokio::test]
async fn a_line_that_is_no_order_is_reported_and_takes_no_other_down() {
    let cloud = cloud();
    let mut wrong = order(1);
    wrong["items"][0]["quantity"] = json!(0);
    wrong["colour"] = json!("S3CRET");
    let content = format!(
        "{}not json\n{}[]\n{}",
        lines(&[order(1)]),
        lines(&[wrong]),
        lines(&[keyed("", 1), order(2)])
    );
    import(&cloud, FILE, "v1", &content).await;
    assert_eq!(placed(&cloud), 2);
    let results = results(&cloud);
    assert_eq!(results[0], json!({ "line": 2, "problem": "is not JSON" }));
    let errors = results[1]["errors"].as_array().unwrap();
    let fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!((&results[1]["line"], fields), (&json!(3), vec!["items[0].quantity", "colour"]));
    assert_eq!(results[2]["errors"], json!([{ "field": "body", "problem": "must be an object" }]));
    assert_eq!(results[3]["errors"][0]["field"], "idempotencyKey");
    assert_eq!(results[4], json!({ "lines": 6, "taken": 2, "refused": 4 }));
    assert!(
        !cloud.objects().values().any(|object| object.starts_with("{\"line\"") && object.contains("S3CRET"))
    );
}

#[tokio::test]
async fn the_same_upload_is_imported_once() {
    let cloud = cloud();
    let content = lines(&[order(1), order(2)]);
    import(&cloud, FILE, "v1", &content).await;
    cloud.take_calls();
    import(&cloud, FILE, "v1", &content).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    assert_eq!(placed(&cloud), 2);
}

#[tokio::test]
async fn a_file_that_is_uploaded_again_places_only_what_was_not_placed() {
    let cloud = cloud();
    let mut wrong = order(2);
    wrong["currency"] = json!("dollars");
    import(&cloud, FILE, "v1", &lines(&[order(1), wrong, order(3)])).await;
    assert_eq!(placed(&cloud), 2);
    import(&cloud, FILE, "v2", &lines(&[order(1), order(2), order(3)])).await;
    assert_eq!(placed(&cloud), 3);
    assert_eq!(results(&cloud), [json!({ "lines": 3, "taken": 3, "refused": 0 })]);
}

#[tokio::test]
async fn a_line_that_placed_an_order_places_no_other() {
    let cloud = cloud();
    import(&cloud, FILE, "v1", &lines(&[order(1)])).await;
    import(&cloud, FILE, "v2", &lines(&[order(2)])).await;
    assert_eq!(placed(&cloud), 1);
    let results = results(&cloud);
    assert!(
        results[0]["problem"].as_str().unwrap().starts_with("this line of this file placed another order")
    );
    assert_eq!(results[1], json!({ "lines": 1, "taken": 0, "refused": 1 }));
}

#[tokio::test]
async fn an_order_with_a_key_is_the_same_in_every_file_and_line() {
    let cloud = cloud();
    import(&cloud, FILE, "v1", &lines(&[keyed("a", 1), keyed("b", 2)])).await;
    import(&cloud, "incoming/other.jsonl", "v1", &lines(&[keyed("b", 2), keyed("c", 3), keyed("a", 9)]))
        .await;
    assert_eq!(placed(&cloud), 3);
    let other = &cloud.objects()[&format!("{BUCKET}/results/other.jsonl")];
    let refused: Value = serde_json::from_str(other.lines().next().unwrap()).unwrap();
    let problem = "another order was placed with this idempotencyKey before";
    assert_eq!(refused, json!({ "line": 3, "problem": problem }));
}

#[tokio::test]
async fn equal_orders_in_different_lines_are_different_orders() {
    let cloud = cloud();
    import(&cloud, FILE, "v1", &lines(&[order(1), order(1)])).await;
    assert_eq!(placed(&cloud), 2);
}

#[tokio::test]
async fn what_is_no_incoming_file_is_parked() {
    let cloud = cloud();
    let answer = import(&cloud, "results/orders.jsonl", "v1", &lines(&[order(1)])).await;
    assert!(answer.batch_item_failures.is_empty());
    assert_eq!(cloud.take_call_names(), ["sqs:SendMessage"]);
    assert_eq!(placed(&cloud), 0);
}
