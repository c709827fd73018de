use std::future::Future;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt;
use futures::stream;
use tracing::{Instrument, Span};

use super::parking::Verdict;
use super::{CONCURRENCY, Deadline, Parking, lanes};
use crate::Failure;
use crate::event::{BusEvent, Message};
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
/// acknowledged; what the deadline cut off is reported as not done; what cannot be handled before some time is hidden
/// until then.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub struct QueueWorker<C> {
    consumer: C,
    parking: Parking,
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
        let metadata: Vec<_> = decoded
            .iter()
            .map(|message| match message {
                Some(Ok(message)) => Some(message.metadata().clone()),
                _ => None,
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
                    return (index, Verdict::Again(None));
                }
                (index, self.verdict(record, message).await)
            }))
        });
        let work: Vec<_> = work.collect();
        let mut waiting = Vec::new();
        let mut verdicts = stream::iter(work).flatten_unordered(CONCURRENCY);
        while let Ok(Some((index, verdict))) =
            tokio::time::timeout_at(deadline.instant(), verdicts.next()).await
        {
            match verdict {
                Verdict::Done => {
                    report.done += 1;
                    metadata.get(index).into_iter().flatten().for_each(|metadata| report.aged(metadata));
                }
                Verdict::Parked => report.parked += 1,
                Verdict::Again(wait) => {
                    waiting.extend(batch.records.get(index).zip(wait));
                    continue;
                }
            }
            if let Some(again) = again.get_mut(index) {
                *again = false;
            }
        }
        drop(verdicts);
        if !waiting.is_empty() {
            // What this does not reach in time comes again after the visibility timeout.
            let until = deadline.instant() + Deadline::MARGIN / 2;
            let _ = tokio::time::timeout_at(until, self.parking.postpone(&waiting)).await;
        }
        let mut response = SqsBatchResponse::default();
        for (record, again) in batch.records.iter().zip(again) {
            if again {
                report.again += 1;
                response.batch_item_failures.push(item_failure(record));
            }
        }
        report.count_refusals();
        response
    }

    async fn verdict(&self, record: &SqsMessage, message: Result<C::Message, Failure>) -> Verdict {
        let span = span_of(record, message.as_ref().ok());
        let work = async {
            let handled = match message {
                Ok(message) => self.consumer.consume(message).await,
                Err(failure) => Err(failure),
            };
            self.parking.settle(record, handled).await
        };
        work.instrument(span).await
    }
}

/// What every line says that is logged about a message: as far as it can be read, the event and the business transaction that it
/// belongs to. The queries that are saved with the stack look for these names.
pub(super) fn span_of<M: Message>(record: &SqsMessage, message: Option<&M>) -> Span {
    let message_id = record.message_id.as_deref().unwrap_or_default();
    let Some(message) = message else {
        return tracing::info_span!("message", messageId = message_id);
    };
    let metadata = message.metadata();
    tracing::info_span!(
        "message",
        messageId = message_id,
        eventId = %metadata.event_id,
        correlationId = %metadata.correlation_id,
        causationId = metadata.causation_id.map(tracing::field::display),
        key = message.ordering_key(),
    )
}

/// Takes what became of a message into the batch's figures, and into its answer where it is to come again.
pub(super) fn enter(
    report: &mut Batch,
    response: &mut SqsBatchResponse,
    record: &SqsMessage,
    verdict: Verdict,
) {
    match verdict {
        Verdict::Done => report.done += 1,
        Verdict::Parked => report.parked += 1,
        Verdict::Again(_) => {
            report.again += 1;
            response.batch_item_failures.push(item_failure(record));
        }
    }
}

pub(super) fn item_failure(record: &SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.clone().unwrap_or_default();
    failure
}

pub(super) fn decode<M: Message>(record: &SqsMessage) -> Result<M, Failure> {
    let body = record.body.as_deref().unwrap_or_default();
    let mut event = BusEvent::parse(body)?;
    event.trace = record.attributes.get("AWSTraceHeader").cloned();
    Ok(M::decode(&event)?)
}
