//! The order saga's state machine: what it may do, and what becomes of each task that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use eda::breaker::CIRCUIT_OPEN;
use eda::failure::PERMANENT;
use eda::testing::template::{Resource, list};
use serde_json::{Map, Value, json};
use shop::saga::Refused;

use crate::inspect::{TEMPLATE, behind, resource, text};

static MACHINE: LazyLock<Resource> = LazyLock::new(|| {
    let machines = TEMPLATE.resources("AWS::Serverless::StateMachine");
    let [machine] = machines.as_slice() else { panic!("one state machine is expected") };
    machine.clone()
});

static DEFINITION: LazyLock<Value> = LazyLock::new(|| MACHINE.properties["Definition"].clone());

/// What a task does when it has failed for good.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// The pivot decides.
    Close,
    /// A person has to look.
    Person,
    /// The execution fails, and expire-orders pushes the order on.
    Expiry,
}

/// All states, those of branches among them.
fn states() -> BTreeMap<String, Value> {
    fn collect(machine: &Value, found: &mut BTreeMap<String, Value>) {
        for (name, state) in machine["States"].as_object().into_iter().flatten() {
            assert!(found.insert(name.clone(), state.clone()).is_none(), "two states are called {name}");
            list(&state["Branches"]).for_each(|branch| collect(branch, found));
        }
    }
    let mut found = BTreeMap::new();
    collect(&DEFINITION, &mut found);
    found
}

fn tasks() -> Vec<(String, Value)> {
    states().into_iter().filter(|(_, state)| state["Type"] == "Task").collect()
}

/// States that are entered from a branch: their failures are the whole fork's.
fn in_a_branch() -> BTreeSet<String> {
    let all = DEFINITION["States"].as_object().unwrap();
    let outer: BTreeSet<_> = all.keys().cloned().collect();
    states().into_keys().filter(|name| !outer.contains(name)).collect()
}

fn then(state: &Value) -> Then {
    let catchers: Vec<_> = list(&state["Catch"]).collect();
    let [catcher] = catchers.as_slice() else { return Then::Expiry };
    assert_eq!(catcher["ErrorEquals"], json!(["States.ALL"]));
    match text(&catcher["Next"]) {
        "Close" => Then::Close,
        other if states()[other]["Type"] == "Fail" => Then::Person,
        other => panic!("a catch leads to {other}"),
    }
}

#[test]
fn its_role_may_call_the_functions_that_its_states_name_and_log_and_nothing_else() {
    let named: BTreeSet<_> = tasks().iter().map(|(_, task)| text(&task["Resource"]).to_owned()).collect();
    for arn in &named {
        assert_eq!(behind(&json!(arn)).kind, "AWS::Serverless::Function");
    }
    let mut allowed = BTreeSet::new();
    for statement in list(&MACHINE.properties["Policies"]).flat_map(|policy| list(&policy["Statement"])) {
        let logs = list(&statement["Action"]).all(|action| text(action).starts_with("logs:"));
        if logs {
            continue;
        }
        assert_eq!(statement["Action"], "lambda:InvokeFunction");
        allowed.extend(list(&statement["Resource"]).map(|arn| text(arn).to_owned()));
    }
    assert_eq!(allowed, named, "left: its role, right: its states");
    assert_eq!(MACHINE.properties.get("Role"), None, "SAM makes the role");
}

#[test]
fn it_is_traced_and_logs_no_inputs_which_hold_addresses() {
    assert_eq!(MACHINE.properties["Type"], "STANDARD");
    assert_eq!(MACHINE.properties["Tracing"]["Enabled"], true);
    let logging = &MACHINE.properties["Logging"];
    assert_eq!((&logging["IncludeExecutionData"], &logging["Level"]), (&json!(false), &json!("ERROR")));
    let group = behind(&logging["Destinations"][0]["CloudWatchLogsLogGroup"]["LogGroupArn"]);
    assert!(group.properties["RetentionInDays"].as_u64().is_some_and(|days| days > 0));
}

#[test]
fn whatever_goes_wrong_before_the_pivot_goes_to_close_first_and_no_compensation_fails_unseen() {
    let branch = in_a_branch();
    for (name, task) in tasks() {
        let expected = match name.as_str() {
            // Behind the pivot: only forward.
            "Confirm" => Then::Expiry,
            "Close" | "Refund" | "Release" | "Cancel" => Then::Person,
            name if branch.contains(name) => Then::Expiry,
            _ => Then::Close,
        };
        assert_eq!(then(&task), expected, "{name}");
    }
    for (name, fork) in states().iter().filter(|(_, state)| state["Type"] == "Parallel") {
        assert_eq!(then(fork), Then::Close, "{name}");
    }
    let close = &states()["Close"];
    assert_eq!(close["Resource"], "ExpireOrdersFunction.Arn");
    assert_eq!(close["Parameters"], json!({ "close.$": "$$.Execution.Input", "because.$": "$" }));
    let choice = &states()[text(&close["Next"])];
    let ways: Vec<_> =
        list(&choice["Choices"]).map(|way| (text(&way["StringEquals"]), text(&way["Next"]))).collect();
    assert_eq!(ways, [("AllStepsComplete", "Confirm"), ("OrderExpired", "Refund")]);
    assert_eq!(states()[text(&choice["Default"])]["Type"], "Fail");
}

#[test]
fn an_order_is_reserved_only_after_all_checks_approve_it() {
    let all = states();
    assert_eq!(DEFINITION["StartAt"], "Check");
    let branches: BTreeSet<_> =
        list(&all["Check"]["Branches"]).map(|branch| text(&branch["StartAt"]).to_owned()).collect();
    assert_eq!(branches, in_a_branch(), "a branch is one check");
    assert_eq!(branches.len(), 3);
    assert_eq!((&all["Check"]["Next"], &all["Join"]["Next"]), (&json!("Join"), &json!("Reserve")));
    assert_eq!(all["Join"]["Resource"], "AggregateResultsFunction.Arn");
    // What the checks found is not what is reserved.
    assert_eq!(all["Reserve"]["InputPath"], "$$.Execution.Input");
}

