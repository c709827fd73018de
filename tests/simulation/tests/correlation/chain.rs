//! One order from its request to its last consumers, each hop made of what the hop before it really sent: all of them say the
//! same correlation id, and carry on the same trace.
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use aggregate_sales::AggregateSales;
use aws_lambda_events::kinesis::KinesisEvent;
use eda::batch::{FactWorker, FactsConfig, StreamWorker};
use eda::event_store::StoredEvent;
use eda::outbox::OutboxRow;
use eda::testing::{Call, TestCloud, message_batch, queue_message, stream_batch};
use eda::window::WindowRow;
use place_order::PlaceOrder;
use process_payment::ProcessPayment;
use project_orders::ProjectOrders;
use record_activity::RecordActivity;
use relay_outbox::RelayOutbox;
use reserve_inventory::ReserveInventory;
use serde_json::{Value, json};
use shop::activity::ActivityRow;
use shop::order::{OrderHead, OrderViewRow};
use shop::testing::{place_order, product};
use start_order_saga::StartOrderSaga;

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// An order that was asked for over HTTP: what its caller was told, and what is stored.
struct Placed {
    correlation_id: Value,
    head: OrderHead,
    stored: StoredEvent,
    announced: OutboxRow,
}

/// Asks for so many keyboards.
async fn place(keyboards: u32) -> Placed {
    let cloud = TestCloud::of("place-order");
    let request = json!({
        "version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "rawQueryString": "",
        "headers": { "content-type": "application/json", "idempotency-key": "k1", "x-amzn-trace-id": TRACE },
        "requestContext": { "http": { "method": "POST", "path": "/orders" } },
        "body": json!(place_order(&[("keyboard", keyboards)])).to_string(), "isBase64Encoded": false,
    });
    let function = cloud.start::<PlaceOrder>().await;
    let answer = eda::serve::answer(&function, serde_json::from_value(request).unwrap()).await;
    assert_eq!(answer.status_code, 202);
    let correlation_id = json!(answer.headers["x-correlation-id"].to_str().unwrap());
    let [head] = cloud.rows::<OrderHead>("EventStoreTable").try_into().unwrap();
    let [stored] = cloud.rows::<StoredEvent>("EventStoreTable").try_into().unwrap();
    Placed { correlation_id, head, stored, announced: announced(&cloud) }
}

/// The only row of a function's outbox.
fn announced(cloud: &TestCloud) -> OutboxRow {
    let [row] = cloud.rows::<OutboxRow>("OutboxTable").try_into().unwrap();
    row
}

fn metadata(detail: &str) -> Value {
    serde_json::from_str::<Value>(detail).unwrap()["metadata"].take()
}

/// Relays a row, as the outbox's stream has it.
async fn relay(row: &OutboxRow) -> Relayed {
    let cloud = TestCloud::of("relay-outbox");
    cloud.put("OutboxTable", row);
    let worker = StreamWorker::new(cloud.start::<RelayOutbox>().await);
    let answer = worker.handle(stream_batch(std::slice::from_ref(row)), cloud.deadline()).await;
    assert!(answer.batch_item_failures.is_empty());
    Relayed(cloud.take_calls())
}

/// What the relay has sent.
struct Relayed(Vec<Call>);

impl Relayed {
    fn entry(&self, call: &str) -> &Value {
        let call = self.0.iter().find(|made| made.name == call).unwrap_or_else(|| panic!("no {call}"));
        &["Entries", "Records"].into_iter().find_map(|list| call.body.get(list)).unwrap()[0]
    }

    /// The message that a rule makes of the event for a queue: the bus hands the trace on as the message's.
    fn by_bus(&self) -> Value {
        let entry = self.entry("events:PutEvents");
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        let event = json!({
            "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "source": entry["Source"],
            "detail-type": entry["DetailType"], "time": detail["metadata"]["eventTime"], "detail": detail,
        });
        let mut message = queue_message("m0", &event.to_string());
        message["attributes"]["AWSTraceHeader"] = entry["TraceHeader"].clone();
        message
    }

