use std::time::Duration;

use eda::breaker::{Breaker, BreakerConfig, Change, Circuit, CircuitState, Evidence, Permit};
use eda::testing::Fault;
use serde_json::json;

use super::*;

const LOCKSMITH: &str = "locksmith";
const REFRESH: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(30);

/// The circuit of the locksmith changed.
#[derive(Debug, Serialize, Deserialize)]
struct Changed {
    from: String,
    to: String,
}

impl Version for Changed {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

impl Contract for Changed {
    const SOURCE: &'static str = "doors";
    const DETAIL_TYPE: &'static str = "Changed";

    fn ordering_key(&self) -> &str {
        LOCKSMITH
    }
}

impl From<Change> for Changed {
    fn from(Change { from, to, .. }: Change) -> Self {
        Self { from: from.to_string(), to: to.to_string() }
    }
}

fn config() -> BreakerConfig {
    BreakerConfig {
        circuits: Table::named("CircuitsTable"),
        threshold: 5,
        percent: 50,
        minimum_calls: 20,
        window_seconds: 60,
        pause_seconds: 30,
        longest_pause_seconds: 300,
        lease_seconds: 30,
        refresh_seconds: 5,
    }
}

/// An environment that has just started.
async fn environment(cloud: &TestCloud) -> Breaker {
    let breaker = Breaker::open::<Changed>(&cloud.aws(), &spine(cloud), &config(), LOCKSMITH, "door").await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    breaker
}

async fn call(breaker: &Breaker, evidence: Evidence) {
    let permit = breaker.admit().await.unwrap();
    breaker.settle(permit, evidence).await;
}

async fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        call(breaker, Evidence::Failed).await;
    }
}

/// How long it is refused for.
async fn refused(breaker: &Breaker) -> Duration {
    breaker.admit().await.unwrap_err().retry_after().unwrap()
}

fn circuit(cloud: &TestCloud) -> Circuit {
    cloud.get("CircuitsTable", Key::of(LOCKSMITH)).unwrap()
}

fn changes(cloud: &TestCloud) -> Vec<String> {
    let announced = cloud.announced().into_iter();
    announced
        .map(|(_, detail)| format!("{} {}", detail["from"].as_str().unwrap(), detail["to"].as_str().unwrap()))
        .collect()
}

/// An environment whose circuit has just opened.
async fn opened(cloud: &TestCloud) -> Breaker {
    let breaker = environment(cloud).await;
    fail(&breaker, 5).await;
    cloud.take_calls();
    breaker
}

#[tokio::test]
async fn while_all_is_well_it_costs_one_read_per_refresh_and_no_write() {
    let cloud = cloud();
    let breaker = environment(&cloud).await;
    for _ in 0..3 {
        for _ in 0..10 {
            call(&breaker, Evidence::Answered).await;
        }
        cloud.advance(REFRESH);
    }
    let calls = cloud.take_calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["dynamodb:GetItem"; 2]);
    assert!(calls.iter().all(|call| call.body["ConsistentRead"] == json!(false)), "{calls:?}");
}

#[tokio::test]
async fn failures_in_a_row_open_it_for_everybody() {
    let cloud = cloud();
    let other = environment(&cloud).await;
    let breaker = environment(&cloud).await;
    fail(&breaker, 4).await;
    assert_eq!(circuit(&cloud).status, CircuitState::Closed);
    fail(&breaker, 1).await;
    assert_eq!(circuit(&cloud).status, CircuitState::Open);
    for breaker in [&breaker, &other] {
        cloud.advance(REFRESH);
        let wait = refused(breaker).await;
        assert!(wait >= PAUSE - 2 * REFRESH && wait <= PAUSE * 6 / 5, "{wait:?}");
    }
    assert_eq!(changes(&cloud), ["closed open"]);
}

#[tokio::test]
async fn environments_add_up_and_no_failure_is_lost_in_a_race() {
    let cloud = cloud();
    let environments = [environment(&cloud).await, environment(&cloud).await, environment(&cloud).await];
    for breaker in environments.iter().cycle().take(4) {
        fail(breaker, 1).await;
    }
    assert_eq!(circuit(&cloud).consecutive, 4);
    fail(&environments[1], 1).await;
    assert_eq!(circuit(&cloud).status, CircuitState::Open);
}

#[tokio::test]
async fn an_answer_in_between_begins_the_row_again_and_the_share_still_counts() {
    let cloud = cloud();
    let breaker = environment(&cloud).await;
    for _ in 0..9 {
        call(&breaker, Evidence::Answered).await;
        fail(&breaker, 1).await;
    }
    assert_eq!((circuit(&cloud).status, circuit(&cloud).consecutive), (CircuitState::Closed, 1));
    call(&breaker, Evidence::Answered).await;
    fail(&breaker, 1).await;
    assert_eq!(circuit(&cloud).status, CircuitState::Open, "10 of 20 failed");
}

