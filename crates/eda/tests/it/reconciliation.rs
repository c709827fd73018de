use std::time::Duration;

use eda::batch::Deadline;
use eda::failure::Kind;
use eda::testing::Fault;
use eda::view::{Current, Generations, Reconciled, Reconciliation, View, WRITERS_LAG};
use serde_json::json;

use super::event_store::{DoorHead, append, events_table, start};
use super::view::{DoorView, row, unreadable, views_table};
use super::*;

/// More pages than there are.
const ALL: u32 = 1_000;

fn reconciliation(cloud: &TestCloud) -> Reconciliation<DoorView, DoorHead> {
    let dynamodb = cloud.aws().dynamodb();
    let projections: Table<Generations> = Table::named("ProjectionsTable");
    let places = projections.holding();
    let current = Current::new(dynamodb.clone(), projections, "doors", cloud.ambient(), WRITERS_LAG);
    Reconciliation::new(dynamodb, events_table(), views_table(), places, current)
}

async fn reconcile(cloud: &TestCloud, pages: u32) -> Result<Reconciled, eda::Failure> {
    cloud.take_calls();
    reconciliation(cloud).run(pages, cloud.deadline()).await
}

/// So many doors, each opened as often as its number says.
async fn doors(count: usize) -> TestCloud {
    let cloud = cloud();
    for index in 1..=count {
        start(&cloud, &format!("d{index}")).await;
        append(&cloud, &format!("d{index}"), 1, index - 1).await;
    }
    cloud
}

#[tokio::test]
async fn views_that_are_missing_or_behind_are_repaired_and_the_others_left_alone() {
    let cloud = doors(3).await;
    let all = Reconciled { checked: 3, repaired: 3, unreadable: 0, complete: true };
    assert_eq!(reconcile(&cloud, ALL).await.unwrap(), all);
    append(&cloud, "d2", 2, 1).await;
    let report = reconcile(&cloud, ALL).await.unwrap();
    assert_eq!((report.checked, report.repaired), (3, 1));
    assert_eq!(row(&cloud, "d2", 1), Some((1, 3, Some(3))));
}

#[tokio::test]
async fn where_nothing_is_behind_nothing_is_written() {
    let cloud = doors(3).await;
    reconcile(&cloud, ALL).await.unwrap();
    assert_eq!(reconcile(&cloud, ALL).await.unwrap().repaired, 0);
    let calls = cloud.take_call_names();
    assert!(!calls.iter().any(|call| call.contains("Put") || call.contains("Query")), "{calls:?}");
    assert_eq!(calls.len(), 4, "the place, a page, the generations, and its rows together: {calls:?}");
}

#[tokio::test]
async fn a_run_is_bounded_and_the_next_goes_on_until_all_have_come_up() {
    let cloud = doors(25).await;
    let (mut checked, mut runs) = (0, 0);
    loop {
        let report = reconcile(&cloud, 1).await.unwrap();
        checked += report.checked;
        runs += 1;
        if report.complete {
            break;
        }
    }
    assert_eq!((checked, runs), (25, 4), "350 items, a hundred a page");
    for index in 1..=25 {
        assert_eq!(row(&cloud, &format!("d{index}"), 1).unwrap().1, index);
    }
    // It begins anew.
    append(&cloud, "d1", 1, 1).await;
    let mut repaired = 0;
    for _ in 0..4 {
        repaired += reconcile(&cloud, 1).await.unwrap().repaired;
    }
    assert_eq!(repaired, 1);
}

#[tokio::test]
async fn what_nobody_can_read_is_passed_over() {
    let cloud = doors(3).await;
    unreadable(&cloud, "d2", 3).await;
    let report = reconcile(&cloud, ALL).await.unwrap();
    assert_eq!((report.repaired, report.unreadable, report.complete), (2, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_is_done_again_from_where_it_began() {
    let cloud = doors(3).await;
    for _ in 0..12 {
        cloud.inject("dynamodb:PutItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(reconcile(&cloud, ALL).await.unwrap_err().kind(), Kind::Transient);
    for _ in 0..12 {
        if reconcile(&cloud, ALL).await.is_ok() {
            break;
        }
    }
    for index in 1..=3 {
        assert_eq!(row(&cloud, &format!("d{index}"), 1).unwrap().1, index);
    }
}

#[tokio::test]
async fn all_generations_that_are_kept_are_repaired() {
    let cloud = doors(2).await;
    let building = Generations::first("doors").started(cloud.ambient().now(), 100, 3).unwrap();
    cloud.put("ProjectionsTable", &building);
    assert_eq!(reconcile(&cloud, ALL).await.unwrap().repaired, 4);
    assert_eq!((row(&cloud, "d2", 1).unwrap().0, row(&cloud, "d2", 2).unwrap().0), (1, 2));
}

#[tokio::test]
async fn nothing_is_begun_after_the_deadline() {
    let cloud = doors(1).await;
    let report = reconciliation(&cloud).run(ALL, Deadline::after(Duration::ZERO)).await.unwrap();
    assert_eq!(report, Reconciled::default());
    assert!(cloud.get("ViewsTable", DoorView::key("d1", 1)).is_none());
}
