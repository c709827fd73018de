use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::sqs::SqsEvent;
use serde_json::{Value, json};

use crate::event::{Cause, Contract, Emission, SagaStyle};
use crate::event_store::StoredEvent;
use crate::row::{Row, to_item};

use super::TestCloud;

#[allow(clippy::expect_used, reason = "a test fails by panicking")]
mod shapes {
    use super::*;

    /// The bus's document of a new event with this payload.
    #[must_use]
    pub fn bus_event<T: Contract>(cloud: &TestCloud, data: &T) -> Value {
        let cause = Cause::root(SagaStyle::Choreographed, None);
        let emission = Emission::new(&cause, data, &cloud.ambient()).expect("a payload");
        let detail: Value = serde_json::from_str(&emission.detail).expect("JSON");
        json!({
            "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": emission.detail_type,
            "source": emission.source, "account": "111122223333", "time": "2026-01-15T10:30:00Z",
            "region": "us-east-1", "resources": [], "detail": detail,
        })
    }

    /// A new event with this payload as the store keeps it, at this version of its aggregate.
    #[must_use]
    pub fn stored_event<T: Contract>(cloud: &TestCloud, version: u64, data: &T) -> StoredEvent {
        let cause = Cause::root(SagaStyle::Choreographed, None);
        let emission = Emission::new(&cause, data, &cloud.ambient()).expect("a payload");
        StoredEvent {
            aggregate_id: emission.ordering_key,
            version,
            event_type: emission.detail_type.into(),
            event_id: emission.event_id.to_string(),
            detail: emission.detail,
        }
    }

    /// One message of a queue, with this body.
    #[must_use]
    pub fn queue_message(id: &str, body: &str) -> Value {
        json!({
            "messageId": id, "receiptHandle": "handle", "body": body, "md5OfBody": "",
            "attributes": { "ApproximateReceiveCount": "1", "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793" },
            "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:queue", "awsRegion": "us-east-1",
        })
    }

    /// A batch of a queue that holds these bus events, with ids `m0`, `m1`, …
    #[must_use]
    pub fn queue_batch(events: &[Value]) -> SqsEvent {
        let messages = events.iter().enumerate();
        let messages: Vec<_> =
            messages.map(|(index, event)| queue_message(&format!("m{index}"), &event.to_string())).collect();
        serde_json::from_value(json!({ "Records": messages })).expect("a batch")
    }

    /// One message of a FIFO queue, of this group.
    #[must_use]
    pub fn ordered_message(id: &str, group: &str, body: &str) -> Value {
        let order = json!({ "MessageGroupId": group, "MessageDeduplicationId": id, "SequenceNumber": "1" });
        let mut message = queue_message(id, body);
        if let Some(attributes) = message.get_mut("attributes") {
            *attributes = merged(attributes.take(), order);
        }
        message
    }

    /// A batch of these messages.
    #[must_use]
    pub fn message_batch(messages: &[Value]) -> SqsEvent {
        serde_json::from_value(json!({ "Records": messages })).expect("a batch")
    }

    /// A batch of a table's stream in which these rows are new, with sequence numbers 100, 101, …
    #[must_use]
    pub fn stream_batch<R: Row>(rows: &[R]) -> StreamEvent {
        records(rows.iter().map(|row| json!({ "NewImage": image(row), "StreamViewType": "NEW_IMAGE" })))
    }

    /// A batch of a table's stream in which these rows changed, from what they were, with sequence numbers 100, 101, …
    #[must_use]
    pub fn stream_changes<R: Row>(changes: &[(Option<R>, R)]) -> StreamEvent {
        records(changes.iter().map(|(old, new)| {
            let view = json!({ "NewImage": image(new), "StreamViewType": "NEW_AND_OLD_IMAGES" });
            match old {
                Some(old) => merged(view, json!({ "OldImage": image(old) })),
                None => view,
            }
        }))
    }

    fn image<R: Row>(row: &R) -> Value {
        super::super::dynamodb::plain(to_item(row).expect("a row"))
    }

    fn merged(mut one: Value, other: Value) -> Value {
        if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
            one.extend(other);
        }
        one
    }

    fn records(changes: impl Iterator<Item = Value>) -> StreamEvent {
        let records = changes.enumerate().map(|(index, change)| {
            let name = if change.get("OldImage").is_some() { "MODIFY" } else { "INSERT" };
            let frame = json!({
                "ApproximateCreationDateTime": 1_768_473_000, "Keys": {},
                "SequenceNumber": (100 + index).to_string(), "SizeBytes": 1,
            });
            json!({
                "eventID": index.to_string(), "eventName": name, "eventVersion": "1.1",
                "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "dynamodb": merged(frame, change),
                "eventSourceARN": "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/S",
            })
        });
        serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).expect("a batch")
    }
}

pub use shapes::{
    bus_event, message_batch, ordered_message, queue_batch, queue_message, stored_event, stream_batch,
    stream_changes,
};