    /// The message of the ordered queue.
    fn by_ordered_queue(&self) -> Value {
        let entry = self.entry("sqs:SendMessageBatch");
        let mut message = queue_message("m0", entry["MessageBody"].as_str().unwrap());
        let trace = &entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"];
        message["attributes"] = json!({
            "ApproximateReceiveCount": "1", "MessageGroupId": entry["MessageGroupId"], "AWSTraceHeader": trace,
            "MessageDeduplicationId": entry["MessageDeduplicationId"], "SequenceNumber": "1",
        });
        message
    }

    /// The record of the stream of facts.
    fn by_stream(&self) -> KinesisEvent {
        let entry = self.entry("kinesis:PutRecords");
        let record = json!({
            "eventID": "shardId-000000000000:1", "eventSource": "aws:kinesis", "eventVersion": "1.0",
            "eventName": "aws:kinesis:record", "awsRegion": "us-east-1", "invokeIdentityArn": "arn:aws:iam::1:role/r",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/s",
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": entry["PartitionKey"], "sequenceNumber": "1",
                "data": entry["Data"], "approximateArrivalTimestamp": 1_768_473_000.5,
            },
        });
        serde_json::from_value(json!({ "Records": [record] })).unwrap()
    }
}

/// What a row announces belongs to the transaction, follows from that event, and carries the trace on.
fn assert_follows(row: &OutboxRow, from: &str, placed: &Placed) {
    let metadata = metadata(&row.detail);
    assert_eq!(metadata["correlationId"], placed.correlation_id, "{}", row.detail_type);
    assert_eq!(metadata["causationId"], json!(from), "{}", row.detail_type);
    assert_eq!(row.trace.as_deref(), Some(TRACE), "{}", row.detail_type);
}

