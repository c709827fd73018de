//! A view of doors: how often each was opened.

use eda::Failure;
use eda::event_store::{Fold, StoredEvent};
use eda::failure::Kind;
use eda::snapshot::Snapshotted;
use eda::view::{Projector, View, place};

use super::event_store::{DoorHead, append, events_table, start};
use super::*;

/// How often a door was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Openings {
    pub(crate) door_id: String,
    pub(crate) version: u64,
    pub(crate) times: u64,
}

impl Fold for Openings {
    fn version(&self) -> u64 {
        self.version
    }

    fn fold(state: Option<Self>, events: &[StoredEvent]) -> Result<Option<Self>, Failure> {
        events.iter().try_fold(state, |state, event| match event.event_type.as_str() {
            "Opened" => {
                let times = state.map_or(0, |state| state.times) + 1;
                Ok(Some(Self { door_id: event.aggregate_id.clone(), version: event.version, times }))
            }
            other => Err(Failure::permanent(format!("a door has no event {other}"))),
        })
    }
}

impl Snapshotted for Openings {
    const SCHEMA: u32 = 2;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DoorView {
    pub(crate) view_id: String,
    pub(crate) door_id: String,
    pub(crate) generation: u64,
    pub(crate) checkpoint: u64,
    /// `None` in the form of earlier days.
    pub(crate) times: Option<u64>,
}

impl Row for DoorView {
    const NAME: &'static str = "door's view";
    const PARTITION_KEY: &'static str = "viewId";
}

impl View for DoorView {
    type State = Openings;

    fn id(door: &str, generation: u64) -> String {
        format!("{door}#{}", place(generation))
    }

    fn of(state: &Openings, generation: u64) -> Result<Self, Failure> {
        Ok(Self {
            view_id: Self::id(&state.door_id, generation),
            door_id: state.door_id.clone(),
            generation,
            checkpoint: state.version,
            times: Some(state.times),
        })
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    fn state(&self) -> Option<Openings> {
        Some(Openings { door_id: self.door_id.clone(), version: self.checkpoint, times: self.times? })
    }
}

pub(crate) fn views_table() -> Table<DoorView> {
    Table::named("ViewsTable")
}

/// Generation, checkpoint and openings of the row in a generation's place.
pub(crate) fn row(cloud: &TestCloud, id: &str, generation: u64) -> Option<(u64, u64, Option<u64>)> {
    let row = cloud.get("ViewsTable", DoorView::key(id, generation))?;
    Some((row.generation, row.checkpoint, row.times))
}

/// An event that nobody can read.
pub(crate) async fn unreadable(cloud: &TestCloud, id: &str, version: u64) {
    append(cloud, id, version - 1, 1).await;
    cloud.put(
        "EventsTable",
        &StoredEvent {
            aggregate_id: id.into(),
            version,
            event_type: "Vanished".into(),
            event_id: "e".into(),
            detail: "{}".into(),
        },
    );
}

async fn project(cloud: &TestCloud, version: u64, generations: &[u64]) -> Result<u64, Failure> {
    let projector: Projector<DoorView, DoorHead> =
        Projector::new(cloud.aws().dynamodb(), events_table(), views_table());
    cloud.take_calls();
    projector.project("d", version, generations).await
}

#[tokio::test]
async fn a_row_is_brought_up_to_date_for_three_calls_and_left_alone_for_one() {
    let cloud = cloud();
    start(&cloud, "d").await;
    append(&cloud, "d", 1, 4).await;
    assert_eq!(project(&cloud, 1, &[1]).await.unwrap(), 1);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"]);
    assert_eq!(row(&cloud, "d", 1), Some((1, 5, Some(5))));
    assert_eq!(project(&cloud, 5, &[1]).await.unwrap(), 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
}

#[tokio::test]
async fn generations_side_by_side_do_not_touch_each_other() {
    let cloud = cloud();
    start(&cloud, "d").await;
    project(&cloud, 1, &[1]).await.unwrap();
    append(&cloud, "d", 1, 1).await;
    project(&cloud, 2, &[2]).await.unwrap();
    assert_eq!((row(&cloud, "d", 1), row(&cloud, "d", 2)), (Some((1, 1, Some(1))), Some((2, 2, Some(2)))));
}

#[tokio::test]
async fn rows_of_several_generations_move_together_and_hold_the_same() {
    let cloud = cloud();
    start(&cloud, "d").await;
    append(&cloud, "d", 1, 1).await;
    project(&cloud, 1, &[1]).await.unwrap();
    append(&cloud, "d", 2, 1).await;
    assert_eq!(
        project(&cloud, 2, &[2, 1]).await.unwrap(),
        2,
        "what is current comes along with what is behind"
    );
    let get = "dynamodb:GetItem";
    assert_eq!(cloud.take_call_names(), [get, get, "dynamodb:Query", "dynamodb:TransactWriteItems"]);
    assert_eq!((row(&cloud, "d", 1), row(&cloud, "d", 2)), (Some((1, 3, Some(3))), Some((2, 3, Some(3)))));
    assert_eq!(project(&cloud, 3, &[2, 1]).await.unwrap(), 0);
    assert_eq!(cloud.take_call_names(), [get, get]);
}

#[tokio::test]
async fn a_generation_takes_the_place_of_the_one_before_the_last_and_never_gives_it_back() {
    let cloud = cloud();
    start(&cloud, "d").await;
    project(&cloud, 1, &[1]).await.unwrap();
    append(&cloud, "d", 1, 1).await;
    assert_eq!(project(&cloud, 1, &[3]).await.unwrap(), 1, "another generation's row counts as none");
    assert_eq!(row(&cloud, "d", 3), Some((3, 2, Some(2))));
    append(&cloud, "d", 2, 1).await;
    assert_eq!(project(&cloud, 3, &[1]).await.unwrap(), 0, "the generation has given way");
    assert_eq!(row(&cloud, "d", 1), Some((3, 2, Some(2))));
}

#[tokio::test]
async fn an_event_that_is_missing_is_read_when_it_is_there() {
    let cloud = cloud();
    start(&cloud, "d").await;
    append(&cloud, "d", 1, 2).await;
    let [one, two] = [2, 3].map(|version| {
        let all: Vec<StoredEvent> = cloud.rows("EventsTable");
        all.into_iter().find(|event| event.version == version).unwrap()
    });
    let elsewhere = self::cloud();
    start(&elsewhere, "d").await;
    elsewhere.put("EventsTable", &two);
    assert_eq!(project(&elsewhere, 3, &[1]).await.unwrap_err().kind(), Kind::Transient);
    assert_eq!(row(&elsewhere, "d", 1), None);
    elsewhere.put("EventsTable", &one);
    assert_eq!(project(&elsewhere, 3, &[1]).await.unwrap(), 1);
    assert_eq!(row(&elsewhere, "d", 1), Some((1, 3, Some(3))));
}
