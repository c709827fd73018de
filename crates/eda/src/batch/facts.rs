use std::future::Future;

use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::streams::{KinesisBatchItemFailure, KinesisEventResponse};
use envconfig::Envconfig;
use serde_json::json;

use super::stream::stopped_at;
use super::{Deadline, FailedAt};
use crate::Failure;
use crate::event::{BusEvent, Message, Metadata};
use crate::failure::PERMANENT;
use crate::serve::Function;
use crate::telemetry::Batch;

/// Handles batches of a Kinesis stream of facts.
pub trait FactConsumer: Function {
    /// What it consumes.
    type Message: Message + Send;

    /// Handles facts of a shard, in their order. On an error the stream delivers again from the first that failed.
    fn consume(
        &self,
        shard: &str,
        facts: Vec<Self::Message>,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), FailedAt>> + Send;
}

/// Where a stream's unreadable records go.
#[derive(Clone, Debug, Envconfig)]
pub struct FactsConfig {
    /// URL of the queue of what streams' readers gave up on.
    #[envconfig(from = "FAILURES_QUEUE_URL")]
    pub failures_queue_url: String,
    /// The function's own name, as Lambda sets it: whom a retry is handed to.
    #[envconfig(from = "AWS_LAMBDA_FUNCTION_NAME")]
    pub function_name: Option<String>,
}

/// Runs a consumer over Kinesis batches.
///
/// A stream stops at the first failure: the answer names its sequence number. A record that nobody can read goes to the queue
/// of what was given up on, with the reason and in a shape that can be retried; its neighbours do not wait for it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html>
pub struct FactWorker<C> {
    consumer: C,
    sqs: aws_sdk_sqs::Client,
    config: FactsConfig,
}

impl<C: FactConsumer> FactWorker<C> {
    /// A worker over this consumer.
    #[must_use]
    pub fn new(consumer: C, sqs: aws_sdk_sqs::Client, config: FactsConfig) -> Self {
        Self { consumer, sqs, config }
    }

    /// Handles a batch.
    pub async fn handle(&self, batch: KinesisEvent, deadline: Deadline) -> KinesisEventResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        // A batch is of one shard.
        let shard = batch.records.first().map(shard_of).unwrap_or_default().to_owned();
        let (mut sequence_numbers, mut facts) = (Vec::new(), Vec::new());
        let mut response = KinesisEventResponse::default();
        for record in &batch.records {
            let sequence_number = record.kinesis.sequence_number.clone();
            match read::<C::Message>(record) {
                Ok(fact) => {
                    facts.push(fact);
                    sequence_numbers.push(sequence_number);
                }
                Err(failure) => match self.give_up(record, &failure).await {
                    Ok(()) => report.parked += 1,
                    // Those before it may be done; it is not, nor what follows.
                    Err(failure) => {
                        tracing::error!(
                            failure = failure.chain(),
                            "an unreadable record could not be given up"
                        );
                        response.batch_item_failures.push(failed(Some(sequence_number)));
                        break;
                    }
                },
            }
        }
        let total = facts.len();
        let known: Vec<_> = facts.iter().map(|fact| fact.metadata().clone()).collect();
        let consumed = self.consumer.consume(&shard, facts, deadline).await;
        if let Some(position) = stopped_at(&mut report, total, consumed) {
            if let Some(Metadata { event_id, correlation_id, .. }) = known.get(position) {
                tracing::warn!(eventId = %event_id, correlationId = %correlation_id, "it will be counted then");
            }
            response.batch_item_failures.clear();
            response.batch_item_failures.push(failed(sequence_numbers.into_iter().nth(position)));
        }
        response
    }

    /// As an asynchronous invocation that failed tells it, so that a retry hands this record to the function again.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
    async fn give_up(&self, record: &KinesisEventRecord, reason: &Failure) -> Result<(), Failure> {
        // Only the outer frame: inner ones may quote the payload, and payloads hold personal data.
        tracing::error!(recordId = record.event_id, failure = %reason, "given up; the whole reason is in the letter");
        let function = self.config.function_name.as_deref().unwrap_or(C::NAME);
        let letter = json!({
            "version": "1.0",
            "requestContext": { "functionArn": function, "condition": "Unreadable", "approximateInvokeCount": 1 },
            "requestPayload": { "Records": [record] },
            "responsePayload": { "errorType": PERMANENT, "errorMessage": reason.chain() },
        });
        let send = self.sqs.send_message().queue_url(&self.config.failures_queue_url);
        let sent = send.message_body(letter.to_string()).send().await;
        sent.map(drop).map_err(|error| Failure::transient("the record could not be given up").because(error))
    }
}

/// `shardId-000000000000:49590338…` names the shard and the record.
fn shard_of(record: &KinesisEventRecord) -> &str {
    let id = record.event_id.as_deref().unwrap_or_default();
    id.split(':').next().unwrap_or_default()
}

fn failed(sequence_number: Option<String>) -> KinesisBatchItemFailure {
    let mut failure = KinesisBatchItemFailure::default();
    failure.item_identifier = sequence_number;
    failure
}

fn read<M: Message>(record: &KinesisEventRecord) -> Result<M, Failure> {
    let text = std::str::from_utf8(&record.kinesis.data.0)
        .map_err(|error| Failure::permanent("the record is no text").because(error))?;
    Ok(M::decode(&BusEvent::parse(text)?)?)
}