#[tokio::test]
async fn what_a_caller_is_told_is_the_correlation_of_what_is_stored_and_announced() {
    let placed = place(2).await;
    assert_eq!(json!(placed.head.correlation_id), placed.correlation_id);
    assert_eq!(metadata(&placed.stored.detail)["correlationId"], placed.correlation_id);
    assert_eq!(metadata(&placed.announced.detail)["correlationId"], placed.correlation_id);
    assert_eq!(placed.announced.trace.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn from_queue_to_queue_a_standard_order_keeps_its_correlation_and_its_trace() {
    let placed = place(2).await;
    let message = relay(&placed.announced).await.by_bus();

    let cloud = TestCloud::of("reserve-inventory");
    cloud.put("InventoryTable", &product("keyboard", 10));
    let worker = cloud.worker::<ReserveInventory>().await;
    worker.handle(message_batch(&[message]), cloud.deadline()).await;
    let reserved = announced(&cloud);
    assert_eq!(reserved.detail_type, "InventoryReserved");
    assert_follows(&reserved, &placed.announced.event_id, &placed);

    // Without a payment method it is refused without the gateway.
    let mut message = relay(&reserved).await.by_bus();
    let mut event: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    event["detail"]["paymentMethod"] = Value::Null;
    message["body"] = json!(event.to_string());
    let cloud = TestCloud::of("process-payment");
    cloud.secret("PaymentGatewaySecretArn", "sk_test");
    let worker = cloud.worker::<ProcessPayment>().await;
    worker.handle(message_batch(&[message]), cloud.deadline()).await;
    let refused = announced(&cloud);
    assert_eq!(refused.detail_type, "PaymentFailed");
    assert_follows(&refused, &reserved.event_id, &placed);
}

#[tokio::test]
async fn the_ordered_queue_has_the_trace_and_the_feed_the_event() {
    let placed = place(2).await;
    let message = relay(&placed.announced).await.by_ordered_queue();
    assert_eq!(message["attributes"]["AWSTraceHeader"], json!(TRACE));
    let event: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail"]["metadata"]["correlationId"], placed.correlation_id);

    let cloud = TestCloud::of("record-activity");
    let worker = cloud.ordered_worker::<RecordActivity>().await;
    worker.handle(message_batch(&[message]), cloud.deadline()).await;
    let [entry] = cloud.rows::<ActivityRow>("ActivityTable").try_into().unwrap();
    assert_eq!(entry.event_id, placed.announced.event_id);
}

#[tokio::test]
async fn the_stores_stream_shows_the_order_that_the_caller_was_told_of() {
    let placed = place(2).await;
    let cloud = TestCloud::of("project-orders");
    cloud.put("EventStoreTable", &placed.stored);
    let worker = StreamWorker::new(cloud.start::<ProjectOrders>().await);
    let answer = worker.handle(stream_batch(std::slice::from_ref(&placed.stored)), cloud.deadline()).await;
    assert!(answer.batch_item_failures.is_empty());
    let [view] = cloud.rows::<OrderViewRow>("OrderViewsTable").try_into().unwrap();
    assert_eq!(view.view().unwrap().order_id, placed.head.aggregate_id);
}

#[tokio::test]
async fn the_stream_of_facts_counts_what_belongs_to_the_transaction() {
    let placed = place(2).await;
    let mut paid = placed.announced.clone();
    let detail = eda::testing::bus_event(
        &TestCloud::of("process-payment"),
        &shop::testing::payment_processed(&placed.head.aggregate_id),
    );
    let mut detail = detail["detail"].clone();
    detail["metadata"]["correlationId"] = placed.correlation_id.clone();
    paid.detail_type = "PaymentProcessed".into();
    paid.source = "payments".into();
    paid.detail = detail.to_string();
    paid.counted = true;
    let facts = relay(&paid).await.by_stream();
    let event: Value = serde_json::from_slice(&facts.records[0].kinesis.data.0).unwrap();
    assert_eq!(event["detail"]["metadata"]["correlationId"], placed.correlation_id);

    let cloud = TestCloud::of("aggregate-sales");
    let config = FactsConfig {
        failures_queue_url: cloud.environment()["FAILURES_QUEUE_URL"].clone(),
        function_name: None,
    };
    let worker = FactWorker::new(cloud.start::<AggregateSales>().await, cloud.aws().sqs(), config);
    assert!(worker.handle(facts, cloud.deadline()).await.batch_item_failures.is_empty());
    assert_eq!(cloud.rows::<WindowRow>("SalesWindowsTable").len(), 1);
}

#[tokio::test]
async fn the_state_machine_is_started_with_the_correlation_and_the_trace_and_its_tasks_carry_them_on() {
    let placed = place(30).await;
    let message = relay(&placed.announced).await.by_bus();
    let cloud = TestCloud::of("start-order-saga");
    let worker = cloud.worker::<StartOrderSaga>().await;
    worker.handle(message_batch(&[message]), cloud.deadline()).await;
    let [start] = cloud.take_calls().try_into().unwrap();
    assert_eq!(start.body["traceHeader"], json!(TRACE));
    let input: Value = serde_json::from_str(start.body["input"].as_str().unwrap()).unwrap();
    assert_eq!(input["detail"]["metadata"]["correlationId"], placed.correlation_id);

    let cloud = TestCloud::of("reserve-inventory");
    cloud.put("InventoryTable", &product("keyboard", 100));
    let step = cloud.start::<ReserveInventory>().await;
    let input = serde_json::value::to_raw_value(&input).unwrap();
    let reserved = eda::saga::call(&step, &input, Some(TRACE.to_owned()), cloud.deadline()).await.unwrap();
    assert_follows(&announced(&cloud), &placed.announced.event_id, &placed);
    let reserved: Value = serde_json::from_str(reserved.get()).unwrap();
    assert_eq!(reserved["detail"]["metadata"]["correlationId"], placed.correlation_id);
}
