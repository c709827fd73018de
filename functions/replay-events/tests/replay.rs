//! Replays against recorded calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::Failure;
use eda::failure::Kind;
use eda::replay::Progress;
use eda::serve::perform;
use eda::testing::{Fault, TestCloud};
use replay_events::ReplayEvents;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

const HOUR: i64 = 3_600;
const START: i64 = 1_768_471_200;

async fn told(cloud: &TestCloud, command: Value) -> Result<Progress, Failure> {
    let function = cloud.start::<ReplayEvents>().await;
    perform(&function, &to_raw_value(&command).unwrap(), cloud.deadline()).await
}

fn window(more: Value) -> Value {
    let mut window = json!({ "from": "2026-01-15T10:00:00Z", "to": "2026-01-15T11:00:00Z" });
    window.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "start": window })
}

fn starting(cloud: &TestCloud) {
    cloud.inject("events:StartReplay", Fault::Answered(json!({ "State": "STARTING", "ReplayStartTime": 1 })));
}

#[tokio::test]
async fn a_window_is_replayed_to_our_rules_by_one_call() {
    let cloud = TestCloud::of("replay-events");
    starting(&cloud);
    let progress = told(&cloud, window(json!({}))).await.unwrap();
    assert_eq!((progress.state.as_str(), progress.percent), ("STARTING", 0));
    assert!(progress.rules.len() > 5, "{:?}", progress.rules);
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 1);
    let body = &calls[0].body;
    assert_eq!(body["ReplayName"], json!(progress.name));
    assert_eq!((&body["EventStartTime"], &body["EventEndTime"]), (&json!(START), &json!(START + HOUR)));
    assert_eq!(body["EventSourceArn"], "EventArchive.Arn");
    assert_eq!(body["Destination"], json!({ "Arn": "EventBus.Arn", "FilterArns": progress.rules }));
}

#[tokio::test]
async fn a_rule_is_chosen_by_a_part_of_its_name_that_no_other_has() {
    let cloud = TestCloud::of("replay-events");
    starting(&cloud);
    let progress = told(&cloud, window(json!({ "rules": ["ShipOrder"] }))).await.unwrap();
    assert_eq!(progress.rules, ["ShipOrderQueueRule.Arn"]);
    for (rules, problem) in
        [("Nobody", "there is no rule Nobody"), ("Order", "several rules are called Order")]
    {
        let failure = told(&cloud, window(json!({ "rules": [rules] }))).await.unwrap_err();
        assert_eq!((failure.kind(), failure.to_string()), (Kind::Permanent, problem.to_owned()));
    }
}

#[tokio::test]
async fn the_rules_that_match_an_event_are_taken_where_events_are_asked_for() {
    let cloud = TestCloud::of("replay-events");
    let pattern = |names: Value| Fault::Answered(json!({ "EventPattern": names.to_string() }));
    cloud.inject("events:DescribeRule", pattern(json!({ "detail-type": ["OrderPlaced"] })));
    cloud.inject(
        "events:DescribeRule",
        pattern(json!({ "detail-type": ["PaymentProcessed", "OrderShipped"] })),
    );
    starting(&cloud);
    let wanted = json!({ "rules": ["StandardOrders", "ShipOrder"], "detailTypes": ["OrderShipped"] });
    let progress = told(&cloud, window(wanted)).await.unwrap();
    assert_eq!(progress.rules, ["ShipOrderQueueRule.Arn"]);
    cloud.inject("events:DescribeRule", pattern(json!({ "detail-type": ["OrderPlaced"] })));
    let wanted = json!({ "rules": ["StandardOrders"], "detailTypes": ["OrderShipped"] });
    let failure = told(&cloud, window(wanted)).await.unwrap_err();
    assert_eq!(failure.to_string(), "no rule matches OrderShipped");
}

#[tokio::test]
async fn a_replay_is_followed_by_its_name() {
    let cloud = TestCloud::of("replay-events");
    let name = "AWS::StackName-1";
    let replay = json!({
        "ReplayName": name, "State": "RUNNING", "EventStartTime": START, "EventEndTime": START + HOUR,
        "EventLastReplayedTime": START + HOUR / 4, "Destination": { "Arn": "EventBus.Arn", "FilterArns": ["r"] },
    });
    cloud.inject("events:DescribeReplay", Fault::Answered(replay.clone()));
    let progress = told(&cloud, json!({ "status": name })).await.unwrap();
    assert_eq!(
        (progress.state.as_str(), progress.percent, progress.rules),
        ("RUNNING", 25, vec!["r".to_owned()])
    );
    cloud.inject("events:CancelReplay", Fault::Answered(json!({ "State": "CANCELLING" })));
    cloud.inject("events:DescribeReplay", Fault::Answered(replay));
    told(&cloud, json!({ "cancel": name })).await.unwrap();
    let names = ["events:DescribeReplay", "events:CancelReplay", "events:DescribeReplay"];
    assert_eq!(cloud.take_call_names(), names);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_by_name() {
    let cloud = TestCloud::of("replay-events");
    let backwards = json!({ "start": { "from": "2026-01-15T11:00:00Z", "to": "2026-01-15T11:00:00Z" } });
    for (command, problem) in [
        (backwards, "from must be before to"),
        (json!({ "start": { "from": "yesterday" } }), "start.from"),
        (json!({ "begin": {} }), "begin"),
    ] {
        let failure = told(&cloud, command).await.unwrap_err();
        assert_eq!(failure.kind(), Kind::Permanent);
        assert!(failure.chain().contains(problem), "{}", failure.chain());
    }
    let missing = Fault::Refused(400, "ResourceNotFoundException", json!({}));
    cloud.inject("events:DescribeReplay", missing);
    let failure = told(&cloud, json!({ "status": "AWS::StackName-2" })).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Permanent);
    assert!(cloud.take_call_names().iter().all(|name| name == "events:DescribeReplay"));
}
