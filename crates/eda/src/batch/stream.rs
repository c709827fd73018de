use std::future::Future;

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use serde::de::DeserializeOwned;

use super::Deadline;
use crate::Failure;
use crate::serve::Function;
use crate::telemetry::Batch;

/// Handles batches of new images of a DynamoDB stream.
pub trait StreamConsumer: Function {
    /// What a new image is read as.
    type Image: DeserializeOwned + Send;

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
            match serde_dynamo::from_item(change.new_image) {
                Ok(image) => {
                    images.push(image);
                    sequence_numbers.push(change.sequence_number);
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
        match self.consumer.consume(images, deadline).await {
            Ok(()) => report.done = total,
            Err(FailedAt { position, failure }) => {
                tracing::warn!(
                    failure = failure.chain(),
                    position,
                    "the stream will deliver again from here"
                );
                report.done = position;
                report.again = total.saturating_sub(position);
                let mut failed = DynamoDbBatchItemFailure::default();
                failed.item_identifier = sequence_numbers.into_iter().nth(position).flatten();
                response.batch_item_failures.push(failed);
            }
        }
        response
    }
}
