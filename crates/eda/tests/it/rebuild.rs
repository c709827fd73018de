use std::time::Duration;

use eda::batch::Deadline;
use eda::failure::Kind;
use eda::testing::Fault;
use eda::view::{
    BuildState, Current, Generations, Projector, READERS_LAG, Rebuild, Refused, Settings, WRITERS_LAG,
};
use serde_json::json;

use super::event_store::{DoorHead, append, events_table, start};
use super::view::{DoorView, row, unreadable, views_table};
use super::*;

/// How long an invocation of the projection may take.
const TIMEOUT: Duration = Duration::from_secs(30);

fn rebuild(cloud: &TestCloud) -> Rebuild<DoorView, DoorHead> {
    let settings = Settings {
        view: "doors",
        function: "rebuild-doors-view",
        event_store: events_table(),
        views: views_table(),
        generations: Table::named("ProjectionsTable"),
        projection_timeout: TIMEOUT,
    };
    Rebuild::new(cloud.aws().dynamodb(), cloud.ambient(), settings)
}

/// So many doors, opened once, with a current view.
async fn doors(count: usize) -> TestCloud {
    let cloud = cloud();
    for index in 0..count {
        start(&cloud, &format!("d{index}")).await;
        ring(&cloud, &format!("d{index}"), 1).await;
    }
    cloud
}

/// What the projection does when a doorbell rings.
async fn ring(cloud: &TestCloud, id: &str, version: u64) {
    let dynamodb = cloud.aws().dynamodb();
    let projector: Projector<DoorView, DoorHead> =
        Projector::new(dynamodb.clone(), events_table(), views_table());
    let table = Table::named("ProjectionsTable");
    let current = Current::new(dynamodb, table, "doors", cloud.ambient(), WRITERS_LAG);
    let generations = current.get().await.unwrap().maintained();
    projector.project(id, version, &generations).await.unwrap();
}

/// A build of these doors, begun long enough ago that its walk may begin.
async fn begun(doors: usize, rate: u32) -> TestCloud {
    let cloud = self::doors(doors).await;
    rebuild(&cloud).start(rate).await.unwrap().unwrap();
    cloud.advance(TIMEOUT + Duration::from_secs(6));
    cloud
}

