//! What an execution did, as its history tells.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html>

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An execution. It holds nothing of what the execution was given or has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// How it stands: `running`, `succeeded`, `failed`, `timed_out` or `aborted`.
    pub status: &'static str,
    /// Epoch milliseconds.
    pub started_at: Option<i64>,
    /// Epoch milliseconds; absent while it runs.
    pub stopped_at: Option<i64>,
    /// What it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// The states, in the order in which they were entered.
    pub states: Vec<Visit>,
}

/// A state that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// Its name.
    pub state: String,
    /// Epoch milliseconds.
    pub entered_at: i64,
    /// Epoch milliseconds; absent while it lasts, and where the execution ended in it.
    pub left_at: Option<i64>,
    /// How often what failed in it was tried again.
    pub retries: usize,
    /// What failed in it, in order.
    pub errors: Vec<TaskError>,
}

/// An error, as a state machine retries or catches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskError {
    /// Epoch milliseconds.
    pub at: i64,
    /// Its name.
    pub error: String,
    /// What it says.
    pub message: String,
}

/// An event of a history.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryEvent {
    id: u64,
    #[serde(default)]
    previous_event_id: u64,
    /// Epoch seconds.
    timestamp: f64,
    #[serde(rename = "type")]
    kind: String,
    /// Under a name made of the type: `taskFailedEventDetails`.
    #[serde(flatten)]
    details: HashMap<String, Value>,
}

impl HistoryEvent {
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of any time that a history knows")]
    fn at(&self) -> i64 {
        (self.timestamp * 1_000.0).round() as i64
    }

    fn detail(&self, name: &str) -> Option<&str> {
        let details = self.details.iter().filter(|(key, _)| key.ends_with("EventDetails"));
        details.map(|(_, details)| details).find_map(|details| details.get(name)?.as_str())
    }

    /// Those of a fork that fails have none of their own.
    fn error(&self) -> Option<TaskError> {
        let error = match self.detail("error") {
            Some(error) => error,
            None if self.kind.ends_with("TimedOut") => "States.Timeout",
            None => return None,
        };
        let message = self.detail("cause").map_or_else(String::new, message);
        Some(TaskError { at: self.at(), error: error.to_owned(), message })
    }
}

/// A function's error comes as JSON.
fn message(cause: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Returned {
        error_message: String,
    }
    serde_json::from_str::<Returned>(cause)
        .map_or_else(|_| cause.to_owned(), |returned| returned.error_message)
}

impl Execution {
    /// An event belongs to the state of the event before it, which in a fork is not the one that precedes it in the history.
    pub(super) fn told_by(history: &[HistoryEvent]) -> Self {
        let mut told =
            Self { status: "running", started_at: None, stopped_at: None, error: None, states: Vec::new() };
        let mut places = HashMap::new();
        for event in history {
            if let Some(what) = event.kind.strip_prefix("Execution") {
                told.turn(what, event);
                continue;
            }
            let place = if event.kind.ends_with("StateEntered") {
                told.states.push(Visit {
                    state: event.detail("name").unwrap_or_default().to_owned(),
                    entered_at: event.at(),
                    left_at: None,
                    retries: 0,
                    errors: Vec::new(),
                });
                told.states.len().checked_sub(1)
            } else if event.kind.ends_with("StateExited") {
                let open =
                    |visit: &Visit| visit.left_at.is_none() && Some(&*visit.state) == event.detail("name");
                told.states.iter().rposition(open)
            } else {
                let last = || told.states.iter().rposition(|visit| visit.left_at.is_none());
                places.get(&event.previous_event_id).copied().or_else(last)
            };
            if let Some((place, visit)) = place.and_then(|place| Some((place, told.states.get_mut(place)?))) {
                visit.take(event);
                places.insert(event.id, place);
            }
        }
        told
    }

    fn turn(&mut self, what: &str, event: &HistoryEvent) {
        (self.status, self.stopped_at) = match what {
            "Succeeded" => ("succeeded", Some(event.at())),
            "Failed" => ("failed", Some(event.at())),
            "TimedOut" => ("timed_out", Some(event.at())),
            "Aborted" => ("aborted", Some(event.at())),
            _ => ("running", None),
        };
        self.started_at = self.started_at.or_else(|| Some(event.at()));
        self.error = event.error();
    }
}