#[test]
fn undoing_goes_backwards_through_what_was_done() {
    let next = |state: &str| states()[state]["Next"].as_str().map(str::to_owned);
    for (done, undone) in [("Refund", "Release"), ("Release", "Cancel")] {
        assert_eq!(next(done).as_deref(), Some(undone));
    }
    assert_eq!(next("Cancel"), None);
    assert_eq!(states()["Cancel"]["End"], true);
}

#[test]
fn a_task_is_tried_again_later_and_later_at_random_unless_no_repetition_helps() {
    for (name, task) in tasks() {
        let retries: Vec<_> = list(&task["Retry"]).collect();
        let (first, last) = (retries.first().unwrap(), retries.last().unwrap());
        let final_errors: Vec<_> = list(&first["ErrorEquals"]).map(text).collect();
        assert_eq!(first["MaxAttempts"], 0, "{name}");
        assert!(final_errors.contains(&PERMANENT), "{name}");
        assert_eq!(last["ErrorEquals"], json!(["States.ALL"]), "{name}");
        for retry in &retries[1..] {
            assert_eq!(retry["JitterStrategy"], "FULL", "{name}");
            assert!(retry["BackoffRate"].as_f64().is_some_and(|rate| rate > 1.0), "{name}");
            assert!(retry["MaxDelaySeconds"].as_u64().is_some_and(|most| most <= 300), "{name}");
        }
    }
}

#[test]
fn the_errors_that_it_tells_apart_are_those_that_functions_return() {
    let known: BTreeSet<_> = Refused::ALL
        .iter()
        .map(|refused| refused.name())
        .chain([PERMANENT, CIRCUIT_OPEN, "States.ALL"])
        .collect();
    let mut used = BTreeSet::new();
    for (name, state) in states() {
        for handler in ["Retry", "Catch"].iter().flat_map(|field| list(&state[*field])) {
            for error in list(&handler["ErrorEquals"]).map(text) {
                assert!(known.contains(error), "{name}: nobody returns {error}");
                used.insert(error.to_owned());
            }
        }
    }
    let unused: Vec<_> = known.iter().filter(|error| !used.contains(**error)).collect();
    assert!(unused.is_empty(), "refusals that it would try again: {unused:?}");
}

#[test]
fn what_asks_the_gateway_outlasts_an_outage_of_four_hours_on_average_half_as_long_again() {
    for (name, task) in tasks() {
        let function = behind(&task["Resource"]);
        let asks = function.properties["Environment"]["Variables"].get("PAYMENT_GATEWAY_URL").is_some();
        let circuit = list(&task["Retry"]).find(|retry| retry["ErrorEquals"] == json!([CIRCUIT_OPEN]));
        assert_eq!(circuit.is_some(), asks, "{name}");
        for retry in list(&task["Retry"]).skip(1).filter(|_| asks) {
            assert!(average_wait(retry) >= 6.0 * 3_600.0, "{name}: {} s", average_wait(retry));
        }
    }
}

/// How long all attempts take on average: with full jitter a delay is anything up to what it would be without.
fn average_wait(retry: &Value) -> f64 {
    let number = |field: &str| retry[field].as_f64().unwrap();
    let (mut delay, mut all) = (number("IntervalSeconds"), 0.0);
    for _ in 0..retry["MaxAttempts"].as_u64().unwrap() {
        all += delay / 2.0;
        delay = (delay * number("BackoffRate")).min(number("MaxDelaySeconds"));
    }
    all
}

#[test]
fn a_function_ends_before_its_task_and_an_execution_before_its_orders_deadline() {
    let deadline = TEMPLATE.resolve(&json!({ "Ref": "OrderDeadlineSeconds" })).as_u64().unwrap();
    assert!(DEFINITION["TimeoutSeconds"].as_u64().unwrap() < deadline);
    for (name, task) in tasks() {
        let function = behind(&task["Resource"]).properties["Timeout"].as_u64().unwrap();
        assert!(task["TimeoutSeconds"].as_u64().unwrap() > function, "{name}");
    }
}

#[test]
fn each_state_is_entered_from_somewhere_and_each_that_is_named_exists() {
    fn targets(value: &Value, found: &mut BTreeSet<String>) {
        let members = value.as_object().cloned().unwrap_or_else(Map::new);
        for (name, inner) in &members {
            if ["Next", "Default", "StartAt"].contains(&name.as_str()) {
                found.insert(text(inner).to_owned());
            } else {
                targets(inner, found);
            }
        }
        value.as_array().into_iter().flatten().for_each(|inner| targets(inner, found));
    }
    let mut named = BTreeSet::new();
    targets(&DEFINITION, &mut named);
    assert_eq!(named, states().into_keys().collect());
}

#[test]
fn an_execution_that_fails_or_times_out_raises_an_alarm() {
    for (alarm, metric) in
        [("OrderSagaFailedAlarm", "ExecutionsFailed"), ("OrderSagaTimedOutAlarm", "ExecutionsTimedOut")]
    {
        let alarm = resource(alarm).properties;
        assert_eq!((&alarm["Namespace"], &alarm["MetricName"]), (&json!("AWS/States"), &json!(metric)));
        assert_eq!(alarm["Dimensions"][0]["Value"], "OrderSagaStateMachine.Arn");
        assert_eq!(alarm["Threshold"], 1);
    }
}
