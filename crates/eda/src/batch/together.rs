use std::future::Future;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use tracing::Instrument;

use super::queue::{decode, enter, span_of};
use super::{Deadline, Parking};
use crate::Failure;
use crate::event::Message;
use crate::failure::Kind;
use crate::serve::Function;
use crate::telemetry::Batch;

/// Handles the messages of a queue's batch together, where that takes fewer calls than one after the other.
pub trait BatchConsumer: Function {
    /// What it consumes.
    type Message: Message;

    /// Handles the messages, and says of each, in their order, what came of it. A failure of the whole is each one's.
    fn consume_all(
        &self,
        messages: Vec<Self::Message>,
    ) -> impl Future<Output = Result<Vec<Result<(), Failure>>, Failure>> + Send;
}

/// Runs a batch consumer over SQS batches, as [`QueueWorker`](super::QueueWorker) runs a consumer.
pub struct BatchWorker<C> {
    consumer: C,
    parking: Parking,
}

impl<C: BatchConsumer> BatchWorker<C> {
    /// A worker that parks poison there.
    #[must_use]
    pub fn new(consumer: C, parking: Parking) -> Self {
        Self { consumer, parking }
    }

    /// Handles a batch. What nobody can read is parked and takes none of the others down.
    pub async fn handle(&self, batch: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        let (mut readable, mut messages, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for record in &batch.records {
            let message = decode::<C::Message>(record);
            let span = span_of(record, message.as_ref().ok());
            match message {
                Ok(message) => {
                    readable.push((record, span));
                    messages.push(message);
                }
                Err(failure) => settled.push(((record, span), Err(failure))),
            }
        }
        settled.extend(readable.into_iter().zip(self.consume(messages, deadline).await));
        let mut response = SqsBatchResponse::default();
        for ((record, span), handled) in settled {
            let verdict = self.parking.settle(record, handled).instrument(span).await;
            enter(&mut report, &mut response, record, verdict);
        }
        report.count_refusals();
        response
    }

    /// One result per message, whatever the consumer or the deadline did.
    async fn consume(&self, messages: Vec<C::Message>, deadline: Deadline) -> Vec<Result<(), Failure>> {
        let total = messages.len();
        if total == 0 {
            return Vec::new();
        }
        let handled = tokio::time::timeout_at(deadline.instant(), self.consumer.consume_all(messages)).await;
        let (mut results, missing) = match handled {
            Ok(Ok(results)) => (results, Failure::transient("it was left out")),
            Ok(Err(failure)) => (Vec::new(), failure),
            Err(_) => (Vec::new(), Failure::transient("the deadline came first")),
        };
        results.resize_with(total, || {
            let reason = missing.chain();
            Err(match missing.kind() {
                Kind::Transient => Failure::transient(reason),
                Kind::Permanent => Failure::permanent(reason),
            })
        });
        results
    }
}
