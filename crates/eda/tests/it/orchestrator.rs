use eda::failure::Kind;
use eda::orchestrator::StateMachine;
use eda::testing::Fault;
use serde_json::{Value, json};

use super::*;

const HISTORY: &str = "states:GetExecutionHistory";

fn machine(cloud: &TestCloud) -> StateMachine {
    StateMachine::new(&cloud.aws(), "arn:aws:states:us-east-1:111122223333:stateMachine:doors".into())
        .unwrap()
}

fn event(id: u64, kind: &str, details: Value) -> Value {
    let mut event = details;
    event["id"] = json!(id);
    event["previousEventId"] = json!(id - 1);
    event["timestamp"] = json!(1_768_473_000);
    event["type"] = json!(kind);
    event
}

#[tokio::test]
async fn a_history_is_read_to_its_last_page_and_without_what_was_handed_over() {
    let cloud = cloud();
    let entered = json!({ "stateEnteredEventDetails": { "name": "Open" } });
    let exited = json!({ "stateExitedEventDetails": { "name": "Open" } });
    let first = [event(1, "ExecutionStarted", json!({})), event(2, "TaskStateEntered", entered)];
    let second = [event(3, "TaskStateExited", exited), event(4, "ExecutionSucceeded", json!({}))];
    cloud.inject(HISTORY, Fault::Answered(json!({ "events": first, "nextToken": "more" })));
    cloud.inject(HISTORY, Fault::Answered(json!({ "events": second })));
    let execution = machine(&cloud).execution("door-1").await.unwrap().unwrap();
    assert_eq!((execution.status, execution.states.len()), ("succeeded", 1));
    assert_eq!(execution.states[0].left_at, Some(1_768_473_000_000));
    let calls = cloud.take_calls();
    assert_eq!(calls[0].body["executionArn"], "arn:aws:states:us-east-1:111122223333:execution:doors:door-1");
    assert_eq!(calls[0].body["includeExecutionData"], json!(false));
    assert_eq!(calls[1].body["nextToken"], "more");
}

#[tokio::test]
async fn an_execution_that_does_not_exist_is_none_and_no_failure() {
    let cloud = cloud();
    cloud.inject(HISTORY, Fault::Refused(400, "ExecutionDoesNotExist", json!({})));
    assert_eq!(machine(&cloud).execution("door-1").await.unwrap(), None);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_is_a_failure_that_names_the_error() {
    let cloud = cloud();
    cloud.inject(HISTORY, Fault::Refused(400, "AccessDeniedException", json!({})));
    let failure = machine(&cloud).execution("door-1").await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert!(failure.chain().contains("AccessDeniedException"), "{}", failure.chain());
}
