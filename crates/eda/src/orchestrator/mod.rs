//! Executions of a state machine, each started once per name.
//!
//! Step Functions keeps the names of a standard workflow's executions for 90 days after they ended. Within that time a
//! second start under the same name starts nothing; later it may, and the rows that the steps guard decide then.
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>

mod story;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Failure;
use crate::aws::{Answer, Aws, Signed};
use story::HistoryEvent;

pub use story::{Execution, TaskError, Visit};

/// How long an execution is known, and its name taken, after it ended.
pub const KEPT_DAYS: i64 = 90;

/// Namespace of names made of what cannot be one itself (UUIDv5).
const NAMES: Uuid = Uuid::from_u128(0x1d8a_4f0b_2c5e_4e0a_9d3f_7f61_52b0_8c46);

/// The longest name, in characters.
const LONGEST_NAME: usize = 80;

/// Events of a history that are asked for at once: the most that are answered.
const PAGE: u16 = 1_000;

/// Starts executions of one state machine, and tells what they did.
#[derive(Clone, Debug)]
pub struct StateMachine {
    states: Signed,
    arn: String,
}

/// What a start did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// An execution of this name runs with this input, since now or before.
    Running,
    /// There was one of this name, which has ended or has another input.
    Duplicate,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartExecution<'a> {
    state_machine_arn: &'a str,
    name: &'a str,
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_header: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetExecutionHistory<'a> {
    execution_arn: &'a str,
    max_results: u16,
    include_execution_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    events: Vec<HistoryEvent>,
    next_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default, rename = "__type")]
    kind: String,
}

impl StateMachine {
    /// The state machine of this ARN.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws, arn: String) -> Result<Self, Failure> {
        Ok(Self { states: Signed::to(aws, "states")?, arn })
    }

    /// Starts the execution of this [name](name_of) with this input, a JSON text of at most 256 KiB, unless there is or was
    /// one of this name. `trace` is the X-Ray header to carry on.
    ///
    /// # Errors
    /// [`Failure`]: permanent where the input or the name is none; else transient, and nobody knows whether it started.
    pub async fn start(&self, name: &str, input: &str, trace: Option<&str>) -> Result<Started, Failure> {
        let start = StartExecution { state_machine_arn: &self.arn, name, input, trace_header: trace };
        verdict(&self.call("AWSStepFunctions.StartExecution", &start).await?)
    }

    /// What the execution of this [name](name_of) did; none where it does not exist, or ended more than [`KEPT_DAYS`] ago.
    ///
    /// # Errors
    /// [`Failure`]: permanent where its history is not understood, else transient.
    pub async fn execution(&self, name: &str) -> Result<Option<Execution>, Failure> {
        let arn = format!("{}:{name}", self.arn.replace(":stateMachine:", ":execution:"));
        let mut ask = GetExecutionHistory {
            execution_arn: &arn,
            max_results: PAGE,
            include_execution_data: false,
            next_token: None,
        };
        let mut history = Vec::new();
        loop {
            let answer = self.call("AWSStepFunctions.GetExecutionHistory", &ask).await?;
            if answer.status >= 300 {
                return match kind(&answer).as_str() {
                    "ExecutionDoesNotExist" => Ok(None),
                    kind => Err(Failure::transient(format!(
                        "the history of execution {name} could not be read: {} {kind}",
                        answer.status
                    ))),
                };
            }
            let page: Page = serde_json::from_slice(&answer.body).map_err(|error| {
                Failure::permanent(format!("the history of execution {name} is not understood"))
                    .because(error)
            })?;
            history.extend(page.events);
            ask.next_token = page.next_token;
            if ask.next_token.is_none() {
                return Ok(Some(Execution::told_by(&history)));
            }
        }
    }

    async fn call(&self, target: &'static str, input: &impl Serialize) -> Result<Answer, Failure> {
        let body = serde_json::to_vec(input)
            .map_err(|error| Failure::permanent("what an execution is asked is no text").because(error))?;
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        self.states.send("POST", "/", &headers, body).await
    }
}

/// The name of an error. Some services put a namespace before it.
fn kind(answer: &Answer) -> String {
    let Refused { kind } = serde_json::from_slice(&answer.body).unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default().to_owned()
}

/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html#API_StartExecution_Errors>
fn verdict(answer: &Answer) -> Result<Started, Failure> {
    if answer.status < 300 {
        return Ok(Started::Running);
    }
    match kind(answer).as_str() {
        "ExecutionAlreadyExists" => Ok(Started::Duplicate),
        kind @ ("InvalidExecutionInput" | "InvalidName" | "ValidationException") => {
            Err(Failure::permanent(format!("no execution was started: {kind}")))
        }
        kind => Err(Failure::transient(format!("no execution was started: {} {kind}", answer.status))),
    }
}

/// The name of the execution for this key: the key itself where it can be a name, so that people find it, else one derived
/// from it.
#[must_use]
pub fn name_of(key: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=LONGEST_NAME).contains(&key.len()) && key.bytes().all(legal) {
        return key.to_owned();
    }
    Uuid::new_v5(&NAMES, key.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_can_be_a_name_is_one_and_any_other_gets_the_same_name_each_time() {
        let id = "99a2809c-4b6c-5d52-9cbb-918ae6450583";
        assert_eq!(name_of(id), id);
        for key in ["", "a b", "ä", &"x".repeat(81), "a/b"] {
            let name = name_of(key);
            assert_eq!(name, name_of(key));
            assert_eq!(name, name_of(&name), "{key}");
        }
        assert_ne!(name_of("a b"), name_of("a/b"));
    }

    fn refused(status: u16, kind: &str) -> Result<Started, Failure> {
        verdict(&Answer { status, body: format!(r#"{{"__type":"{kind}"}}"#).into_bytes() })
    }

    #[test]
    fn a_name_that_was_used_is_a_duplicate_however_it_is_told() {
        for kind in ["ExecutionAlreadyExists", "com.amazonaws.swf.service.v2.model#ExecutionAlreadyExists"] {
            assert_eq!(refused(400, kind).unwrap(), Started::Duplicate);
        }
    }

    #[test]
    fn what_no_repetition_helps_is_permanent_and_all_else_is_not() {
        use crate::failure::Kind;
        assert_eq!(refused(400, "InvalidExecutionInput").unwrap_err().kind(), Kind::Permanent);
        for (status, kind) in
            [(400, "ThrottlingException"), (400, "AccessDeniedException"), (500, ""), (503, "x")]
        {
            assert_eq!(refused(status, kind).unwrap_err().kind(), Kind::Transient, "{kind}");
        }
        let torn = Answer { status: 502, body: b"<html>".to_vec() };
        assert_eq!(verdict(&torn).unwrap_err().kind(), Kind::Transient);
    }
}
