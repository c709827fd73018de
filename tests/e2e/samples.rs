//! The sample events, in an order that tells one order's story.

use std::collections::BTreeSet;
use std::path::PathBuf;

use localcloud::Stack;
use serde_json::Value;

use super::clouds::{eventually, run, shared};

/// What has happened is told before what follows from it.
pub(crate) const STORY: &[(&str, &str)] = &[
    ("place-order", "post-order"),
    ("import-orders", "object-created"),
    ("get-order", "get-order"),
    ("get-order", "get-customer-orders"),
    ("get-order", "get-customer-activity"),
    ("get-order", "get-sales"),
    ("get-order", "get-description"),
    ("project-orders", "order-placed"),
    ("relay-outbox", "outbox-insert"),
    ("reserve-inventory", "order-placed"),
    ("process-payment", "inventory-reserved"),
    ("ship-order", "payment-processed"),
    ("aggregate-steps", "inventory-reserved"),
    ("aggregate-steps", "payment-processed"),
    ("aggregate-steps", "order-shipped"),
    ("confirm-order", "all-steps-complete"),
    ("refund-payment", "shipment-failed"),
    ("refund-payment", "order-expired"),
    ("release-inventory", "payment-failed"),
    ("release-inventory", "payment-refunded"),
    ("cancel-order", "inventory-reservation-failed"),
    ("cancel-order", "inventory-released"),
    ("start-order-saga", "order-placed"),
    ("validate-inventory", "order-placed"),
    ("check-credit", "order-placed"),
    ("calculate-shipping", "order-placed"),
    ("aggregate-results", "findings"),
    ("expire-orders", "schedule"),
    ("sweep-outbox", "schedule"),
    ("replay-events", "start"),
    ("process-dlq", "parked"),
    ("process-dlq", "received-too-often"),
    ("process-dlq", "undelivered"),
    ("process-dlq", "invocation-failed"),
    ("process-dlq", "records-given-up"),
    ("process-dlq", "drain"),
    ("enrich-order", "order-placed"),
    ("send-receipt", "order-enriched"),
    ("record-activity", "order-fulfilled"),
    ("record-activity", "order-cancelled"),
    ("aggregate-sales", "sales"),
    ("close-sales", "schedule"),
    ("publish-stock", "stock-modified"),
    ("reorder-stock", "stock-low"),
    ("reorder-stock", "stock-recovered"),
    ("snapshot-orders", "order-placed"),
    ("reconcile-views", "schedule"),
    ("rebuild-orders-view", "start"),
    ("rebuild-orders-view", "schedule"),
    ("rebuild-orders-view", "cancel"),
    ("rebuild-orders-view", "status"),
];

/// The order that the samples are about.
const ORDER: &str = "/orders/99a2809c-4b6c-5d52-9cbb-918ae6450583";

/// The file of a sample.
pub(crate) fn file(function: &str, sample: &str) -> PathBuf {
    system_tests::workspace().join(format!("functions/{function}/events/{sample}.json"))
}

/// Checks what a function answered to its sample.
pub(crate) fn succeeded(function: &str, sample: &str, answer: &Value) {
    if let Some(failures) = answer.get("batchItemFailures") {
        assert_eq!(failures.as_array().map(Vec::len), Some(0), "{function} {sample}: {answer}");
    }
    if let Some(status) = answer.get("statusCode") {
        assert!(status == 200 || status == 202, "{function} {sample}: {answer}");
    }
    assert!(answer.is_object() && answer.get("errorType").is_none(), "{function} {sample}: {answer}");
}

#[test]
fn the_story_tells_every_sample() {
    let told: BTreeSet<_> = STORY.iter().map(|(function, sample)| file(function, sample)).collect();
    let mut found = BTreeSet::new();
    for folder in system_tests::function_folders().unwrap() {
        let samples = std::fs::read_dir(folder.join("events")).unwrap();
        found.extend(samples.map(|sample| sample.unwrap().path()));
    }
    assert_eq!(told, found, "left: told, right: in functions/");
}

/// The sample about a file, which is put for it: only bucket and version are known here alone.
async fn about_an_object(stack: &Stack, sample: &str) -> String {
    let file = include_str!("../../crates/localcloud/seed/orders.jsonl");
    let put = stack.put_object("ImportsBucket", "incoming/orders-2026-01-15.jsonl", file).await.unwrap();
    let (bucket, version) = (stack.output("ImportsBucket").unwrap(), put.header("x-amz-version-id").unwrap());
    sample.replace("order-fulfilment-imports", bucket).replace("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", version)
}

#[test]
fn every_sample_works_on_the_deployed_functions() {
    run(async {
        let stack = shared().await.stack();
        for &(function, sample) in STORY {
            let mut event = std::fs::read_to_string(file(function, sample)).unwrap();
            if function == "import-orders" {
                event = about_an_object(stack, &event).await;
            }
            let answer = stack.invoke(function, event.as_bytes()).await.unwrap();
            assert_eq!(answer.error, None, "{function} {sample}: {}", answer.payload);
            succeeded(function, sample, &answer.payload);
        }
        // The samples are delivered beside the events that the first of them caused: the order ends once all the same.
        let ended = async || {
            let order: Value = stack.get(ORDER).await.ok()?.json().ok()?;
            (order["status"] == "confirmed").then_some(())
        };
        eventually("the samples' order is confirmed", ended).await;
    });
}