async fn run(cloud: &TestCloud) -> Generations {
    rebuild(cloud).run(cloud.deadline()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_next_generation_is_built_beside_the_live_one_and_then_seen() {
    let cloud = begun(40, 100).await;
    let started = rebuild(&cloud).status().await.unwrap();
    assert_eq!((started.live, started.building().unwrap().total), (1, 80));
    let done = run(&cloud).await;
    let build = done.build.clone().unwrap();
    assert_eq!((done.live, done.previous, build.state), (2, Some(1), BuildState::Switched));
    assert_eq!((build.walked, build.projected, build.unreadable), (80, 40, 0));
    for index in 0..40 {
        assert_eq!(row(&cloud, &format!("d{index}"), 1), Some((1, 1, Some(1))));
        assert_eq!(row(&cloud, &format!("d{index}"), 2), Some((2, 1, Some(1))));
    }
}

#[tokio::test]
async fn nothing_is_walked_over_before_every_projection_knows_of_the_build() {
    let cloud = doors(2).await;
    rebuild(&cloud).start(100).await.unwrap().unwrap();
    cloud.advance(TIMEOUT + Duration::from_secs(5));
    assert_eq!(run(&cloud).await.building().unwrap().walked, 0);
    assert_eq!(row(&cloud, "d0", 2), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_meanwhile_is_in_both_generations() {
    let cloud = begun(2, 100).await;
    start(&cloud, "new").await;
    ring(&cloud, "new", 1).await;
    append(&cloud, "d1", 1, 1).await;
    run(&cloud).await;
    append(&cloud, "d0", 1, 1).await;
    for id in ["d0", "d1"] {
        ring(&cloud, id, 2).await;
    }
    for (id, times) in [("d0", 2), ("d1", 2), ("new", 1)] {
        assert_eq!(row(&cloud, id, 1), Some((1, times, Some(times))), "{id}");
        assert_eq!(row(&cloud, id, 2), Some((2, times, Some(times))), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_goes_on_where_a_killed_run_left_it() {
    let cloud = begun(120, 10).await;
    let mut kills = 0;
    // Dropped a second after its stretch, while it keeps to its rate.
    while tokio::time::timeout(Duration::from_secs(1), run(&cloud)).await.is_err() {
        kills += 1;
    }
    assert_eq!((kills, rebuild(&cloud).status().await.unwrap().live), (2, 2));
    for index in 0..120 {
        assert_eq!(row(&cloud, &format!("d{index}"), 2), Some((2, 1, Some(1))), "d{index}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_is_no_faster_than_its_rate_and_stops_at_the_deadline() {
    let cloud = begun(100, 10).await;
    let begun = tokio::time::Instant::now();
    let first = rebuild(&cloud).run(Deadline::after(Duration::from_secs(3))).await.unwrap();
    let projected = first.building().unwrap().projected;
    assert!(projected < 100 && begun.elapsed() < Duration::from_secs(4), "{projected}");
    let begun = tokio::time::Instant::now();
    let far = Deadline::after(Duration::from_secs(600));
    assert_eq!(rebuild(&cloud).run(far).await.unwrap().live, 2);
    let fewest = Duration::from_secs((100 - projected) / 10).saturating_sub(Duration::from_secs(5));
    assert!(begun.elapsed() >= fewest, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_cancelled_leaves_readers_where_they_are() {
    let cloud = begun(2, 100).await;
    let cancelled = rebuild(&cloud).cancel().await.unwrap().unwrap();
    assert_eq!((cancelled.live, cancelled.maintained()), (1, vec![1]));
    assert_eq!(run(&cloud).await.build.unwrap().state, BuildState::Cancelled);
    assert_eq!(rebuild(&cloud).cancel().await.unwrap(), Err(Refused::NotBuilding));
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_cancelled_while_it_runs_does_not_go_live() {
    let cloud = begun(120, 10).await;
    let (running, cancelling) = (rebuild(&cloud), rebuild(&cloud));
    let (ran, cancelled) = tokio::join!(running.run(cloud.deadline()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancelling.cancel().await
    });
    assert!(cancelled.unwrap().is_ok());
    let ended = ran.unwrap();
    assert_eq!((ended.live, ended.build.unwrap().state), (1, BuildState::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn readers_go_back_to_a_generation_that_was_kept_up_to_date() {
    let cloud = begun(2, 100).await;
    run(&cloud).await;
    append(&cloud, "d0", 1, 1).await;
    ring(&cloud, "d0", 2).await;
    let back = rebuild(&cloud).roll_back().await.unwrap().unwrap();
    assert_eq!(back.live, 1);
    assert_eq!(row(&cloud, "d0", 1), Some((1, 2, Some(2))));
}

#[tokio::test(start_paused = true)]
async fn what_readers_are_sent_back_to_is_no_older_than_what_they_saw_though_a_doorbell_is_late() {
    let cloud = begun(2, 100).await;
    append(&cloud, "d0", 1, 1).await;
    run(&cloud).await;
    for generation in [1, 2] {
        assert_eq!(row(&cloud, "d0", generation), Some((generation, 2, Some(2))), "nobody rang");
    }
}

#[tokio::test(start_paused = true)]
async fn the_generation_before_is_given_up_after_a_day_and_its_place_is_used_again() {
    let cloud = begun(2, 100).await;
    run(&cloud).await;
    assert_eq!(rebuild(&cloud).start(100).await.unwrap(), Err(Refused::TooSoon));
    cloud.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(run(&cloud).await.previous, None);
    assert_eq!(rebuild(&cloud).roll_back().await.unwrap(), Err(Refused::NoPrevious));
    let started = rebuild(&cloud).start(100).await.unwrap().unwrap();
    assert_eq!((started.live, started.building().unwrap().generation), (2, 3));
    cloud.advance(TIMEOUT + Duration::from_secs(6));
    assert_eq!(run(&cloud).await.live, 3);
    assert_eq!(row(&cloud, "d0", 3), Some((3, 1, Some(1))));
}

#[tokio::test(start_paused = true)]
async fn a_view_that_would_lack_an_aggregate_never_goes_live() {
    let cloud = begun(2, 100).await;
    unreadable(&cloud, "d1", 2).await;
    let ended = run(&cloud).await;
    assert_eq!((ended.live, ended.build.as_ref().unwrap().state), (1, BuildState::Incomplete));
    assert_eq!(ended.build.unwrap().unreadable, 1);
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_build_one_view() {
    let cloud = begun(120, 1_000).await;
    let (one, other) = tokio::join!(run(&cloud), run(&cloud));
    assert_eq!((one.live, other.live), (2, 2));
    let build = rebuild(&cloud).status().await.unwrap().build.unwrap();
    assert_eq!((build.walked, build.projected), (240, 120), "a stretch counts once");
}

#[tokio::test(start_paused = true)]
async fn a_stretch_that_fails_is_walked_over_again() {
    let cloud = begun(1, 100).await;
    for _ in 0..3 {
        cloud.inject("dynamodb:PutItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let failure = rebuild(&cloud).run(cloud.deadline()).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert_eq!(run(&cloud).await.live, 2);
}

#[tokio::test]
async fn who_reads_or_writes_a_view_learns_of_a_change_when_what_it_knows_is_too_old() {
    let cloud = cloud();
    let (dynamodb, table) = (cloud.aws().dynamodb(), Table::named("ProjectionsTable"));
    let current = Current::new(dynamodb, table, "doors", cloud.ambient(), READERS_LAG);
    assert_eq!(current.get().await.unwrap().live, 1);
    cloud.put("ProjectionsTable", &Generations { live: 2, ..Generations::first("doors") });
    cloud.advance(Duration::from_secs(59));
    cloud.take_calls();
    assert_eq!(current.get().await.unwrap().live, 1);
    assert!(cloud.take_calls().is_empty());
    cloud.advance(Duration::from_secs(1));
    assert_eq!(current.get().await.unwrap().live, 2);
    cloud.put("ProjectionsTable", &Generations { live: 3, ..Generations::first("doors") });
    assert_eq!(current.refreshed().await.unwrap().live, 3);
}
