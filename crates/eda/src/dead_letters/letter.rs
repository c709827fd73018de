use std::collections::BTreeMap;

use aws_lambda_events::sqs::SqsMessage;
use aws_sdk_sqs::types::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::attribute;
use crate::batch::PLACE;
use crate::event::BusEvent;

/// Namespace of the identities of failures (UUIDv5).
const FAILURES: Uuid = Uuid::from_u128(0x8c5e_21b7_60fa_4d43_b0d9_7e1f_52c8_3a96);

/// A message of a dead-letter queue, received in whichever way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its id in the dead-letter queue; the same in every delivery.
    pub id: String,
    /// The dead-letter queue's ARN.
    pub queue: String,
    /// What it holds.
    pub body: String,
    /// Message attributes that are text.
    pub attributes: BTreeMap<String, String>,
    /// What SQS says about it: `SentTimestamp`, `ApproximateReceiveCount` and others.
    pub system: BTreeMap<String, String>,
}

impl Letter {
    /// As Lambda hands it over.
    #[must_use]
    pub fn of_batch(message: &SqsMessage) -> Self {
        let attributes = message.message_attributes.iter();
        let attributes =
            attributes.filter_map(|(name, value)| Some((name.clone(), value.string_value.clone()?)));
        Self {
            id: message.message_id.clone().unwrap_or_default(),
            queue: message.event_source_arn.clone().unwrap_or_default(),
            body: message.body.clone().unwrap_or_default(),
            attributes: attributes.collect(),
            system: message.attributes.clone().into_iter().collect(),
        }
    }

    /// As it was received from the queue of this ARN.
    #[must_use]
    pub fn received(queue: &str, message: &Message) -> Self {
        let attributes = message.message_attributes.iter().flatten();
        let attributes =
            attributes.filter_map(|(name, value)| Some((name.clone(), value.string_value.clone()?)));
        let system = message.attributes.iter().flatten();
        Self {
            id: message.message_id.clone().unwrap_or_default(),
            queue: queue.to_owned(),
            body: message.body.clone().unwrap_or_default(),
            attributes: attributes.collect(),
            system: system.map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect(),
        }
    }

    fn said(&self, attribute: &str) -> Option<String> {
        self.attributes.get(attribute).filter(|text| !text.is_empty()).cloned()
    }

    fn counted(&self, attribute: &str) -> Option<u32> {
        self.attributes.get(attribute)?.parse().ok()
    }
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Source {
    /// A message of a queue.
    Queue {
        /// ARN of the queue, where SQS says so; else the dead-letter queue tells which one it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// The function that parked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<String>,
    },
    /// An event that a rule could not deliver.
    Target {
        /// ARN of the rule.
        rule: String,
        /// ARN of the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// An asynchronous invocation.
    Invocation {
        /// ARN of the function.
        function: String,
    },
    /// Records of a stream.
    Stream {
        /// ARN of the function that did not get past them.
        function: String,
        /// Where they are.
        records: StreamRange,
    },
}

/// A range of records in a shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamRange {
    /// The stream's ARN.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// Sequence number of the first record.
    pub first: String,
    /// Sequence number of the last record.
    pub last: String,
}

impl Source {
    /// What it is called in lists: the function or queue, or the rule.
    #[must_use]
    pub fn place<'a>(&'a self, dead_letter_queue: &'a str) -> &'a str {
        let arn = match self {
            Self::Queue { function: Some(function), .. } => return function,
            Self::Queue { queue, .. } => queue.as_deref().unwrap_or(dead_letter_queue),
            Self::Target { rule, .. } => return rule.rsplit_once('/').map_or(rule, |(_, name)| name),
            Self::Invocation { function } | Self::Stream { function, .. } => {
                // A version or alias may follow the name.
                return function.split(':').nth(6).unwrap_or(function);
            }
        };
        arn.rsplit(':').next().unwrap_or(arn)
    }
}

/// What a letter tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Identity of the failure: the same for every copy of the message, and for its retries.
    pub failure_id: String,
    /// What failed.
    pub source: Source,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What is to be retried: the message, the invocation's payload. For a stream the address of its records.
    pub payload: String,
    /// The message's own attributes.
    pub attributes: BTreeMap<String, String>,
    /// The event that it is about.
    pub event: Option<About>,
}

/// An event, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its `detail-type`.
    pub detail_type: String,
    /// Its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The business transaction that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl About {
    fn of(payload: &str) -> Option<Self> {
        let event = BusEvent::parse(payload).ok()?;
        let detail: Value = serde_json::from_str(event.detail.get()).ok()?;
        let of_metadata = |name: &str| {
            let text = detail.get("metadata")?.get(name)?.as_str()?;
            // What claims to be an identity and is none would be a bad key.
            Uuid::try_parse(text).ok().map(|id| id.to_string())
        };
        Some(Self {
            detail_type: event.detail_type.into_owned(),
            event_id: of_metadata("eventId"),
            correlation_id: of_metadata("correlationId"),
        })
    }
}

