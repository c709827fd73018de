use std::future::Future;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use tracing::Instrument;

use super::parking::Verdict;
use super::queue::{decode, enter, span_of};
use super::{Deadline, Parking};
use crate::Failure;
use crate::event::Message;
use crate::serve::Function;
use crate::telemetry::Batch;

/// How far a stretch of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// To the end.
    Done,
    /// Further than before, and there is more to do.
    Further,
}

/// Handles messages whose work may take longer than an invocation, and that remembers how far it has come.
pub trait LongConsumer: Function {
    /// What it consumes.
    type Message: Message;

    /// Works on a message until it is done or the deadline comes. A stretch that came no further is a failure.
    fn work(
        &self,
        message: &Self::Message,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Stretch, Failure>> + Send;
}

/// Runs a long consumer over SQS batches, one message after the other.
///
/// What a stretch leaves goes back to the queue as a new message, so that it goes on at once, and receive counts tell of
/// stretches that came no further: however long the work, it is never parked for its length.
pub struct LongWorker<C> {
    consumer: C,
    parking: Parking,
}

impl<C: LongConsumer> LongWorker<C> {
    /// A worker that parks poison there.
    #[must_use]
    pub fn new(consumer: C, parking: Parking) -> Self {
        Self { consumer, parking }
    }

    /// Handles a batch.
    pub async fn handle(&self, batch: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        let mut response = SqsBatchResponse::default();
        for record in &batch.records {
            let verdict = if deadline.passed() {
                Verdict::Again(None)
            } else {
                let message = decode::<C::Message>(record);
                let span = span_of(record, message.as_ref().ok());
                self.work(record, message, deadline).instrument(span).await
            };
            enter(&mut report, &mut response, record, verdict);
        }
        report.count_refusals();
        response
    }

    /// A stretch of work; what it leaves is sent back, and the message is done with.
    async fn work(
        &self,
        record: &SqsMessage,
        message: Result<C::Message, Failure>,
        deadline: Deadline,
    ) -> Verdict {
        let worked = match message {
            Ok(message) => self.consumer.work(&message, deadline).await,
            Err(failure) => Err(failure),
        };
        let handled = match worked {
            Ok(Stretch::Done) => Ok(()),
            Ok(Stretch::Further) => self.parking.send_back(record).await,
            Err(failure) => Err(failure),
        };
        self.parking.settle(record, handled).await
    }
}
