//! The enrichment against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::batch::{BatchWorker, Parking, ParkingConfig};
use eda::serve::Function as _;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch, queue_message};
use enrich_order::EnrichOrder;
use serde_json::{Value, json};
use shop::customer::Customer;
use shop::events::OrderPlaced;
use shop::testing::{CUSTOMER, order_placed};

fn customer(customer_id: &str) -> Customer {
    Customer {
        customer_id: customer_id.into(),
        name: Some("Ada Okafor".into()),
        tier: Some("gold".into()),
        email: Some(format!("{customer_id}@example.com")),
    }
}

fn cloud() -> TestCloud {
    let cloud = TestCloud::of("enrich-order");
    cloud.put("CustomersTable", &customer(CUSTOMER));
    cloud
}

fn order(order_id: &str) -> OrderPlaced {
    order_placed(order_id, &[("keyboard", 2)])
}

async fn worker(cloud: &TestCloud) -> BatchWorker<EnrichOrder> {
    let parking =
        ParkingConfig { dead_letter_queue_url: "EnrichOrderDeadLetterQueue".into(), queue_url: None };
    let parking = Parking::new(cloud.aws().sqs(), parking, EnrichOrder::NAME);
    BatchWorker::new(cloud.start::<EnrichOrder>().await, parking)
}

/// Delivers the events, and gives the ids of the messages that are to come again.
async fn deliver(cloud: &TestCloud, events: &[Value]) -> Vec<String> {
    let response = worker(cloud).await.handle(queue_batch(events), cloud.deadline()).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

/// The details that were put on the bus.
fn published(cloud: &TestCloud) -> Vec<Value> {
    let calls = cloud.take_calls().into_iter().filter(|call| call.name == "events:PutEvents");
    let entries = calls.flat_map(|call| call.body["Entries"].as_array().unwrap().clone());
    entries.map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn an_order_is_joined_with_its_customer_for_two_calls() {
    let cloud = cloud();
    assert!(deliver(&cloud, &[bus_event(&cloud, &order("o1"))]).await.is_empty());
    let calls = cloud.take_calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["dynamodb:BatchGetItem", "events:PutEvents"]);
    let entry = &calls[1].body["Entries"][0];
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!((&entry["Source"], &entry["DetailType"]), (&json!("orders"), &json!("OrderEnriched")));
    assert_eq!((&detail["orderId"], &detail["totalAmount"]), (&json!("o1"), &json!(99)));
    assert_eq!((&detail["customerKnown"], &detail["customerTier"]), (&json!(true), &json!("gold")));
    assert_eq!(detail["customerEmail"], "customer-1@example.com");
    assert_eq!((&detail["paymentMethod"], &detail["shippingAddress"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_batch_of_n_costs_one_look_up_per_hundred_customers_and_one_call_of_the_bus_per_ten_orders() {
    let cloud = cloud();
    let orders = (0..101)
        .map(|index| OrderPlaced { customer_id: format!("customer-{index}"), ..order(&format!("o{index}")) });
    let events: Vec<_> = orders.map(|order| bus_event(&cloud, &order)).collect();
    assert!(deliver(&cloud, &events).await.is_empty());
    let expected = [["dynamodb:BatchGetItem"; 2].as_slice(), ["events:PutEvents"; 11].as_slice()].concat();
    assert_eq!(cloud.take_call_names(), expected);
}

#[tokio::test]
async fn orders_of_one_customer_look_them_up_once() {
    let cloud = cloud();
    deliver(&cloud, &[bus_event(&cloud, &order("o1")), bus_event(&cloud, &order("o2"))]).await;
    let calls = cloud.take_calls();
    let keys = calls[0].body["RequestItems"]["CustomersTable"]["Keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn an_unknown_customer_is_said_to_be_unknown_and_holds_up_nobody() {
    let cloud = cloud();
    let stranger = OrderPlaced { customer_id: "nobody".into(), ..order("o1") };
    deliver(&cloud, &[bus_event(&cloud, &stranger), bus_event(&cloud, &order("o2"))]).await;
    let published = published(&cloud);
    assert_eq!(
        (&published[0]["customerKnown"], &published[0]["customerId"]),
        (&json!(false), &json!("nobody"))
    );
    assert_eq!(published[0].get("customerEmail"), None);
    assert_eq!(published[0]["totalAmount"], 99);
    assert_eq!(published[1]["customerKnown"], true);
}

#[tokio::test]
async fn what_another_system_left_empty_is_not_said() {
    let cloud = cloud();
    cloud.put("CustomersTable", &Customer { email: Some(" ".into()), name: None, ..customer(CUSTOMER) });
    deliver(&cloud, &[bus_event(&cloud, &order("o1"))]).await;
    let published = published(&cloud);
    assert_eq!((published[0].get("customerEmail"), published[0].get("customerName")), (None, None));
    assert_eq!(published[0]["customerTier"], "gold");
}

#[tokio::test]
async fn a_repetition_is_the_same_event_to_the_byte() {
    let cloud = cloud();
    let placed = bus_event(&cloud, &order("o1"));
    deliver(&cloud, std::slice::from_ref(&placed)).await;
    cloud.advance(std::time::Duration::from_secs(3_600));
    deliver(&cloud, std::slice::from_ref(&placed)).await;
    let published = published(&cloud);
    assert_eq!(published[0], published[1]);
    assert_eq!(published[0]["metadata"]["causationId"], placed["detail"]["metadata"]["eventId"]);
    assert_ne!(published[0]["metadata"]["eventId"], placed["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn poison_is_parked_and_its_neighbours_are_enriched() {
    let cloud = cloud();
    let messages = json!({ "Records": [
        queue_message("m0", "no JSON"),
        queue_message("m1", &bus_event(&cloud, &order("o1")).to_string()),
    ] });
    let batch = serde_json::from_value(messages).unwrap();
    let response = worker(&cloud).await.handle(batch, cloud.deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    let names = cloud.take_call_names();
    assert_eq!(names, ["dynamodb:BatchGetItem", "events:PutEvents", "sqs:SendMessage"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_orders_that_the_bus_did_not_take_come_again() {
    let cloud = cloud();
    let entries = json!([{ "EventId": "a" }, { "ErrorCode": "ThrottlingException" }]);
    cloud.inject("events:PutEvents", Fault::Answered(json!({ "FailedEntryCount": 1, "Entries": entries })));
    for _ in 0..9 {
        cloud.inject("events:PutEvents", Fault::Refused(500, "InternalException", json!({})));
    }
    let events = [bus_event(&cloud, &order("o1")), bus_event(&cloud, &order("o2"))];
    assert_eq!(deliver(&cloud, &events).await, ["m1"]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_left_unprocessed_are_read_again_and_while_the_table_is_down_all_orders_wait() {
    let cloud = cloud();
    let keys = json!([{ "customerId": { "S": CUSTOMER } }]);
    let left = json!({ "Responses": {}, "UnprocessedKeys": { "CustomersTable": { "Keys": keys } } });
    cloud.inject("dynamodb:BatchGetItem", Fault::Answered(left));
    deliver(&cloud, &[bus_event(&cloud, &order("o1"))]).await;
    assert_eq!(published(&cloud)[0]["customerKnown"], true);
    for _ in 0..3 {
        cloud.inject("dynamodb:BatchGetItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(deliver(&cloud, &[bus_event(&cloud, &order("o1"))]).await, ["m0"]);
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = cloud();
    let sample = serde_json::from_str(include_str!("../events/order-placed.json")).unwrap();
    let response = worker(&cloud).await.handle(sample, cloud.deadline()).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(published(&cloud).len(), 1);
}
