use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt;
use futures::stream;
use tracing::Instrument;

use super::queue::{Consumer, decode, item_failure};
use super::sequence::{HeldGroup, PLACE, Sequences, SequencesConfig, is_given_up, place_of};
use super::{CONCURRENCY, Deadline, Parking};
use crate::Failure;
use crate::aws::Aws;
use crate::event::{Message, Metadata};
use crate::failure::Kind;
use crate::telemetry::Batch;

/// Runs a consumer over the batches of a FIFO queue: the messages of a group in their order, groups side by side.
///
/// A group stops at a failure that may pass: that message and those behind it are delivered again, in order. A message
/// that no repetition can help is parked, and its group is held: what comes behind it is parked behind it, so nothing
/// overtakes it, in its dead-letter queue or out of it. From there they are retried in order, and when the last one is done
/// the group goes on. Other groups notice nothing.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub struct OrderedWorker<C> {
    consumer: C,
    parking: Parking,
    sequences: Sequences,
}

impl<C: Consumer> OrderedWorker<C> {
    /// A worker that parks poison there, and notes held groups.
    #[must_use]
    pub fn new(consumer: C, parking: Parking, aws: &Aws, sequences: SequencesConfig) -> Self {
        let sequences = Sequences::new(aws.dynamodb(), sequences, aws.ambient());
        Self { consumer, parking, sequences }
    }

    /// Handles a batch: one read per group, and what its messages take.
    pub async fn handle(&self, batch: SqsEvent, deadline: Deadline) -> SqsBatchResponse {
        let mut report = Batch::start(C::NAME, batch.records.len());
        let settled = Mutex::new(vec![None; batch.records.len()]);
        let settle = |index: usize, verdict| {
            let mut settled = settled.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = settled.get_mut(index) {
                *slot = Some(verdict);
            }
        };
        let groups = groups(&batch.records);
        let work =
            groups.iter().map(|(group, records)| Box::pin(self.group(group, records, deadline, &settle)));
        let work: Vec<_> = work.collect();
        let all = stream::iter(work).buffer_unordered(CONCURRENCY).collect::<()>();
        // What this cuts off is delivered again, with all that is behind it.
        let _ = tokio::time::timeout_at(deadline.instant(), all).await;
        let mut response = SqsBatchResponse::default();
        let settled = std::mem::take(&mut *settled.lock().unwrap_or_else(PoisonError::into_inner));
        for (record, settled) in batch.records.iter().zip(settled) {
            match settled {
                Some(Settled::Done(metadata)) => {
                    report.done += 1;
                    metadata.iter().for_each(|metadata| report.aged(metadata));
                }
                Some(Settled::Parked) => report.parked += 1,
                None => {
                    report.again += 1;
                    response.batch_item_failures.push(item_failure(record));
                }
            }
        }
        report.count_refusals();
        response
    }

    /// Handles the messages of a group, until one has to come again.
    async fn group(
        &self,
        group: &str,
        records: &[(usize, &SqsMessage)],
        deadline: Deadline,
        settle: &(impl Fn(usize, Settled) + Sync),
    ) {
        let again = |failure: &Failure, message: Option<&str>| {
            let failure = failure.chain();
            tracing::warn!(messageId = message, failure, "will be delivered again, and what is behind it");
        };
        let mut held = match self.sequences.of(self.parking.function(), group).await {
            Ok(held) => held,
            Err(failure) => return again(&failure, None),
        };
        for (index, record) in records {
            if deadline.passed() {
                return;
            }
            match self.one(&mut held, record).await {
                Ok(settled) => settle(*index, settled),
                Err(failure) => return again(&failure, record.message_id.as_deref()),
            }
        }
    }

    /// Handles a message where it is its turn, and else parks it behind those that it has to wait for.
    async fn one(&self, held: &mut HeldGroup, record: &SqsMessage) -> Result<Settled, Failure> {
        let place = place_in_group(record);
        if is_given_up(record) {
            self.sequences.release(held, place).await?;
            return Ok(Settled::Done(None));
        }
        // A retry whose place is taken no more was done before: doing it again changes nothing.
        let done_before = place_of(record).is_some() && held.waiting.iter().all(|waiting| waiting != place);
        let its_turn = held.waiting.first().is_none_or(|first| first == place);
        if !its_turn && !done_before {
            let reason = Failure::permanent("it waits behind a parked message of its group");
            return self.park(held, record, &reason).await;
        }
        match self.consume(record).await {
            Ok(metadata) => {
                self.sequences.release(held, place).await?;
                Ok(Settled::Done(Some(metadata)))
            }
            Err(failure) if failure.kind() == Kind::Transient => Err(failure),
            Err(failure) => self.park(held, record, &failure).await,
        }
    }

    async fn consume(&self, record: &SqsMessage) -> Result<Metadata, Failure> {
        let message: C::Message = decode(record)?;
        let metadata = message.metadata().clone();
        let span = tracing::info_span!(
            "message",
            messageId = record.message_id,
            eventId = %metadata.event_id,
            correlationId = %metadata.correlation_id,
            causationId = metadata.causation_id.map(tracing::field::display),
            key = message.ordering_key(),
        );
        self.consumer.consume(message).instrument(span).await.map(|()| metadata)
    }

    /// Holds the group first: killed after that, the message comes again and is parked then.
    async fn park(
        &self,
        held: &mut HeldGroup,
        record: &SqsMessage,
        reason: &Failure,
    ) -> Result<Settled, Failure> {
        let place = place_in_group(record);
        self.sequences.hold(held, place).await?;
        self.parking.park(record, reason, &[(PLACE, place)]).await?;
        // Only the outer frame: inner ones may quote the payload, and payloads hold personal data.
        tracing::error!(messageId = record.message_id, failure = %reason, "parked, and its group is held");
        Ok(Settled::Parked)
    }
}

/// The place that the message has in its group: that of the parked message which it is a retry of, or its own.
fn place_in_group(record: &SqsMessage) -> &str {
    place_of(record).or(record.message_id.as_deref()).unwrap_or_default()
}

/// What became of a message that need not come again.
#[derive(Clone, Debug)]
enum Settled {
    /// It is done; what it says about itself.
    Done(Option<Metadata>),
    Parked,
}

/// The messages of each group, with their positions.
fn groups(records: &[SqsMessage]) -> Vec<(&str, Vec<(usize, &SqsMessage)>)> {
    let mut groups: Vec<(&str, Vec<(usize, &SqsMessage)>)> = Vec::new();
    let mut place: HashMap<&str, usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let group = record.attributes.get("MessageGroupId").map(String::as_str).unwrap_or_default();
        let at = *place.entry(group).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, records)) => records.push((index, record)),
            None => groups.push((group, vec![(index, record)])),
        }
    }
    groups
}
