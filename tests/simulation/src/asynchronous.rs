//! Functions that a rule invokes directly. The bus hands an event to Lambda's own queue, which invokes the function, at least
//! once, and again where it fails; what it gives up on goes to a destination.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html>
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>

use std::rc::Rc;
use std::time::Duration;

use eda::testing::template::at;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;

use crate::bus::Delivery;
use crate::functions::{Answer, Payload};
use crate::queue::Attributes;
use crate::system::{number, seconds};
use crate::world::{Work, World};

/// How often something is tried again, for how long, and what is told when that has not helped.
#[derive(Clone, Debug)]
pub struct Retries {
    /// Attempts after the first.
    pub most: u32,
    /// The age at which no more are made.
    pub max_age: Duration,
    /// The queue that is told.
    pub on_failure: Option<String>,
}

impl Retries {
    /// Of a rule's target: 24 hours and 185 attempts, if it does not say otherwise.
    #[must_use]
    pub fn of_target(target: &Value) -> Self {
        Self::read(at(target, "/RetryPolicy"), 185, 86_400, at(target, "/DeadLetterConfig/Arn"))
    }

    /// Of a function that is invoked asynchronously: six hours and two attempts, if it does not say otherwise.
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>
    #[must_use]
    pub fn of_function(properties: &Value) -> Self {
        let config = at(properties, "/EventInvokeConfig");
        Self::read(config, 2, 21_600, at(config, "/DestinationConfig/OnFailure/Destination"))
    }

    fn read(policy: &Value, most: u32, max_age: u64, queue: &Value) -> Self {
        let attempts = number(at(policy, "/MaximumRetryAttempts"));
        Self {
            most: attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(most),
            max_age: seconds(at(policy, "/MaximumEventAgeInSeconds"), max_age),
            on_failure: queue.as_str().map(|arn| arn.trim_end_matches(".Arn").to_owned()),
        }
    }

    /// Whether there is another attempt after so many.
    fn allow(&self, tried: u32, age: Duration) -> bool {
        tried <= self.most && age <= self.max_age
    }
}

/// An event in Lambda's queue.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) function: usize,
    pub(crate) payload: Rc<str>,
    pub(crate) label: Rc<str>,
    since: Instant,
    pub(crate) not_before: Instant,
    /// How often it was handed to the function.
    tried: u32,
}

/// The pause after the first attempt, and after the second.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// The longest pause where the function has no room for an invocation.
const LONGEST_THROTTLE: Duration = Duration::from_secs(300);

/// The first pause of the bus, which grows and is uneven.
const BACKOFF: Duration = Duration::from_secs(30);

impl World {
    /// The bus hands an event to a function, or tries again later.
    pub(crate) fn hand_over(&mut self, function: usize, mut delivery: Delivery) {
        let now = Instant::now();
        let system = self.system.clone();
        let Some(rule) = system.rules.get(delivery.rule) else { return };
        let malformed = serde_json::from_str::<&RawValue>(&delivery.body).is_err();
        if malformed || self.strike(Kind::Throttle) {
            self.troubled(&delivery.body);
            delivery.tried += 1;
            let pause = BACKOFF * delivery.tried + BACKOFF.mul_f64(self.rng.f64());
            delivery.not_before = now + pause;
            let age = delivery.not_before.duration_since(delivery.since);
            if !malformed && rule.retries.allow(delivery.tried, age) {
                self.bus.push(delivery);
            } else if let Some(queue) = &rule.retries.on_failure {
                self.say(|| format!("        {} is not delivered", delivery.label));
                let attributes = undelivered(&rule.name, &system.functions[function].name, delivery.tried);
                self.send_in(queue, delivery.body, delivery.label, now, None, Rc::new(attributes));
            }
            return;
        }
        self.say(|| format!("{} → {}", delivery.label, system.functions[function].name));
        let Delivery { body, label, .. } = delivery;
        self.pending.push(Pending { function, payload: body, label, since: now, not_before: now, tried: 0 });
    }

