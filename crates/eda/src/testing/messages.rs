use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::sqs::SqsEvent;
use serde_json::{Value, json};

use crate::event::{Cause, Contract, Emission, SagaStyle};
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

    /// A batch of a table's stream in which these rows are new, with sequence numbers 100, 101, …
    #[must_use]
    pub fn stream_batch<R: Row>(rows: &[R]) -> StreamEvent {
        let records = rows.iter().enumerate().map(|(index, row)| {
            let image = super::super::dynamodb::plain(to_item(row).expect("a row"));
            json!({
                "eventID": index.to_string(), "eventName": "INSERT", "eventVersion": "1.1",
                "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_768_473_000, "Keys": {}, "NewImage": image,
                    "SequenceNumber": (100 + index).to_string(), "SizeBytes": 1, "StreamViewType": "NEW_IMAGE",
                },
                "eventSourceARN": "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/S",
            })
        });
        serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).expect("a batch")
    }
}

pub use shapes::{bus_event, queue_batch, queue_message, stream_batch};
