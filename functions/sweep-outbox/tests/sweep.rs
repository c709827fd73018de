//! The sweeper against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::outbox::{MIN_AGE, OutboxRow, Swept};
use eda::serve::{Task, Tick};
use eda::testing::{Fault, TestCloud};
use serde_json::json;
use sweep_outbox::SweepOutbox;

fn outbox(cloud: &TestCloud, keys: std::ops::Range<u32>) {
    for key in keys {
        let row = OutboxRow {
            ordering_key: format!("o{key}"),
            event_id: key.to_string(),
            source: "orders".into(),
            detail_type: "OrderPlaced".into(),
            detail: "{}".into(),
            created_at: cloud.ambient().now().as_millisecond(),
            group: None,
            counted: false,
            trace: None,
        };
        cloud.put("OutboxTable", &row);
    }
}

async fn sweep(cloud: &TestCloud) -> Swept {
    cloud.start::<SweepOutbox>().await.run(Tick, cloud.deadline()).await.unwrap()
}

#[tokio::test]
async fn rows_older_than_a_minute_are_published_and_deleted() {
    let cloud = TestCloud::of("sweep-outbox");
    outbox(&cloud, 0..12);
    cloud.advance(MIN_AGE);
    let swept = sweep(&cloud).await;
    assert_eq!((swept.rows.published, swept.rows.left, swept.oldest_ms), (12, 0, 60_000));
    assert_eq!(
        cloud.take_call_names(),
        ["dynamodb:Scan", "events:PutEvents", "events:PutEvents", "dynamodb:BatchWriteItem"]
    );
    assert!(cloud.rows::<OutboxRow>("OutboxTable").is_empty());
}

#[tokio::test]
async fn younger_rows_are_the_relays() {
    let cloud = TestCloud::of("sweep-outbox");
    outbox(&cloud, 0..1);
    cloud.advance(MIN_AGE - Duration::from_millis(1));
    assert_eq!(sweep(&cloud).await, Swept::default());
    assert_eq!(cloud.take_call_names(), ["dynamodb:Scan"]);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_the_bus_refuses_for_good_stays_and_is_counted() {
    let cloud = TestCloud::of("sweep-outbox");
    outbox(&cloud, 0..1);
    cloud.advance(MIN_AGE);
    let refused = json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": "MalformedDetail" }] });
    cloud.inject("events:PutEvents", Fault::Answered(refused));
    let swept = sweep(&cloud).await;
    assert_eq!((swept.rows.published, swept.rows.left), (0, 1));
    assert_eq!(cloud.rows::<OutboxRow>("OutboxTable").len(), 1);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_fails_the_run() {
    let cloud = TestCloud::of("sweep-outbox");
    cloud.inject("dynamodb:Scan", Fault::Refused(400, "ResourceNotFoundException", json!({})));
    assert!(cloud.start::<SweepOutbox>().await.run(Tick, cloud.deadline()).await.is_err());
}
