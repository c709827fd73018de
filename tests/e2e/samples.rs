//! The sample events, in an order that tells one order's story.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::clouds::{eventually, run, shared};

/// What has happened is told before what follows from it.
pub(crate) const STORY: [(&str, &str); 19] = [
    ("place-order", "post-order"),
    ("get-order", "get-order"),
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
    ("expire-orders", "schedule"),
    ("sweep-outbox", "schedule"),
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

#[test]
fn every_sample_works_on_the_deployed_functions() {
    run(async {
        let stack = shared().await.stack();
        for (function, sample) in STORY {
            let event = std::fs::read(file(function, sample)).unwrap();
            let answer = stack.invoke(function, &event).await.unwrap();
            assert_eq!(answer.error, None, "{function} {sample}: {}", answer.payload);
            succeeded(function, sample, &answer.payload);
        }
        // The samples are delivered beside the events that the first of them caused: the order ends once all the same.
        let ended = async || {
            let order: Value = stack.get(ORDER).await.ok()?.json().ok()?;
            (order["status"] == "confirmed").then_some(())
        };
        eventually("the samples' order is confirmed", Duration::from_secs(60), ended).await;
    });
}
