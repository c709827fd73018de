use eda::event_store::{self, Head, StoredEvent, head_key};
use eda::failure::Kind;
use eda::row::Table;
use eda::transition::Outcome;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DoorHead {
    aggregate_id: String,
    #[serde(default)]
    current_version: u64,
    status: Standing,
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

fn events_table() -> Table<DoorHead> {
    Table::named("EventsTable")
}

async fn start(cloud: &TestCloud, id: &str) -> bool {
    let head = DoorHead { aggregate_id: id.into(), current_version: 0, status: Standing::Open };
    let started = event_store::start(&events_table(), id, &head, &[event(cloud, &opened(id))]).unwrap();
    matches!(spine(cloud).commit(started).await, Ok(Outcome::Applied))
}

async fn append(cloud: &TestCloud, id: &str, expected: u64, count: usize) -> Outcome<DoorHead> {
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

#[tokio::test]
async fn a_missing_version_is_seen() {
    let cloud = cloud();
    start(&cloud, "d").await;
    let stored = |version: u64| StoredEvent {
        aggregate_id: "d".into(),
        version,
        event_type: "Opened".into(),
        event_id: version.to_string(),
        detail: "{}".into(),
    };
    cloud.put("EventsTable", &stored(3));
    let failure = load(&cloud, "d", 0).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert_eq!(failure.to_string(), "version 2 is missing: found 3");
}