    /// What a rule's transformer makes of an event, or a mistaken one.
    pub(crate) fn transformed(&self, input: String) -> String {
        if self.options.planted != Some(Planted::TransformerWithoutId) {
            return input;
        }
        let mut input: Value = serde_json::from_str(&input).unwrap_or_default();
        if let Some(fields) = input.as_object_mut() {
            fields.remove("eventId");
        }
        input.to_string()
    }

    /// Invokes a function with an event of its queue.
    pub(crate) fn invoke_with(&mut self, index: usize) {
        let now = Instant::now();
        let mut event = self.pending.remove(index);
        // "If the function doesn't have enough concurrency available, … Lambda returns the event to the queue."
        if self.strike(Kind::Throttle) {
            self.troubled(&event.payload);
            event.not_before = now + LONGEST_THROTTLE.mul_f64(self.rng.f64());
            self.pending.push(event);
            return;
        }
        // "It's possible to receive the same event from Lambda multiple times because the queue itself is eventually consistent."
        if self.strike(Kind::Duplicate) {
            let not_before = self.soon_or_later(now);
            self.pending.push(Pending { not_before, ..event.clone() });
        }
        let Ok(payload) = RawValue::from_string(event.payload.to_string()) else { return };
        if self.trace.is_on() {
            let (name, next) = (self.name_of(event.function).to_owned(), self.ids + 1);
            self.say(|| format!("  {name}#{next} is invoked with {}", event.label));
        }
        self.invoke(event.function, Work::Event(event), Payload::Task(payload), false);
    }

    /// An invocation with an event has ended.
    pub(crate) fn event_answered(&mut self, mut event: Pending, answer: Option<Answer>, struck: bool) {
        let (kind, message) = match answer {
            Some(Answer::Task(_)) => return,
            Some(Answer::Failed { name, message }) => (name, message),
            _ => ("Sandbox.Timedout".to_owned(), "the invocation did not end".to_owned()),
        };
        if struck {
            self.troubled(&event.payload);
        }
        let (now, system) = (Instant::now(), self.system.clone());
        let Some(function) = system.functions.get(event.function) else { return };
        let pause = PAUSES[usize::from(event.tried > 0)];
        event.tried += 1;
        event.not_before = now + pause;
        if function.retries.allow(event.tried, event.not_before.duration_since(event.since)) {
            self.pending.push(event);
            return;
        }
        self.say(|| format!("        {} is given up", event.label));
        let Some(queue) = &function.retries.on_failure else { return };
        let condition =
            if event.tried > function.retries.most { "RetriesExhausted" } else { "EventAgeExceeded" };
        let record = given_up(&function.name, &event, condition, &kind, &message);
        self.send(queue, record.to_string().into(), event.label, now);
    }
}

fn function_arn(function: &str) -> String {
    format!("arn:aws:lambda:us-east-1:111122223333:function:{function}")
}

/// What is said of an event that a rule could not deliver.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
fn undelivered(rule: &str, function: &str, tried: u32) -> Attributes {
    let attributes = [
        ("RULE_ARN", format!("arn:aws:events:us-east-1:111122223333:rule/simulation/{rule}")),
        ("TARGET_ARN", function_arn(function)),
        ("ERROR_CODE", "THROTTLING".to_owned()),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts".to_owned()),
        ("RETRY_ATTEMPTS", tried.saturating_sub(1).to_string()),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a destination is told of an invocation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
fn given_up(function: &str, event: &Pending, condition: &str, kind: &str, message: &str) -> Value {
    let payload: Value = serde_json::from_str(&event.payload).unwrap_or_default();
    json!({
        "version": "1.0", "timestamp": "2026-01-15T10:33:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-4a93-9bf8-2a6a2f0b6ef6", "condition": condition,
            "functionArn": format!("{}:$LATEST", function_arn(function)),
            "approximateInvokeCount": event.tried,
        },
        "requestPayload": payload,
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "responsePayload": { "errorType": kind, "errorMessage": message },
    })
}
