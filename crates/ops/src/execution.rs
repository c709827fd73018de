//! The execution of an order's state machine, where one coordinates its saga.

use eda::event::SagaStyle;
use eda::event_store::StoredEvent;
use eda::orchestrator::{KEPT_DAYS, StateMachine, TaskError, Visit, name_of};
use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{exactly, short};

const KEPT_MILLIS: i64 = KEPT_DAYS * 86_400_000;

/// An order's execution.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Execution {
    name: String,
    #[serde(flatten)]
    found: Found,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Found {
    Known(eda::orchestrator::Execution),
    Unknown { status: Unknown },
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Unknown {
    /// It was not started.
    Missing,
    /// The order is so old that its execution is not known any more, if there was one.
    Gone,
}

/// The saga that an order's first event belongs to.
pub(crate) fn saga(events: &[StoredEvent]) -> SagaStyle {
    #[derive(Deserialize)]
    struct Detail {
        metadata: Belongs,
    }
    #[derive(Deserialize)]
    struct Belongs {
        saga: SagaStyle,
    }
    let detail = events.first().and_then(|event| serde_json::from_str::<Detail>(&event.detail).ok());
    detail.map(|detail| detail.metadata.saga).unwrap_or_default()
}

/// Asks for the execution of an order that was placed then (epoch milliseconds).
pub(crate) async fn of(
    deployment: &Deployment,
    order_id: &str,
    placed_at: Option<i64>,
) -> Result<Execution, Error> {
    let machine = StateMachine::new(&deployment.aws, deployment.output("OrderSagaStateMachine")?.to_owned())?;
    let name = name_of(order_id);
    let known = machine.execution(&name).await?;
    Ok(Execution::new(name, known, placed_at.map(|placed| deployment.now() - placed)))
}

impl Execution {
    fn new(name: String, known: Option<eda::orchestrator::Execution>, age: Option<i64>) -> Self {
        let found = match known {
            Some(execution) => Found::Known(execution),
            None if age.is_some_and(|age| age > KEPT_MILLIS) => Found::Unknown { status: Unknown::Gone },
            None => Found::Unknown { status: Unknown::Missing },
        };
        Self { name, found }
    }

    /// Whether it has ended without having ended its order.
    pub(crate) fn gave_up(&self) -> bool {
        let Found::Known(execution) = &self.found else { return false };
        matches!(execution.status, "failed" | "timed_out" | "aborted")
    }

    pub(crate) fn in_words(&self) -> String {
        let name = &self.name;
        let execution = match &self.found {
            Found::Known(execution) => execution,
            Found::Unknown { status: Unknown::Missing } => {
                return format!("execution {name}: there is none, it was not started");
            }
            Found::Unknown { status: Unknown::Gone } => {
                return format!(
                    "execution {name}: there is none any more, executions are known for {KEPT_DAYS} days after their end"
                );
            }
        };
        let lasted = execution.started_at.zip(execution.stopped_at);
        let lasted = lasted.map_or_else(String::new, |(from, to)| format!(" after {} ms", to - from));
        let mut lines = vec![format!("execution {name}: {}{lasted}", execution.status)];
        for visit in &execution.states {
            lines.push(entry(visit));
            lines.extend(visit.errors.iter().map(error));
        }
        lines.extend(execution.error.iter().map(error));
        lines.join("\n")
    }
}

fn entry(visit: &Visit) -> String {
    let took = visit.left_at.map_or_else(String::new, |left| format!("{} ms", left - visit.entered_at));
    let retries = match visit.retries {
        0 => String::new(),
        1 => "tried again once".to_owned(),
        more => format!("tried again {more} times"),
    };
    let line = format!("  {:24}  {took:>10}  {:26}  {retries}", exactly(visit.entered_at), visit.state);
    line.trim_end().to_owned()
}

fn error(error: &TaskError) -> String {
    let line =
        format!("  {:24}  {:10}  {}: {}", exactly(error.at), "", error.error, short(&error.message, 120));
    line.trim_end_matches([':', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed() -> TaskError {
        TaskError { at: 1_768_473_001_000, error: "CircuitOpen".into(), message: "nobody calls it".into() }
    }

    fn paying(errors: Vec<TaskError>) -> eda::orchestrator::Execution {
        let pay = Visit {
            state: "Pay".into(),
            entered_at: 1_768_473_000_000,
            left_at: Some(1_768_473_001_500),
            retries: errors.len(),
            errors,
        };
        eda::orchestrator::Execution {
            status: "succeeded",
            started_at: Some(1_768_473_000_000),
            stopped_at: Some(1_768_473_002_000),
            error: None,
            states: vec![pay],
        }
    }

    #[test]
    fn each_state_is_told_with_its_time_and_below_it_what_failed() {
        let told = Execution::new("o1".into(), Some(paying(vec![failed()])), Some(0)).in_words();
        let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0].join(" "), "execution o1: succeeded after 2000 ms");
        assert_eq!(lines[1].join(" "), "2026-01-15T10:30:00.000Z 1500 ms Pay tried again once");
        assert_eq!(lines[2].join(" "), "2026-01-15T10:30:01.000Z CircuitOpen: nobody calls it");
    }

    #[test]
    fn programs_get_the_execution_as_one_document() {
        let text = serde_json::to_string(&Execution::new("o1".into(), Some(paying(vec![])), None)).unwrap();
        assert_eq!(text.matches("\"status\"").count(), 1, "{text}");
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&told["name"], &told["status"]), (&json!("o1"), &json!("succeeded")));
        assert_eq!(told["states"][0]["state"], "Pay");
        assert_eq!(told["states"][0]["errors"], json!([]));
    }

    #[test]
    fn what_does_not_exist_is_said_to_be_missing_and_after_ninety_days_to_be_gone() {
        for (age, status, words) in [
            (Some(KEPT_MILLIS), "missing", "not started"),
            (None, "missing", "not started"),
            (Some(KEPT_MILLIS + 1), "gone", "90 days"),
        ] {
            let execution = Execution::new("o1".into(), None, age);
            assert_eq!(serde_json::to_value(&execution).unwrap(), json!({ "name": "o1", "status": status }));
            assert!(execution.in_words().contains(words), "{}", execution.in_words());
            assert!(!execution.gave_up());
        }
    }

    #[test]
    fn the_first_event_says_which_saga_an_order_belongs_to() {
        let placed = |detail: serde_json::Value| StoredEvent {
            aggregate_id: "o1".into(),
            version: 1,
            event_type: "OrderPlaced".into(),
            event_id: "e1".into(),
            detail: detail.to_string(),
        };
        let orchestrated = placed(json!({ "metadata": { "saga": "orchestrated" } }));
        assert_eq!(saga(&[orchestrated]), SagaStyle::Orchestrated);
        assert_eq!(saga(&[placed(json!({ "metadata": {} }))]), SagaStyle::Choreographed);
        assert_eq!(saga(&[]), SagaStyle::Choreographed);
    }
}