/// What Lambda sends to a destination.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    request_context: RequestContext,
    #[serde(default)]
    request_payload: Option<Value>,
    #[serde(default)]
    response_payload: Option<Value>,
    #[serde(default, rename = "DDBStreamBatchInfo")]
    dynamodb: Option<BatchInfo>,
    #[serde(default, rename = "KinesisBatchInfo")]
    kinesis: Option<BatchInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
    #[serde(default)]
    condition: String,
    #[serde(default)]
    approximate_invoke_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    stream_arn: String,
}

impl From<BatchInfo> for StreamRange {
    fn from(info: BatchInfo) -> Self {
        Self {
            stream: info.stream_arn,
            shard: info.shard_id,
            first: info.start_sequence_number,
            last: info.end_sequence_number,
        }
    }
}

/// Reads what a letter tells: of whatever kind its queue is, the letter itself shows how it got there.
#[must_use]
pub fn diagnose(letter: &Letter) -> Diagnosis {
    let (source, reason, attempts, payload) = if let Some(rule) = letter.said(attribute::RULE) {
        let code = letter.said(attribute::ERROR_CODE).unwrap_or_else(|| "undelivered".to_owned());
        let message = letter.said(attribute::ERROR_MESSAGE).unwrap_or_default();
        let reason = if message.is_empty() { code } else { format!("{code}: {message}") };
        let source = Source::Target { rule, target: letter.said(attribute::TARGET) };
        let attempts = letter.counted(attribute::RETRY_ATTEMPTS).unwrap_or(0).saturating_add(1);
        (source, reason, attempts, letter.body.clone())
    } else if let Some(record) = record(letter) {
        let RequestContext { function_arn, condition, approximate_invoke_count } = record.request_context;
        let told = record.response_payload.as_ref().and_then(error_of);
        let reason =
            told.unwrap_or_else(|| if condition.is_empty() { "failed".to_owned() } else { condition });
        match (record.dynamodb.or(record.kinesis), record.request_payload) {
            (Some(info), _) => {
                let source = Source::Stream { function: function_arn, records: info.into() };
                (source, reason, approximate_invoke_count, letter.body.clone())
            }
            (None, payload) => {
                let payload = payload.map(|payload| payload.to_string()).unwrap_or_default();
                (Source::Invocation { function: function_arn }, reason, approximate_invoke_count, payload)
            }
        }
    } else {
        let queue = letter.system.get("DeadLetterQueueSourceArn").cloned();
        let source = Source::Queue { queue, function: letter.said(attribute::PARKED_BY) };
        let receives = letter.system.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        let attempts = letter.counted(attribute::ATTEMPTS).or(receives).unwrap_or(1);
        let reason = letter.said(attribute::REASON);
        let reason =
            reason.unwrap_or_else(|| "received too often: each attempt failed or timed out".to_owned());
        (source, reason, attempts, letter.body.clone())
    };
    let event = About::of(&payload);
    let held_as = held_as(letter);
    let failure_id = letter.said(attribute::FAILURE_ID).unwrap_or_else(|| {
        let event_id = event.as_ref().and_then(|event| event.event_id.clone());
        // The same for every copy: a message may be parked twice, and a batch be given up twice.
        let (place, message) = match &source {
            Source::Queue { .. } => {
                // In an ordered group each message has a place of its own, copies of one event too: all have to come again.
                let id = held_as.clone().or(event_id).or_else(|| letter.said(attribute::ORIGINAL_ID));
                ("", id.unwrap_or_else(|| letter.id.clone()))
            }
            Source::Stream { function, records } => {
                (function.as_str(), format!("{}:{}", records.shard, records.first))
            }
            other => (other.place(&letter.queue), event_id.unwrap_or_else(|| payload.clone())),
        };
        Uuid::new_v5(&FAILURES, format!("{}\n{place}\n{message}", letter.queue).as_bytes()).to_string()
    });
    let own = letter.attributes.iter().filter(|(name, _)| !attribute::OURS.contains(&name.as_str()));
    let own = own.map(|(name, value)| (name.clone(), value.clone()));
    let attributes = own.chain(held_as.map(|place| (PLACE.to_owned(), place))).collect();
    Diagnosis { failure_id, source, reason, attempts, payload, attributes, event }
}

/// The place that a message has in its ordered group, for those behind it may wait for it: as it was parked, or its own id. SQS keeps that
/// as the deduplication id of what it moves itself.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
fn held_as(letter: &Letter) -> Option<String> {
    let parked = letter.attributes.contains_key(attribute::PARKED_BY);
    let moved = !parked && letter.system.contains_key("DeadLetterQueueSourceArn");
    let original = letter.system.get("MessageDeduplicationId").filter(|_| moved).cloned();
    letter.said(PLACE).or(original)
}

/// A destination's record. A message that a function has parked is none, whatever it looks like.
fn record(letter: &Letter) -> Option<Record> {
    let parked = letter.attributes.contains_key(attribute::PARKED_BY);
    if parked { None } else { serde_json::from_str(&letter.body).ok() }
}

/// `errorType: errorMessage` of a function's error document.
fn error_of(response: &Value) -> Option<String> {
    let message = response.get("errorMessage")?.as_str()?;
    Some(match response.get("errorType").and_then(Value::as_str) {
        Some(kind) => format!("{kind}: {message}"),
        None => message.to_owned(),
    })
}
