use std::future::Future;

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord, StreamRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::Deadline;
use crate::Failure;
use crate::serve::Function;
use crate::telemetry::Batch;

/// What is read of a record of a stream.
pub trait Image: Sized + Send {
    /// Reads it.
    ///
    /// # Errors
    /// Where an image is not what it should be.
    fn read(record: StreamRecord) -> Result<Self, serde_dynamo::Error>;
}

/// The new image alone.
impl<T: DeserializeOwned + Send> Image for T {
    fn read(record: StreamRecord) -> Result<Self, serde_dynamo::Error> {
        serde_dynamo::from_item(record.new_image)
    }
}

/// What an item was and what it became, in a stream of new and old images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Before; `None` where the item is new.
    pub old: Option<T>,
    /// After.
    pub new: T,
    /// When, if the stream says so.
    pub at: Option<Timestamp>,
}

impl<T: DeserializeOwned + Send> Image for Change<T> {
    fn read(record: StreamRecord) -> Result<Self, serde_dynamo::Error> {
        let at = record.approximate_creation_date_time.timestamp_millis();
        Ok(Self {
            old: Some(record.old_image)
                .filter(|old| !old.is_empty())
                .map(serde_dynamo::from_item)
                .transpose()?,
            new: serde_dynamo::from_item(record.new_image)?,
            at: Timestamp::from_millisecond(at).ok().filter(|at| *at > Timestamp::UNIX_EPOCH),
        })
    }
}

/// Handles batches of records of a DynamoDB stream.
pub trait StreamConsumer: Function {
    /// What a record is read as: a row for its new image, or a [`Change`].
    type Image: Image;

    /// Handles the images, in stream order. On an error the stream delivers again from the first image that failed.
    fn consume(
        &self,
        images: Vec<Self::Image>,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), FailedAt>> + Send;
}

/// The first image that failed, by its position, and why.
#[derive(Debug)]
pub struct FailedAt {
    /// Position in the images handed over.
    pub position: usize,
    /// Why.
    pub failure: Failure,
}

/// Runs a consumer over stream batches.
///
/// A stream stops at the first failure: the answer names its sequence number. An image that nobody can read is
/// logged and left where it is, in its table; it does not take its neighbours down.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
pub struct StreamWorker<C> {
    consumer: C,
}

impl<C: StreamConsumer> StreamWorker<C> {
    /// A worker over this consumer.
    #[must_use]
    pub fn new(consumer: C) -> Self {
        Self { consumer }
    }

    /// Handles a batch.
    pub async fn handle(&self, batch: StreamEvent, deadline: Deadline) -> DynamoDbEventResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        let (mut sequence_numbers, mut images) = (Vec::new(), Vec::new());
        for record in batch.records {
            let EventRecord { change, event_id, .. } = record;
            let sequence_number = change.sequence_number.clone();
            match C::Image::read(change) {
                Ok(image) => {
                    images.push(image);
                    sequence_numbers.push(sequence_number);
                }
                Err(_) => {
                    report.parked += 1;
                    tracing::error!(
                        streamEventId = event_id,
                        "an image cannot be read; its row stays in the table"
                    );
                }
            }
        }
        let total = images.len();
        let mut response = DynamoDbEventResponse::default();
        let consumed = self.consumer.consume(images, deadline).await;
        if let Some(position) = stopped_at(&mut report, total, consumed) {
            let mut failed = DynamoDbBatchItemFailure::default();
            failed.item_identifier = sequence_numbers.into_iter().nth(position).flatten();
            response.batch_item_failures.push(failed);
        }
        response
    }
}

/// Takes what became of so many records into the batch's figures: the position from which the stream delivers again, if it does.
pub(super) fn stopped_at(report: &mut Batch, total: usize, consumed: Result<(), FailedAt>) -> Option<usize> {
    let Err(FailedAt { position, failure }) = consumed else {
        report.done = total;
        return None;
    };
    tracing::warn!(failure = failure.chain(), position, "the stream will deliver again from here");
    report.done = position;
    report.again = total.saturating_sub(position);
    Some(position)
}
