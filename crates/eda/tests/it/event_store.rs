use eda::event_store::{
    self, Appendable, Head, Standing as At, StoredEvent, append_guessing, head_key, heads,
};
use eda::failure::Kind;
use eda::row::Table;
use eda::testing::Fault;
use eda::transition::Outcome;
use eda::write::{ConditionalWrite, Write};
use serde_json::json;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DoorHead {
    pub(crate) aggregate_id: String,
    #[serde(default)]
    pub(crate) current_version: u64,
    pub(crate) status: Standing,
}

impl Row for DoorHead {
    const NAME: &'static str = "door head";
    const PARTITION_KEY: &'static str = "aggregateId";
}

impl Head for DoorHead {
    fn current_version(&self) -> u64 {
        self.current_version
    }
}

pub(crate) fn events_table() -> Table<DoorHead> {
    Table::named("EventsTable")
}

pub(crate) async fn start(cloud: &TestCloud, id: &str) -> bool {
    let head = DoorHead { aggregate_id: id.into(), current_version: 0, status: Standing::Open };
    let started = event_store::start(&events_table(), id, &head, &[event(cloud, &opened(id))]).unwrap();
    matches!(spine(cloud).commit(started).await, Ok(Outcome::Applied))
}

pub(crate) async fn append(cloud: &TestCloud, id: &str, expected: u64, count: usize) -> Outcome<DoorHead> {
    let events: Vec<_> = (0..count).map(|_| event(cloud, &opened(id))).collect();
    let appended = event_store::append(&events_table(), id, expected, &events, |head| {
        head.standing(&[Some(Standing::Open)])
    });
    spine(cloud).commit(appended.unwrap()).await.unwrap()
}

async fn load(cloud: &TestCloud, id: &str, after: u64) -> Result<Vec<u64>, eda::Failure> {
    let events = event_store::load(&cloud.aws().dynamodb(), &events_table(), id, after).await?;
    Ok(events.iter().map(|event| event.version).collect())
}

#[tokio::test]
async fn an_aggregate_starts_once() {
    let cloud = cloud();
    assert!(start(&cloud, "d").await);
    assert!(!start(&cloud, "d").await);
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1]);
    let head: DoorHead = cloud.get("EventsTable", head_key("d")).unwrap();
    assert_eq!(head.current_version, 1);
}

#[tokio::test]
async fn several_events_are_appended_together_and_announced() {
    let cloud = cloud();
    start(&cloud, "d").await;
    assert!(matches!(append(&cloud, "d", 1, 3).await, Outcome::Applied));
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(load(&cloud, "d", 2).await.unwrap(), [3, 4]);
    assert_eq!(cloud.announced().len(), 4);
}

#[tokio::test]
async fn a_lost_race_is_told_by_the_head() {
    let cloud = cloud();
    start(&cloud, "d").await;
    append(&cloud, "d", 1, 1).await;
    match append(&cloud, "d", 1, 1).await {
        Outcome::Duplicate(Some(head)) => assert_eq!(head.current_version, 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn nothing_is_appended_to_what_never_started() {
    let cloud = cloud();
    assert!(matches!(append(&cloud, "d", 1, 1).await, Outcome::Duplicate(None)));
}

#[tokio::test]
async fn loading_follows_all_pages() {
    let cloud = cloud();
    start(&cloud, "d").await;
    for version in 2..=30 {
        let big = StoredEvent {
            aggregate_id: "d".into(),
            version,
            event_type: "Opened".into(),
            event_id: version.to_string(),
            detail: "x".repeat(100 * 1024),
        };
        cloud.put("EventsTable", &big);
    }
    cloud.take_calls();
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), (1..=30).collect::<Vec<_>>());
    assert!(cloud.take_calls().len() > 1, "a page holds one megabyte");
}

fn stored(version: u64) -> StoredEvent {
    StoredEvent {
        aggregate_id: "d".into(),
        version,
        event_type: "Opened".into(),
        event_id: version.to_string(),
        detail: "{}".into(),
    }
}

#[tokio::test]
async fn a_version_that_stays_missing_is_told_after_a_bounded_number_of_reads() {
    let cloud = cloud();
    start(&cloud, "d").await;
    cloud.put("EventsTable", &stored(3));
    cloud.take_calls();
    let failure = load(&cloud, "d", 0).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert_eq!(failure.to_string(), "version 2 is missing: found 3");
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"; 3]);
}

#[tokio::test]
async fn a_version_that_was_missing_is_read_again_and_loaded_when_it_is_there() {
    let cloud = cloud();
    start(&cloud, "d").await;
    cloud.put("EventsTable", &stored(2));
    cloud.put("EventsTable", &stored(3));
    let item = |version: u64| {
        json!({
            "aggregateId": { "S": "d" }, "version": { "N": version.to_string() }, "eventType": { "S": "Opened" },
            "eventId": { "S": "e" }, "detail": { "S": "{}" },
        })
    };
    // The third is seen before the second.
    let early = json!({ "Items": [item(1), item(3)], "Count": 2, "ScannedCount": 2 });
    cloud.inject("dynamodb:Query", Fault::Answered(early));
    cloud.take_calls();
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1, 2, 3]);
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"; 2]);
}

