use eda::failure::Kind;
use eda::snapshot::{Snapshot, Snapshots};
use eda::testing::Fault;
use serde_json::json;

use super::event_store::{DoorHead, append, events_table, start};
use super::view::{Openings, unreadable};
use super::*;

fn snapshots(cloud: &TestCloud) -> Snapshots<DoorHead> {
    Snapshots::new(cloud.aws().dynamodb(), events_table(), Table::named("SnapshotsTable"))
}

async fn load(cloud: &TestCloud) -> Option<u64> {
    cloud.take_calls();
    let state: Option<Openings> = snapshots(cloud).load("d").await.unwrap();
    state.map(|state| {
        assert_eq!(state.times, state.version);
        state.version
    })
}

async fn take(cloud: &TestCloud, version: u64) {
    cloud.take_calls();
    snapshots(cloud).take::<Openings>("d", version).await.unwrap();
}

fn stored(cloud: &TestCloud) -> Option<Snapshot> {
    cloud.get("SnapshotsTable", Snapshot::key("d"))
}

/// A door with so many events.
async fn door(events: usize) -> TestCloud {
    let cloud = cloud();
    start(&cloud, "d").await;
    append(&cloud, "d", 1, events - 1).await;
    cloud
}

#[tokio::test]
async fn loading_goes_on_behind_the_snapshot() {
    let cloud = door(5).await;
    take(&cloud, 5).await;
    append(&cloud, "d", 5, 2).await;
    assert_eq!(load(&cloud).await, Some(7));
    let calls = cloud.take_calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["dynamodb:GetItem", "dynamodb:Query"]);
    assert_eq!(calls[1].body["ExpressionAttributeValues"][":after"], json!({ "N": "5" }));
}

#[tokio::test]
async fn a_snapshot_is_taken_from_the_one_before_for_three_calls() {
    let cloud = door(5).await;
    take(&cloud, 5).await;
    append(&cloud, "d", 5, 5).await;
    take(&cloud, 10).await;
    let calls = cloud.take_calls();
    assert_eq!(calls[1].body["ExpressionAttributeValues"][":after"], json!({ "N": "5" }));
    assert_eq!((calls.len(), stored(&cloud).unwrap().version), (3, 10));
}

#[tokio::test]
async fn a_snapshot_that_is_there_is_not_taken_again_nor_replaced_by_an_older_one() {
    let cloud = door(5).await;
    take(&cloud, 5).await;
    take(&cloud, 3).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    // Another snapshot was taken between our read and our write.
    append(&cloud, "d", 5, 1).await;
    let read = json!({ "Item": {
        "aggregateId": { "S": "d" }, "version": { "N": "1" }, "schema": { "N": "2" },
        "state": { "S": r#"{"door_id":"d","version":1,"times":1}"# },
    } });
    cloud.inject("dynamodb:GetItem", Fault::Answered(read));
    take(&cloud, 6).await;
    assert_eq!(stored(&cloud).unwrap().version, 5);
}

#[tokio::test]
async fn deleting_all_snapshots_changes_no_result() {
    let with = door(7).await;
    take(&with, 7).await;
    let without = door(7).await;
    assert_eq!((load(&with).await, load(&without).await), (Some(7), Some(7)));
    assert_eq!(load(&cloud()).await, None);
}

#[tokio::test]
async fn a_snapshot_of_another_form_is_passed_by_and_replaced() {
    let cloud = door(5).await;
    for (schema, state) in [
        // An earlier release counted otherwise, in the very same fields.
        (1, r#"{"door_id":"d","version":5,"times":500}"#),
        (3, r#"{"door_id":"d","version":5,"times":"five"}"#),
        (2, r#"{"door_id":"d","version":5}"#),
        (2, "no JSON"),
        // It says another version than its row.
        (2, r#"{"door_id":"d","version":4,"times":4}"#),
    ] {
        let old = Snapshot { aggregate_id: "d".into(), version: 5, schema, state: state.into() };
        cloud.put("SnapshotsTable", &old);
        assert_eq!(load(&cloud).await, Some(5), "{state}");
        if schema != 2 {
            take(&cloud, 5).await;
            assert_eq!(
                stored(&cloud).unwrap().state::<Openings>(),
                Some(Openings { door_id: "d".into(), version: 5, times: 5 })
            );
        }
    }
}

#[tokio::test]
async fn no_snapshot_is_taken_of_what_nobody_can_read() {
    let cloud = door(2).await;
    unreadable(&cloud, "d", 3).await;
    let failure = snapshots(&cloud).take::<Openings>("d", 3).await.unwrap_err();
    assert_eq!((failure.kind(), stored(&cloud)), (Kind::Permanent, None));
}
