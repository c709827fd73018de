use std::future::Future;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt;
use futures::stream;
use tracing::Instrument;

use super::{CONCURRENCY, Deadline, Parking, lanes};
use crate::Failure;
use crate::event::{BusEvent, Message};
use crate::failure::Kind;
use crate::serve::Function;
use crate::telemetry::Batch;

/// Handles the messages of a queue, one at a time.
pub trait Consumer: Function {
    /// What it consumes.
    type Message: Message;

    /// Messages that share a lane are handled one after another, in the batch's order.
    fn lanes(message: &Self::Message) -> Vec<String> {
        vec![message.ordering_key().to_owned()]
    }

    /// Handles one message. `Ok` acknowledges it: the work is done, was done before, or was refused for good and
    /// said so in an event.
    fn consume(&self, message: Self::Message) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Runs a consumer over SQS batches.
///
/// Reports exactly the messages that must be delivered again. A permanent failure is parked with its reason and
/// acknowledged; what the deadline cut off is reported as not done.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub struct QueueWorker<C> {
    consumer: C,
    parking: Parking,
}

enum Verdict {
    Done,
    Again,
    Parked,
}

impl<C: Consumer> QueueWorker<C> {
    /// A worker that parks poison there.
    #[must_use]
    pub fn new(consumer: C, parking: Parking) -> Self {
        Self { consumer, parking }
    }

    /// The consumer.
    pub fn consumer(&self) -> &C {
        &self.consumer
    }

    /// Handles a batch.
    pub async fn handle(&self, batch: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        let mut decoded: Vec<_> =
            batch.records.iter().map(|record| Some(decode::<C::Message>(record))).collect();
        let keys: Vec<_> = decoded
            .iter()
            .map(|message| match message {
                Some(Ok(message)) => C::lanes(message),
                _ => Vec::new(),
            })
            .collect();
        let mut again = vec![true; batch.records.len()];
        let work = lanes(&keys).into_iter().map(|lane| {
            let lane = lane.into_iter().filter_map(|index| {
                let message = decoded.get_mut(index).and_then(Option::take)?;
                Some((index, batch.records.get(index)?, message))
            });
            let lane: Vec<_> = lane.collect();
            Box::pin(stream::iter(lane).then(async |(index, record, message)| {
                if deadline.passed() {
                    return (index, Verdict::Again);
                }
                (index, self.verdict(record, message).await)
            }))
        });
        let work: Vec<_> = work.collect();
        let mut verdicts = stream::iter(work).flatten_unordered(CONCURRENCY);
        while let Ok(Some((index, verdict))) =
            tokio::time::timeout_at(deadline.instant(), verdicts.next()).await
        {
            match verdict {
                Verdict::Done => report.done += 1,
                Verdict::Parked => report.parked += 1,
                Verdict::Again => continue,
            }
            if let Some(again) = again.get_mut(index) {
                *again = false;
            }
        }
        drop(verdicts);
        let mut response = SqsBatchResponse::default();
        for (record, again) in batch.records.iter().zip(again) {
            if again {
                report.again += 1;
                response.batch_item_failures.push(item_failure(record));
            }
        }
        response
    }

    async fn verdict(&self, record: &SqsMessage, message: Result<C::Message, Failure>) -> Verdict {
        let message_id = record.message_id.as_deref().unwrap_or_default();
        let handled = match message {
            Ok(message) => {
                let metadata = message.metadata();
                let span = tracing::info_span!(
                    "message",
                    messageId = message_id,
                    eventId = %metadata.event_id,
                    correlationId = %metadata.correlation_id,
                    causationId = metadata.causation_id.map(tracing::field::display),
                    key = message.ordering_key(),
                );
                self.consumer.consume(message).instrument(span).await
            }
            Err(failure) => Err(failure),
        };
        let Err(failure) = handled else {
            return Verdict::Done;
        };
        if failure.kind() == Kind::Transient {
            tracing::warn!(messageId = message_id, failure = failure.chain(), "will be delivered again");
            return Verdict::Again;
        }
        // Only the outer frame: inner ones may quote the payload, and payloads hold personal data.
        tracing::error!(messageId = message_id, %failure, "parked; the whole reason is in the message's attributes");
        match self.parking.park(record, &failure).await {
            Ok(()) => Verdict::Parked,
            Err(failure) => {
                tracing::error!(messageId = message_id, failure = failure.chain(), "could not be parked");
                Verdict::Again
            }
        }
    }
}

fn item_failure(record: &SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.clone().unwrap_or_default();
    failure
}

fn decode<M: Message>(record: &SqsMessage) -> Result<M, Failure> {
    let body = record.body.as_deref().unwrap_or_default();
    let mut event = BusEvent::parse(body)?;
    event.trace = record.attributes.get("AWSTraceHeader").cloned();
    Ok(M::decode(&event)?)
}
