use eda::join::{Arrival, JoinRow, Joined, Parts};
use eda::row::Table;
use eda::telemetry::{Refusals, take_refusals};

use super::*;

/// Where the clock of a new cloud stands.
const START: i64 = 1_768_473_000;
const PARTS: Parts = Parts::new(&["hinge", "handle", "lock"]);

fn joins() -> Table<JoinRow> {
    Table::named("JoinsTable")
}

async fn arrive(cloud: &TestCloud, part: &'static str) -> Joined {
    let deadline = START + 60;
    let arrival = Arrival { join_id: "d", part, event_id: part, usually_last: part == "lock", deadline };
    PARTS.arrive(&spine(cloud), &joins(), arrival, &event(cloud, &opened("d")), 1).await.unwrap()
}

#[tokio::test]
async fn in_the_usual_order_each_arrival_costs_one_call() {
    let cloud = cloud();
    assert_eq!(arrive(&cloud, "hinge").await, Joined::Waiting);
    assert_eq!(arrive(&cloud, "handle").await, Joined::Waiting);
    assert_eq!(arrive(&cloud, "lock").await, Joined::Completed);
    assert_eq!(
        cloud.take_call_names(),
        ["dynamodb:UpdateItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems"]
    );
}

#[tokio::test]
async fn in_every_order_and_with_duplicates_it_completes_exactly_once() {
    let parts = ["hinge", "handle", "lock"];
    for first in 0..3 {
        for second in (0..3).filter(|second| *second != first) {
            let third = 3 - first - second;
            let cloud = cloud();
            for index in [first, first, second, first, second, third, third, second, first] {
                arrive(&cloud, parts[index]).await;
            }
            assert_eq!(cloud.announced().len(), 1, "{first} {second} {third}");
        }
    }
}

#[tokio::test]
async fn a_wrong_guess_costs_one_call_more() {
    let cloud = cloud();
    arrive(&cloud, "lock").await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems", "dynamodb:UpdateItem"]);
    arrive(&cloud, "hinge").await;
    cloud.take_calls();
    assert_eq!(arrive(&cloud, "handle").await, Joined::Completed);
    assert_eq!(cloud.take_call_names(), ["dynamodb:UpdateItem", "dynamodb:TransactWriteItems"]);
}

#[tokio::test]
async fn parts_that_arrive_at_once_complete_it_exactly_once() {
    let cloud = cloud();
    let joined = tokio::join!(arrive(&cloud, "hinge"), arrive(&cloud, "handle"), arrive(&cloud, "lock"));
    let joined = [joined.0, joined.1, joined.2];
    assert_eq!(joined.iter().filter(|joined| **joined == Joined::Completed).count(), 1);
    assert_eq!(cloud.announced().len(), 1);
}

/// Ends it if it is overdue; what it lacks is announced as the door's id.
async fn time_out(cloud: &TestCloud) -> Option<Vec<&'static str>> {
    let say = |missing: &[&'static str]| Ok(event(cloud, &Closed { door_id: missing.join(" ") }));
    PARTS.time_out(&spine(cloud), &joins(), "d", say).await.unwrap()
}

fn past_the_deadline(cloud: &TestCloud) {
    cloud.advance(std::time::Duration::from_secs(60));
}

fn join(cloud: &TestCloud) -> JoinRow {
    cloud.get("JoinsTable", Key::of("d")).unwrap()
}

#[tokio::test]
async fn a_wrong_guess_is_counted_as_that_and_only_what_had_arrived_before_as_a_duplicate() {
    let cloud = cloud();
    arrive(&cloud, "lock").await;
    arrive(&cloud, "hinge").await;
    let guessed = Refusals { duplicates: 0, wrong_guesses: 1 };
    assert_eq!(take_refusals(), guessed, "the lock was taken for the last");
    for part in ["lock", "hinge"] {
        arrive(&cloud, part).await;
    }
    assert_eq!(take_refusals(), Refusals { duplicates: 2, wrong_guesses: 0 });
}

