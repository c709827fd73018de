//! The function killed at each of its calls: no letter is lost, and none is counted twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::dead_letters::{FailedMessage, FailureState, MOST_INLINE};
use eda::serve::Task;
use eda::testing::{Death, Fault, TestCloud};
use process_dlq::ProcessDlq;
use serde_json::{Value, json};

const QUEUE: &str = "CancelOrderDeadLetterQueue";

/// A dead-letter queue: a letter stays until its deletion has reached it.
struct Queue {
    letters: Vec<(&'static str, String)>,
}

impl Queue {
    /// One letter that fits a row, and one that is too large for it.
    fn full() -> Self {
        let large = "x".repeat(MOST_INLINE + 1);
        Self { letters: vec![("m1", "small".to_owned()), ("m2", large)] }
    }

    /// What the next receives give: all letters that are still there, then nothing.
    fn serve(&self, cloud: &TestCloud) {
        let arn =
            json!({ "Attributes": { "QueueArn": "arn:aws:sqs:us-east-1:1:cancel-order-dead-letters" } });
        cloud.inject("sqs:GetQueueAttributes", Fault::Answered(arn));
        let letters: Vec<_> = self.letters.iter().map(|(id, body)| letter(id, body)).collect();
        cloud.inject("sqs:ReceiveMessage", Fault::Answered(json!({ "Messages": letters })));
        cloud.inject("sqs:ReceiveMessage", Fault::Answered(json!({})));
    }

    /// Takes out what has been deleted. A letter must have its row by then.
    fn settle(&mut self, cloud: &TestCloud) {
        let kept: Vec<FailedMessage> = cloud.rows("FailedMessagesTable");
        for call in cloud.take_calls().into_iter().filter(|call| call.name == "sqs:DeleteMessage") {
            let handle = call.body["ReceiptHandle"].as_str().unwrap();
            assert!(
                kept.iter().any(|row| row.letters.iter().any(|id| id == handle)),
                "{handle} is deleted and was not kept"
            );
            self.letters.retain(|(id, _)| *id != handle);
        }
    }
}

fn letter(id: &str, body: &str) -> Value {
    json!({
        "MessageId": id, "ReceiptHandle": id, "Body": body, "Attributes": { "ApproximateReceiveCount": "3" },
        "MessageAttributes": { "reason": { "DataType": "String", "StringValue": "broken" } },
    })
}

async fn drain(cloud: &TestCloud) {
    let function = cloud.start::<ProcessDlq>().await;
    let input = serde_json::from_value(json!({ "queueUrls": [QUEUE] })).unwrap();
    let deadline = cloud.deadline();
    // Killed: whoever waits for it gives up.
    let _ = tokio::time::timeout(Duration::from_secs(1), function.run(input, deadline)).await;
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_it_loses_no_letter_and_counts_none_twice() {
    let calls = {
        let (cloud, queue) = (TestCloud::of("process-dlq"), Queue::full());
        queue.serve(&cloud);
        drain(&cloud).await;
        cloud.take_call_names()
    };
    assert!(calls.len() >= 8 && calls.contains(&"s3:PutObject".to_owned()), "{calls:?}");
    for (nth, call) in calls.iter().enumerate() {
        for death in [Death::Before, Death::After] {
            let story = format!("killed {death:?} call {nth}, {call}");
            let (cloud, mut queue) = (TestCloud::of("process-dlq"), Queue::full());
            queue.serve(&cloud);
            cloud.kill_at(nth, death);
            drain(&cloud).await;
            queue.settle(&cloud);
            cloud.clear_faults();
            queue.serve(&cloud);
            drain(&cloud).await;
            queue.settle(&cloud);

            assert!(queue.letters.is_empty(), "{story}: letters are left");
            let rows: Vec<FailedMessage> = cloud.rows("FailedMessagesTable");
            assert_eq!(rows.len(), 2, "{story}");
            for row in &rows {
                assert_eq!((row.status, row.failures), (FailureState::Failed, 1), "{story}: {row:?}");
            }
            assert_eq!(cloud.announced_names(), ["MessageParked", "MessageParked"], "{story}");
        }
    }
}
