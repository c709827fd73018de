//! The part of the Amazon States Language that is deployed. Fields that have no model here are refused by their name.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html>

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A state machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Definition {
    #[serde(default, rename = "Comment")]
    _comment: String,
    /// How long an execution may take, in seconds. No catch is run then.
    pub timeout_seconds: u64,
    /// Where it starts.
    pub start_at: String,
    /// Its states.
    pub states: BTreeMap<String, State>,
}

/// A branch of a fork.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Branch {
    /// Where it starts.
    pub start_at: String,
    /// Its states.
    pub states: BTreeMap<String, State>,
}

/// A state.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "Type", rename_all_fields = "PascalCase", deny_unknown_fields)]
pub enum State {
    /// Calls a function.
    Task {
        /// Its ARN.
        resource: String,
        /// What of the state's input counts; all of it, if nothing is said.
        #[serde(default)]
        input_path: Option<String>,
        /// What it is called with; else with the input.
        #[serde(default)]
        parameters: Option<Value>,
        /// When nobody waits for its answer any more.
        timeout_seconds: u64,
        /// What is tried again.
        #[serde(default)]
        retry: Vec<Retry>,
        /// What becomes of errors.
        #[serde(default)]
        catch: Vec<Catch>,
        /// The state after it; the end, if nothing is said.
        #[serde(default)]
        next: Option<String>,
        /// Nothing comes after it.
        #[serde(default)]
        end: bool,
    },
    /// Runs branches beside each other.
    Parallel {
        /// The branches.
        branches: Vec<Branch>,
        /// What is tried again.
        #[serde(default)]
        retry: Vec<Retry>,
        /// What becomes of errors.
        #[serde(default)]
        catch: Vec<Catch>,
        /// The state after it.
        #[serde(default)]
        next: Option<String>,
        /// Nothing comes after it.
        #[serde(default)]
        end: bool,
    },
    /// Goes one of several ways.
    Choice {
        /// The ways, the first that fits is taken.
        choices: Vec<Way>,
        /// The way if none fits.
        default: String,
    },
    /// Makes something of its input.
    Pass {
        /// What it makes; else it is the input.
        #[serde(default)]
        parameters: Option<Value>,
        /// The state after it.
        #[serde(default)]
        next: Option<String>,
        /// Nothing comes after it.
        #[serde(default)]
        end: bool,
    },
    /// The end, a good one.
    Succeed {},
    /// The end, a bad one.
    Fail {
        /// The error's name.
        error: String,
        /// Why.
        cause: String,
    },
}

/// A way of a choice.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Way {
    /// The path of what is looked at.
    pub variable: String,
    /// What must stand there.
    pub string_equals: String,
    /// Where it leads.
    pub next: String,
}

/// Errors that are tried again. <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Retry {
    /// Their names.
    pub error_equals: Vec<String>,
    /// How often.
    #[serde(default = "three")]
    pub max_attempts: u32,
    #[serde(default = "one")]
    interval_seconds: f64,
    #[serde(default = "two")]
    backoff_rate: f64,
    #[serde(default)]
    max_delay_seconds: Option<f64>,
    #[serde(default)]
    jitter_strategy: Jitter,
}

/// Whether delays are drawn.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Jitter {
    Full,
    #[default]
    None,
}

fn three() -> u32 {
    3
}

fn one() -> f64 {
    1.0
}

fn two() -> f64 {
    2.0
}

/// Errors that lead somewhere. What goes there is the error: its name and its cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Catch {
    /// Their names.
    pub error_equals: Vec<String>,
    /// Where they lead.
    pub next: String,
}

impl State {
    /// What is tried again.
    #[must_use]
    pub fn retries(&self) -> &[Retry] {
        match self {
            Self::Task { retry, .. } | Self::Parallel { retry, .. } => retry,
            _ => &[],
        }
    }

    /// What becomes of errors.
    #[must_use]
    pub fn catchers(&self) -> &[Catch] {
        match self {
            Self::Task { catch, .. } | Self::Parallel { catch, .. } => catch,
            _ => &[],
        }
    }
}

impl Retry {
    /// The pause before another attempt, after so many.
    pub fn pause(&self, attempts: u32, rng: &mut Rng) -> Duration {
        let exponent = i32::try_from(attempts).unwrap_or(i32::MAX);
        let delay = self.interval_seconds * self.backoff_rate.powi(exponent);
        let delay = delay.min(self.max_delay_seconds.unwrap_or(f64::MAX));
        let drawn = match self.jitter_strategy {
            Jitter::Full => delay * rng.f64(),
            Jitter::None => delay,
        };
        Duration::try_from_secs_f64(drawn).unwrap_or(Duration::MAX)
    }
}