impl Visit {
    fn take(&mut self, event: &HistoryEvent) {
        if event.kind.ends_with("StateExited") {
            self.left_at = Some(event.at());
        } else if event.kind.ends_with("Scheduled") {
            self.retries = self.errors.len();
        } else if event.kind.ends_with("Failed") || event.kind.ends_with("TimedOut") {
            self.errors.extend(event.error());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The execution with this history: each event's predecessor, second, type and details.
    fn told(events: &[(u64, u64, &str, Value)]) -> Execution {
        let events = events.iter().zip(1..).map(|((before, second, kind, details), id)| {
            let mut event = details.clone();
            event["id"] = json!(id);
            event["previousEventId"] = json!(before);
            event["timestamp"] = json!(1_768_473_000.25 + f64::from(u32::try_from(*second).unwrap()));
            event["type"] = json!(kind);
            serde_json::from_value(event).unwrap()
        });
        Execution::told_by(&events.collect::<Vec<_>>())
    }

    fn entered(name: &str) -> Value {
        json!({ "stateEnteredEventDetails": { "name": name } })
    }

    fn exited(name: &str) -> Value {
        json!({ "stateExitedEventDetails": { "name": name } })
    }

    fn failed(error: &str, said: &str) -> Value {
        let cause = json!({ "errorMessage": said, "errorType": error }).to_string();
        json!({ "lambdaFunctionFailedEventDetails": { "error": error, "cause": cause } })
    }

    fn second(second: i64) -> i64 {
        1_768_473_000_250 + second * 1_000
    }

    #[test]
    fn a_state_tells_when_it_was_entered_and_left_what_failed_and_how_often_it_was_tried_again() {
        let none = || json!({});
        let told = told(&[
            (0, 0, "ExecutionStarted", none()),
            (0, 0, "TaskStateEntered", entered("Pay")),
            (2, 0, "LambdaFunctionScheduled", none()),
            (3, 1, "LambdaFunctionFailed", failed("CircuitOpen", "nobody calls it")),
            (4, 2, "LambdaFunctionScheduled", none()),
            (5, 4, "LambdaFunctionTimedOut", none()),
            (6, 5, "LambdaFunctionScheduled", none()),
            (7, 6, "LambdaFunctionSucceeded", none()),
            (8, 6, "TaskStateExited", exited("Pay")),
            (9, 6, "ExecutionSucceeded", none()),
        ]);
        let error = |at, error: &str, message: &str| TaskError {
            at: second(at),
            error: error.into(),
            message: message.into(),
        };
        let errors = vec![error(1, "CircuitOpen", "nobody calls it"), error(4, "States.Timeout", "")];
        let pay = Visit {
            state: "Pay".into(),
            entered_at: second(0),
            left_at: Some(second(6)),
            retries: 2,
            errors,
        };
        assert_eq!(told.states, [pay]);
        assert_eq!((told.status, told.error), ("succeeded", None));
        assert_eq!((told.started_at, told.stopped_at), (Some(second(0)), Some(second(6))));
    }

    #[test]
    fn in_a_fork_an_error_belongs_to_the_branch_it_happened_in() {
        let none = || json!({});
        let told = told(&[
            (0, 0, "ExecutionStarted", none()),
            (0, 0, "ParallelStateEntered", entered("Check")),
            (2, 0, "ParallelStateStarted", none()),
            (3, 0, "TaskStateEntered", entered("CheckCredit")),
            (3, 0, "TaskStateEntered", entered("CalculateShipping")),
            (4, 0, "LambdaFunctionScheduled", none()),
            (5, 0, "LambdaFunctionScheduled", none()),
            (6, 1, "LambdaFunctionFailed", failed("PermanentFailure", "no customer")),
            (8, 1, "ParallelStateFailed", none()),
            (9, 1, "ParallelStateExited", exited("Check")),
            (10, 1, "TaskStateEntered", entered("Close")),
        ]);
        let states: Vec<_> = told
            .states
            .iter()
            .map(|visit| (visit.state.as_str(), visit.errors.len(), visit.left_at))
            .collect();
        let expected = [
            ("Check", 0, Some(second(1))),
            ("CheckCredit", 1, None),
            ("CalculateShipping", 0, None),
            ("Close", 0, None),
        ];
        assert_eq!(states, expected);
        assert_eq!((told.status, told.stopped_at), ("running", None));
    }

    #[test]
    fn an_execution_that_failed_tells_why() {
        let told = told(&[
            (0, 0, "ExecutionStarted", json!({})),
            (0, 0, "FailStateEntered", entered("CompensationFailed")),
            (
                2,
                1,
                "ExecutionFailed",
                json!({ "executionFailedEventDetails": { "error": "CompensationFailed", "cause": "not undone" } }),
            ),
        ]);
        let error =
            TaskError { at: second(1), error: "CompensationFailed".into(), message: "not undone".into() };
        assert_eq!((told.status, told.error), ("failed", Some(error)));
        assert_eq!(told.states[0].left_at, None);
    }
}
