use std::borrow::Cow;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::ordered::{Channel, in_order};
use super::{OutboxRow, PublisherConfig};
use crate::Failure;
use crate::aws::Aws;
use crate::bus::Verdict;
use crate::event::BusEvent;

/// The longest name of a message group.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagegroupid-property.html>
const LONGEST_GROUP: usize = 128;

/// The ordered channels, as far as there are any.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    queue: Option<Queue>,
    stream: Option<Stream>,
}

impl Channels {
    pub(super) fn new(aws: &Aws, config: &PublisherConfig) -> Self {
        let queue = config.ordered_queue.clone().map(|url| Queue { sqs: aws.sqs(), url });
        let stream = config.facts_stream.clone().map(|name| Stream { kinesis: aws.kinesis(), name });
        Self { queue, stream }
    }

    /// Sends the rows that are for an ordered channel, on both at once. Says of each row whether it is on all of its own, and
    /// so ready for the bus.
    pub(super) async fn send(&self, rows: &[OutboxRow]) -> Vec<bool> {
        let of = |wanted: fn(&OutboxRow) -> bool| {
            rows.iter().enumerate().filter(move |(_, row)| wanted(row)).collect()
        };
        let queued = async {
            match &self.queue {
                Some(queue) => in_order(queue, of(|row| row.group.is_some())).await,
                None => Vec::new(),
            }
        };
        let streamed = async {
            match &self.stream {
                Some(stream) => in_order(stream, of(|row| row.counted)).await,
                None => Vec::new(),
            }
        };
        let (queued, streamed) = tokio::join!(queued, streamed);
        let mut ready = vec![true; rows.len()];
        for index in queued.into_iter().chain(streamed) {
            if let Some(ready) = ready.get_mut(index) {
                *ready = false;
            }
        }
        ready
    }
}

/// A FIFO queue.
#[derive(Clone, Debug)]
struct Queue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
impl Channel for Queue {
    const ENTRIES: usize = 10;
    const BYTES: usize = 256 * 1024;

    /// One `SendMessageBatch`. The event's id deduplicates for five minutes; consumers know later copies by it too.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>
    async fn send(&self, rows: &[&OutboxRow]) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = vec![Verdict::Again; rows.len()];
        let entries = prepared(rows, &mut verdicts, message);
        if entries.is_empty() {
            return Ok(verdicts);
        }
        let sent = self.sqs.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        let answer = sent.map_err(|error| Failure::transient("messages could not be sent").because(error))?;
        let mut note = |id: &str, verdict| {
            if let Some(slot) = id.parse().ok().and_then(|index: usize| verdicts.get_mut(index)) {
                *slot = verdict;
            }
        };
        answer.successful.iter().for_each(|taken| note(&taken.id, Verdict::Taken));
        answer.failed.iter().filter(|failed| failed.sender_fault).for_each(|failed| {
            tracing::error!(code = failed.code, "the ordered queue refused an event");
            note(&failed.id, Verdict::Never);
        });
        Ok(verdicts)
    }
}

fn message(index: usize, row: &OutboxRow) -> Result<SendMessageBatchRequestEntry, Failure> {
    let group = row.group.as_deref().unwrap_or(&row.ordering_key);
    let mut message = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(document(row)?)
        .message_group_id(group_name(group))
        .message_deduplication_id(&row.event_id);
    if let Some(trace) = &row.trace {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
        let value = value.build().map_err(malformed)?;
        message =
            message.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    message.build().map_err(malformed)
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::permanent("an event does not fit a message").because(error)
}

/// A stream of facts.
#[derive(Clone, Debug)]
struct Stream {
    kinesis: aws_sdk_kinesis::Client,
    name: String,
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>
impl Channel for Stream {
    const ENTRIES: usize = 500;
    const BYTES: usize = 5 * 1024 * 1024;

    /// One `PutRecords`, which says of each record whether it was taken. The group is the partition key: what concerns one
    /// goes to one shard, in order.
    async fn send(&self, rows: &[&OutboxRow]) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = vec![Verdict::Again; rows.len()];
        let records = prepared(rows, &mut verdicts, |_, row| {
            let group = row.group.as_deref().unwrap_or(&row.ordering_key);
            let record = PutRecordsRequestEntry::builder().partition_key(group);
            record.data(Blob::new(document(row)?)).build().map_err(malformed)
        });
        if records.is_empty() {
            return Ok(verdicts);
        }
        let put = self.kinesis.put_records().stream_name(&self.name).set_records(Some(records)).send().await;
        let answer = put.map_err(|error| Failure::transient("records could not be put").because(error))?;
        // Those that were never put are not answered for.
        let asked = verdicts.iter_mut().filter(|verdict| **verdict == Verdict::Again);
        for (verdict, result) in asked.zip(&answer.records) {
            if result.error_code.is_none() {
                *verdict = Verdict::Taken;
            }
        }
        Ok(verdicts)
    }
}

/// The entries of a call. A row that can be none says so itself, and takes nobody down.
fn prepared<E>(
    rows: &[&OutboxRow],
    verdicts: &mut [Verdict],
    entry: impl Fn(usize, &OutboxRow) -> Result<E, Failure>,
) -> Vec<E> {
    let mut entries = Vec::with_capacity(rows.len());
    for (index, (row, verdict)) in rows.iter().zip(verdicts).enumerate() {
        match entry(index, row) {
            Ok(entry) => entries.push(entry),
            Err(failure) => {
                tracing::error!(eventId = row.event_id, %failure, "an event cannot be sent");
                *verdict = Verdict::Never;
            }
        }
    }
    entries
}

/// The event's document, as the bus would deliver it.
fn document(row: &OutboxRow) -> Result<String, Failure> {
    let unwritable = |error| Failure::permanent("an outbox row holds no JSON").because(error);
    let document = BusEvent {
        source: row.source.as_str().into(),
        detail_type: row.detail_type.as_str().into(),
        time: Timestamp::from_millisecond(row.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        detail: serde_json::from_str(&row.detail).map_err(unwritable)?,
        trace: None,
    };
    serde_json::to_string(&document).map_err(unwritable)
}

/// A group by a name that a queue takes: its own, or a digest of it.
fn group_name(group: &str) -> Cow<'_, str> {
    let fits = group.len() <= LONGEST_GROUP && group.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && !group.is_empty() {
        return Cow::Borrowed(group);
    }
    let digest = Sha256::digest(group);
    Cow::Owned(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_no_queue_takes_goes_by_its_digest() {
        assert_eq!(group_name("customer-1"), "customer-1");
        for strange in ["", "J\u{f6}rg", "two words", &"x".repeat(129)] {
            let name = group_name(strange);
            assert_eq!(name.len(), 64, "{strange}");
            assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{strange}");
        }
        assert_ne!(group_name("two words"), group_name("two  words"));
    }
}