#[tokio::test]
async fn more_than_ten_thousand_events_are_loaded_in_order() {
    let cloud = cloud();
    start(&cloud, "d").await;
    for version in 2..=10_050 {
        let stored = StoredEvent {
            aggregate_id: "d".into(),
            version,
            event_type: "Opened".into(),
            event_id: version.to_string(),
            detail: "x".repeat(300),
        };
        cloud.put("EventsTable", &stored);
    }
    cloud.take_calls();
    assert!(load(&cloud, "d", 0).await.unwrap().into_iter().eq(1..=10_050));
    assert!(cloud.take_calls().len() > 3, "a page holds one megabyte");
}

#[tokio::test]
async fn several_events_are_appended_all_or_none() {
    let cloud = cloud();
    start(&cloud, "d").await;
    let (one, other) = tokio::join!(append(&cloud, "d", 1, 3), append(&cloud, "d", 1, 3));
    let applied = [&one, &other].iter().filter(|outcome| matches!(outcome, Outcome::Applied)).count();
    assert_eq!(applied, 1, "{one:?}, {other:?}");
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(cloud.announced().len(), 4);
}

#[tokio::test]
async fn more_events_than_a_transaction_holds_are_refused_before_any_is_written() {
    let cloud = cloud();
    start(&cloud, "d").await;
    let events: Vec<_> = (0..50).map(|_| event(&cloud, &opened("d"))).collect();
    let appended =
        event_store::append(&events_table(), "d", 1, &events, |head| head.standing(&[Some(Standing::Open)]));
    let failure = spine(&cloud).commit(appended.unwrap()).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Permanent);
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1]);
}

impl Appendable<DoorHead> for Closed {
    type Rejection = &'static str;
    const USUALLY_AT: u64 = 1;

    fn change(&self, head: Write<DoorHead>) -> ConditionalWrite<DoorHead> {
        head.standing(&[Some(Standing::Open)])
    }

    fn decide(&self, head: Option<&DoorHead>) -> Result<(), &'static str> {
        match head.map(|head| head.status) {
            Some(Standing::Open) => Ok(()),
            Some(Standing::Shut) => Err("it is shut"),
            None => Err("there is no such door"),
        }
    }
}

async fn close(cloud: &TestCloud, id: &str) -> Result<Result<(), &'static str>, eda::Failure> {
    let cause = Cause::root(SagaStyle::Choreographed, None);
    let closed = Closed { door_id: id.into() };
    let spine = spine(cloud);
    let emission = spine.event(&cause, &closed)?;
    append_guessing(&spine, &events_table(), &closed, &emission).await
}

#[tokio::test]
async fn an_append_guesses_its_version_and_decides_again_where_it_was_wrong() {
    let cloud = cloud();
    start(&cloud, "d").await;
    assert_eq!(close(&cloud, "d").await.unwrap(), Ok(()));
    append(&cloud, "d", 2, 3).await;
    cloud.take_calls();
    assert_eq!(close(&cloud, "d").await.unwrap(), Ok(()));
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"; 2]);
    assert_eq!(load(&cloud, "d", 0).await.unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(close(&cloud, "nowhere").await.unwrap(), Err("there is no such door"));
}

#[tokio::test]
async fn an_aggregate_that_keeps_moving_is_followed_for_a_bounded_time() {
    let cloud = cloud();
    start(&cloud, "d").await;
    for version in 10..20 {
        let head = json!({
            "aggregateId": { "S": "d" }, "version": { "N": "0" }, "currentVersion": { "N": version.to_string() },
            "status": { "S": "open" },
        });
        let reasons = json!([{ "Code": "ConditionalCheckFailed", "Item": head }, { "Code": "None" }, { "Code": "None" }]);
        let moved = json!({ "CancellationReasons": reasons });
        cloud.inject(
            "dynamodb:TransactWriteItems",
            Fault::Refused(400, "TransactionCanceledException", moved),
        );
    }
    cloud.take_calls();
    let failure = close(&cloud, "d").await.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.to_string().as_str()),
        (Kind::Transient, "the aggregate kept moving")
    );
    assert_eq!(cloud.take_calls().len(), 4);
}

#[tokio::test]
async fn a_walk_sees_each_aggregate_once_with_its_version_whatever_its_stretches() {
    let cloud = cloud();
    for index in 0..7 {
        let id = format!("d{index}");
        start(&cloud, &id).await;
        append(&cloud, &id, 1, index).await;
    }
    for limit in [1, 2, 5, 100] {
        let (mut seen, mut walked, mut position) = (Vec::new(), 0, None);
        loop {
            let dynamodb = cloud.aws().dynamodb();
            let page = heads(&dynamodb, &events_table(), position.as_deref(), limit, true).await.unwrap();
            seen.extend(page.heads);
            walked += page.walked;
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        seen.sort_by_key(|head| head.version);
        let expected = (0..7)
            .map(|index| At { aggregate_id: format!("d{index}"), version: index + 1 })
            .collect::<Vec<_>>();
        assert_eq!((seen, walked), (expected, 35), "{limit}");
    }
}
