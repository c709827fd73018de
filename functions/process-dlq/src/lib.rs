//! Dead letters: takes what lies in dead-letter queues into a table, and only then lets go of it.
//!
//! → `MessageParked`. Fed by mappings that are switched on when they are wanted, and on demand: told which queues, it
//! drains them.

use std::collections::BTreeMap;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::dead_letters::{Collector, CollectorConfig, Drained, FailedMessage, Letter, Taken};
use eda::serve::{Function, StartError, Task};
use eda::{Failure, telemetry};
use serde::{Deserialize, Serialize};
use shop::events::MessageParked;

/// Takes dead letters in.
pub struct ProcessDlq {
    collector: Collector,
}

/// What it is told: a mapping's batch, or what to drain.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected letters of a queue, or { queueUrls: [...] }")]
pub enum Input {
    /// Letters of a dead-letter queue, from its mapping.
    Batch(SqsEvent),
    /// Queues to drain.
    Drain(Drain),
}

/// Queues to drain.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// URLs of dead-letter queues.
    pub queue_urls: Vec<String>,
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The letters of the batch that are still to be taken in.
    Batch(SqsBatchResponse),
    /// What became of each queue, by its URL.
    Drained(BTreeMap<String, Drained>),
}

impl Function for ProcessDlq {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = CollectorConfig;

    async fn start(aws: &Aws, config: CollectorConfig) -> Result<Self, StartError> {
        Ok(Self { collector: Collector::new(aws, config)? })
    }
}

impl Task for ProcessDlq {
    type Input = Input;
    type Report = Report;

    async fn run(&self, input: Input, deadline: Deadline) -> Result<Report, Failure> {
        match input {
            Input::Batch(batch) => Ok(Report::Batch(self.take(batch, deadline).await)),
            Input::Drain(Drain { queue_urls }) => {
                let mut drained = BTreeMap::new();
                for url in queue_urls {
                    let done = self.collector.drain(&url, deadline, parked, told).await?;
                    drained.insert(url, done);
                }
                Ok(Report::Drained(drained))
            }
        }
    }
}

impl ProcessDlq {
    /// A dead-letter queue has none of its own: what cannot be taken in now stays, and comes again.
    async fn take(&self, batch: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in batch.records {
            if deadline.passed() {
                response.batch_item_failures.push(again(message));
                continue;
            }
            match self.collector.take(&Letter::of_batch(&message), parked).await {
                Ok(Taken::In(row)) => told(&row),
                Ok(Taken::Before) => {}
                Err(failure) => {
                    tracing::error!(
                        messageId = message.message_id,
                        failure = failure.chain(),
                        "stays in its dead-letter queue"
                    );
                    response.batch_item_failures.push(again(message));
                }
            }
        }
        response
    }
}

fn again(message: SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message.message_id.unwrap_or_default();
    failure
}

fn parked(row: &FailedMessage) -> MessageParked {
    MessageParked {
        failure_id: row.failure_id.clone(),
        group: row.group.to_string(),
        place: row.place.clone(),
        cause: row.cause.clone(),
        event_type: row.event.as_ref().map(|event| event.detail_type.clone()),
        attempts: row.attempts,
        failures: row.failures,
    }
}

fn told(row: &FailedMessage) {
    telemetry::report_of_group(ProcessDlq::NAME, "MessagesParked", row.group.as_str(), 1);
}
