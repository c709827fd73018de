use std::time::Duration;

use eda::idempotency::{Begun, Fenced, Idempotency, Token};
use eda::row::Table;

use super::*;

const LEASE: Duration = Duration::from_secs(60);

fn records(cloud: &TestCloud) -> Idempotency {
    Idempotency::new(cloud.aws().dynamodb(), Table::named("RecordsTable"), cloud.ambient(), LEASE, 1)
}

async fn acquire(records: &Idempotency) -> Token {
    match records.begin("letter").await.unwrap() {
        Begun::Acquired(token) => token,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn work_is_granted_once_and_its_result_is_kept() {
    let cloud = cloud();
    let records = records(&cloud);
    let token = acquire(&records).await;
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Held);
    assert_eq!(records.complete(&token, Some("sent")).await.unwrap(), Fenced::Kept);
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Completed(Some("sent".into())));
}

#[tokio::test]
async fn an_abandoned_lease_passes_on_and_its_zombie_can_neither_complete_nor_release() {
    let cloud = cloud();
    let records = records(&cloud);
    let zombie = acquire(&records).await;
    cloud.advance(LEASE);
    let successor = acquire(&records).await;
    assert_eq!(records.complete(&zombie, None).await.unwrap(), Fenced::Lost);
    assert_eq!(records.release(&zombie).await.unwrap(), Fenced::Lost);
    assert_eq!(records.sending(&zombie).await.unwrap(), Fenced::Lost);
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Held);
    assert_eq!(records.complete(&successor, None).await.unwrap(), Fenced::Kept);
}

#[tokio::test]
async fn released_work_is_granted_again_at_once() {
    let cloud = cloud();
    let records = records(&cloud);
    let token = acquire(&records).await;
    assert_eq!(records.release(&token).await.unwrap(), Fenced::Kept);
    acquire(&records).await;
}

#[tokio::test]
async fn what_was_being_sent_when_its_worker_vanished_is_never_granted_again() {
    let cloud = cloud();
    let records = records(&cloud);
    let token = acquire(&records).await;
    assert_eq!(records.sending(&token).await.unwrap(), Fenced::Kept);
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Held);
    cloud.advance(LEASE);
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Unknown);
}

#[tokio::test]
async fn completed_work_stays_completed() {
    let cloud = cloud();
    let records = records(&cloud);
    let token = acquire(&records).await;
    records.complete(&token, None).await.unwrap();
    assert_eq!(records.release(&token).await.unwrap(), Fenced::Lost);
    cloud.advance(LEASE);
    assert_eq!(records.begin("letter").await.unwrap(), Begun::Completed(None));
}