#[tokio::test]
async fn the_first_part_sets_the_deadline_and_no_other_moves_it() {
    let cloud = cloud();
    arrive(&cloud, "hinge").await;
    let late =
        Arrival { join_id: "d", part: "handle", event_id: "e", usually_last: false, deadline: START + 600 };
    PARTS.arrive(&spine(&cloud), &joins(), late, &event(&cloud, &opened("d")), 1).await.unwrap();
    assert_eq!(join(&cloud).deadline, Some(START + 60));
}

#[tokio::test]
async fn a_join_that_is_overdue_ends_once_and_says_what_it_lacks() {
    let cloud = cloud();
    arrive(&cloud, "handle").await;
    assert_eq!(time_out(&cloud).await, None, "it is not due yet");
    past_the_deadline(&cloud);
    assert_eq!(time_out(&cloud).await, Some(vec!["hinge", "lock"]));
    assert_eq!(time_out(&cloud).await, None, "it has ended");
    assert_eq!(cloud.announced_names(), ["Closed"]);
    assert_eq!(cloud.announced()[0].1["doorId"], "hinge lock");
    assert!(join(&cloud).timed_out_at.is_some());
}

#[tokio::test]
async fn what_is_complete_or_has_not_begun_never_times_out() {
    let cloud = cloud();
    past_the_deadline(&cloud);
    assert_eq!(time_out(&cloud).await, None);
    for part in ["hinge", "handle", "lock"] {
        arrive(&cloud, part).await;
    }
    assert_eq!(time_out(&cloud).await, None);
    assert_eq!(cloud.announced_names(), ["Opened"]);
}

#[tokio::test]
async fn what_comes_after_the_time_out_is_recorded_and_completes_nothing() {
    let cloud = cloud();
    arrive(&cloud, "hinge").await;
    past_the_deadline(&cloud);
    time_out(&cloud).await;
    assert_eq!(arrive(&cloud, "handle").await, Joined::TooLate);
    assert_eq!(arrive(&cloud, "lock").await, Joined::TooLate);
    assert_eq!(arrive(&cloud, "lock").await, Joined::Duplicate);
    assert_eq!(cloud.announced_names(), ["Closed"]);
    assert_eq!((join(&cloud).parts.len(), join(&cloud).completed_at), (3, None));
}

/// Lets the last part and the time-out race, the part first delayed by so many turns of the scheduler.
async fn race(turns: usize) -> (TestCloud, Joined, Option<Vec<&'static str>>) {
    let cloud = cloud();
    arrive(&cloud, "hinge").await;
    arrive(&cloud, "handle").await;
    past_the_deadline(&cloud);
    let last = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        arrive(&cloud, "lock").await
    };
    let (joined, missing) = tokio::join!(last, time_out(&cloud));
    (cloud.clone(), joined, missing)
}

#[tokio::test]
async fn its_last_part_and_its_time_out_at_once_end_it_once() {
    let mut won = [0, 0];
    for turns in 0..40 {
        let (cloud, joined, missing) = race(turns).await;
        let row = join(&cloud);
        assert_ne!(row.completed_at.is_some(), row.timed_out_at.is_some(), "{row:?}");
        match missing {
            None => {
                assert_eq!((joined, cloud.announced_names()), (Joined::Completed, vec!["Opened".to_owned()]));
                won[0] += 1;
            }
            Some(missing) => {
                assert_eq!((joined, missing), (Joined::TooLate, vec!["lock"]));
                assert_eq!(cloud.announced_names(), ["Closed"]);
                won[1] += 1;
            }
        }
    }
    assert!(won[0] > 0 && won[1] > 0, "both are to win now and then: {won:?}");
}

#[tokio::test]
async fn a_part_that_comes_between_the_look_and_the_time_out_is_not_said_to_be_missing() {
    let cloud = cloud();
    arrive(&cloud, "hinge").await;
    past_the_deadline(&cloud);
    let seen = ["handle", "lock"];
    arrive(&cloud, "handle").await;
    let now = cloud.ambient().now();
    let stale = PARTS.timed_out(joins().update(Key::of("d")), &seen, now);
    let written = spine(&cloud).write(stale).await.unwrap();
    assert!(matches!(written, eda::transition::Written::Refused(Some(_))));
    assert_eq!(time_out(&cloud).await, Some(vec!["lock"]));
}