#[tokio::test]
async fn the_window_slides_and_what_failed_long_ago_is_forgotten() {
    let cloud = cloud();
    let breaker = environment(&cloud).await;
    for _ in 0..12 {
        fail(&breaker, 1).await;
        cloud.advance(Duration::from_secs(61));
    }
    assert_eq!((circuit(&cloud).status, circuit(&cloud).consecutive), (CircuitState::Closed, 1));
    call(&breaker, Evidence::Answered).await;
    cloud.advance(REFRESH);
    call(&breaker, Evidence::Answered).await;
    assert!(!circuit(&cloud).is_troubled(), "told once that all is well");
    cloud.take_calls();
    cloud.advance(REFRESH);
    call(&breaker, Evidence::Answered).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
}

#[tokio::test]
async fn one_environment_probes_and_its_answer_closes_the_circuit() {
    let cloud = cloud();
    let breaker = opened(&cloud).await;
    let other = environment(&cloud).await;
    cloud.advance(PAUSE);
    let probe = breaker.admit().await.unwrap();
    assert!(matches!(probe, Permit::Probe { trips: 1, .. }), "{probe:?}");
    assert!(refused(&other).await >= LEASE - REFRESH);
    cloud.advance(Duration::from_millis(1));
    breaker.settle(probe, Evidence::Answered).await;
    cloud.advance(REFRESH);
    let pass = other.admit().await.unwrap();
    assert!(matches!(pass, Permit::Pass(_)), "{pass:?}");
    assert_eq!(breaker.admit().await.unwrap(), pass, "both know the same period");
    assert_eq!(changes(&cloud), ["closed open", "open half-open", "half-open closed"]);
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_for_longer() {
    let cloud = cloud();
    let breaker = opened(&cloud).await;
    let mut pause = PAUSE;
    for _ in 0..3 {
        cloud.advance(pause);
        call(&breaker, Evidence::Failed).await;
        pause *= 2;
        assert!(refused(&breaker).await >= pause);
    }
    assert_eq!(circuit(&cloud).trips, 4);
}

#[tokio::test]
async fn a_prober_that_died_is_succeeded_and_one_that_comes_back_changes_nothing() {
    let cloud = cloud();
    let zombie = opened(&cloud).await;
    let successor = environment(&cloud).await;
    cloud.advance(PAUSE);
    let late = zombie.admit().await.unwrap();
    cloud.advance(LEASE);
    let probe = successor.admit().await.unwrap();
    assert!(matches!(probe, Permit::Probe { .. }));
    for evidence in [Evidence::Answered, Evidence::Failed] {
        zombie.settle(late.clone(), evidence).await;
        assert_eq!(circuit(&cloud).status, CircuitState::HalfOpen);
    }
    successor.settle(probe, Evidence::Answered).await;
    assert_eq!(circuit(&cloud).status, CircuitState::Closed);
}

#[tokio::test]
async fn what_was_begun_before_it_closed_says_nothing_about_the_time_after() {
    let cloud = cloud();
    let slow = environment(&cloud).await;
    let begun = slow.admit().await.unwrap();
    let breaker = opened(&cloud).await;
    cloud.advance(PAUSE);
    call(&breaker, Evidence::Answered).await;
    slow.settle(begun, Evidence::Failed).await;
    assert_eq!(circuit(&cloud).consecutive, 0);
    assert!(!circuit(&cloud).is_troubled());
}

#[tokio::test]
async fn a_circuit_that_cannot_be_read_stops_nobody() {
    let cloud = cloud();
    let breaker = environment(&cloud).await;
    cloud.advance(REFRESH);
    cloud.inject("dynamodb:GetItem", Fault::Refused(400, "AccessDeniedException", json!({})));
    assert_eq!(breaker.admit().await.unwrap(), Permit::Pass(String::new()));
    assert_eq!(breaker.admit().await.unwrap(), Permit::Pass(String::new()));
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"], "nor is it asked again at once");
}

#[tokio::test]
async fn an_operator_closes_it_by_hand() {
    let cloud = cloud();
    let breaker = opened(&cloud).await;
    let now = cloud.ambient().now().as_millisecond();
    let write = Circuit::close_by_hand(&config().circuits, LOCKSMITH, "by hand", now);
    spine(&cloud).write(write).await.unwrap();
    cloud.advance(REFRESH);
    assert_eq!(breaker.admit().await.unwrap(), Permit::Pass("by hand".into()));
}