/// Whether a list of names has this error. `States.ALL` does not have those that nobody can do anything about.
#[must_use]
pub fn names(errors: &[String], error: &str) -> bool {
    errors.iter().any(|name| match name.as_str() {
        "States.ALL" => !["States.Runtime", "States.DataLimitExceeded"].contains(&error),
        "States.TaskFailed" => error != "States.Timeout" && error != "States.Runtime",
        name => name == error,
    })
}

/// What stands at a path: `$` is the input and `$$.Execution.Input` that of the execution; what follows are fields, with dots
/// or in brackets.
#[must_use]
pub fn look_up(path: &str, input: &Value, execution_input: &Value) -> Option<Value> {
    let (mut found, mut rest) = match path.strip_prefix("$$.Execution.Input") {
        Some(rest) => (execution_input, rest),
        None => (input, path.strip_prefix('$')?),
    };
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix("['") {
            Some(quoted) => quoted.split_once("']")?,
            None => {
                let plain = rest.strip_prefix('.')?;
                plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
            }
        };
        found = found.get(field)?;
        rest = after;
    }
    Some(found.clone())
}

/// Fills a template: fields whose names end with `.$` are paths. `None` where a path leads nowhere.
#[must_use]
pub fn filled(template: &Value, input: &Value, execution_input: &Value) -> Option<Value> {
    let Some(fields) = template.as_object() else { return Some(template.clone()) };
    let mut made = Map::new();
    for (name, value) in fields {
        match name.strip_suffix(".$") {
            Some(name) => made.insert(name.to_owned(), look_up(value.as_str()?, input, execution_input)?),
            None => made.insert(name.clone(), filled(value, input, execution_input)?),
        };
    }
    Some(Value::Object(made))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_the_input_or_that_of_the_execution() {
        let (input, execution) = (json!({ "a": { "b-c": 1 } }), json!({ "d": 2 }));
        let at = |path: &str| look_up(path, &input, &execution);
        assert_eq!(at("$"), Some(input.clone()));
        assert_eq!(at("$.a['b-c']"), Some(json!(1)));
        assert_eq!(at("$['a']"), Some(json!({ "b-c": 1 })));
        assert_eq!(at("$$.Execution.Input"), Some(execution.clone()));
        assert_eq!(at("$$.Execution.Input.d"), Some(json!(2)));
        assert_eq!((at("$.x"), at("x")), (None, None));
    }

    #[test]
    fn a_template_is_filled_however_deep() {
        let template = json!({ "kept": "$.a", "made": { "of.$": "$.a" }, "all.$": "$$.Execution.Input" });
        let made = filled(&template, &json!({ "a": 1 }), &json!([2])).unwrap();
        assert_eq!(made, json!({ "kept": "$.a", "made": { "of": 1 }, "all": [2] }));
        assert_eq!(filled(&template, &json!({}), &json!(null)), None);
    }

    #[test]
    fn a_field_without_a_model_is_refused() {
        let state = json!({ "Type": "Task", "Resource": "f", "TimeoutSeconds": 1, "HeartbeatSeconds": 1 });
        let refused = serde_json::from_value::<State>(state).unwrap_err();
        assert!(refused.to_string().contains("HeartbeatSeconds"), "{refused}");
        assert!(serde_json::from_value::<State>(json!({ "Type": "Map" })).is_err());
    }

    #[test]
    fn delays_double_up_to_the_longest_and_are_drawn() {
        let retry = json!({ "ErrorEquals": ["States.ALL"], "BackoffRate": 2, "IntervalSeconds": 2, "MaxDelaySeconds": 5 });
        let plain: Retry = serde_json::from_value(retry.clone()).unwrap();
        let mut rng = Rng::with_seed(1);
        let pauses = [0, 1, 2, 40].map(|attempts| plain.pause(attempts, &mut rng).as_secs());
        assert_eq!(pauses, [2, 4, 5, 5]);
        let mut drawn = retry;
        drawn["JitterStrategy"] = json!("FULL");
        let drawn: Retry = serde_json::from_value(drawn).unwrap();
        assert!(drawn.pause(9, &mut rng) < Duration::from_secs(5));
    }

    #[test]
    fn all_errors_are_all_that_can_be_handled() {
        let all = ["States.ALL".to_owned()];
        assert!(names(&all, "OutOfStock") && names(&all, "States.Timeout"));
        assert!(!names(&all, "States.Runtime"));
        assert!(!names(&["States.TaskFailed".to_owned()], "States.Timeout"));
    }
}
