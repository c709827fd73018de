//! DynamoDB streams and the mappings that read them: in order per item only, at least once, gone after a day.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::pattern::fits;
use crate::system::StreamMapping;

/// Stream records live for 24 hours.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A change of an item.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place in the stream.
    pub sequence: u64,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: &'static str,
    /// The item's key, all of it.
    pub key: String,
    /// The item as it was before, in DynamoDB's JSON; null where it is new.
    pub old: Rc<Value>,
    /// The item as it is now, in DynamoDB's JSON.
    pub image: Rc<Value>,
    /// When it changed.
    pub at: Instant,
}

/// Records of some partition keys, which one mapping reads one batch after another.
#[derive(Debug)]
pub struct Lane {
    /// Waiting, a batch under way at the front.
    pub records: VecDeque<Record>,
    /// Size of the batch under way.
    pub under_way: Option<usize>,
    /// When the mapping looks again.
    pub not_before: Instant,
    retried: u32,
    limit: usize,
}

/// A mapping of a stream, where it has come to.
#[derive(Debug)]
pub struct Reader {
    /// How it is set up.
    pub mapping: StreamMapping,
    /// Its lanes.
    pub lanes: Vec<Lane>,
}

/// Records that a mapping gave up on.
pub type Discarded = Vec<Record>;

/// Records that were answered for.
pub type Answered = Vec<Record>;

impl Reader {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(mapping: StreamMapping, now: Instant) -> Self {
        let limit = mapping.batch_size;
        let lane = || Lane { records: VecDeque::new(), under_way: None, not_before: now, retried: 0, limit };
        let lanes = (0..mapping.lanes.max(1)).map(|_| lane()).collect();
        Self { mapping, lanes }
    }

    /// Takes a record, if a filter lets it pass. Records of different items may overtake each other.
    pub fn take(&mut self, record: &Record, partition: &str, overtaking: Option<&mut Rng>) {
        let shown = json!({ "eventName": record.event_name, "dynamodb": { "NewImage": &*record.image } });
        let filters = &self.mapping.filters;
        if !filters.is_empty() && !filters.iter().any(|pattern| fits(pattern, &shown)) {
            return;
        }
        let lanes = self.lanes.len();
        let sum: usize = partition.bytes().map(usize::from).sum();
        let Some(lane) = self.lanes.get_mut(sum % lanes) else { return };
        if lane.records.is_empty() {
            lane.not_before = lane.not_before.max(record.at + self.mapping.gathering);
        }
        let mut place = lane.records.len();
        if let Some(rng) = overtaking {
            let behind =
                lane.records.iter().rposition(|other| other.key == record.key).map_or(0, |at| at + 1);
            let first = behind.max(lane.under_way.unwrap_or_default());
            place = rng.usize(first.min(place)..=place);
        }
        lane.records.insert(place, record.clone());
    }

    /// The next batch of a lane, and the records that had become too old to be read.
    pub fn next(&mut self, lane: usize, now: Instant) -> (Vec<Record>, Discarded) {
        let max_age = self.mapping.max_age.min(RETENTION);
        let Some(lane) = self.lanes.get_mut(lane) else { return Default::default() };
        let mut old = Vec::new();
        lane.records.retain(|record| {
            let keep = now.duration_since(record.at) <= max_age;
            if !keep {
                old.push(record.clone());
            }
            keep
        });
        let batch: Vec<_> = lane.records.iter().take(lane.limit).cloned().collect();
        lane.under_way = Some(batch.len()).filter(|size| *size > 0);
        (batch, old)
    }

    /// The batch is done.
    pub fn done(&mut self, lane: usize) -> Answered {
        let limit = self.mapping.batch_size;
        let Some(lane) = self.lanes.get_mut(lane) else { return Vec::new() };
        let size = lane.under_way.take().unwrap_or_default();
        (lane.retried, lane.limit) = (0, limit);
        lane.records.drain(..size.min(lane.records.len())).collect()
    }

    /// The batch failed: from `first` on where the function said so, else as a whole. Gives what was done before it, and
    /// what is given up on.
    pub fn failed(&mut self, lane: usize, first: Option<u64>, now: Instant) -> (Answered, Discarded) {
        let (bisects, retries, limit) = (self.mapping.bisects, self.mapping.retries, self.mapping.batch_size);
        let Some(lane) = self.lanes.get_mut(lane) else { return Default::default() };
        let size = lane.under_way.take().unwrap_or_default();
        lane.not_before = now + Duration::from_secs(1);
        let position = first
            .and_then(|first| lane.records.iter().take(size).position(|record| record.sequence == first));
        if let Some(position) = position.filter(|position| *position > 0) {
            (lane.retried, lane.limit) = (0, limit);
            return (lane.records.drain(..position).collect(), Vec::new());
        }
        lane.retried = lane.retried.saturating_add(1);
        if bisects && size > 1 {
            lane.limit = size.div_ceil(2);
            return Default::default();
        }
        if lane.retried <= retries {
            return Default::default();
        }
        (lane.retried, lane.limit) = (0, limit);
        (Vec::new(), lane.records.drain(..size.min(lane.records.len())).collect())
    }
}

/// What a destination is told of records that a mapping gave up on: where they are, and not what they say.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
#[must_use]
pub fn given_up(table: &str, function: &str, lane: usize, records: &[Record]) -> Value {
    let number = |record: Option<&Record>| record.map(|record| record.sequence.to_string());
    json!({
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-4a2c-af9c-0c604cde93a5", "condition": "RetryAttemptsExhausted",
            "functionArn": format!("arn:aws:lambda:us-east-1:111122223333:function:{function}"),
            "approximateInvokeCount": 1,
        },
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "version": "1.0", "timestamp": "2026-01-15T11:30:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": format!("shardId-{lane}"), "streamArn": format!("{table}.StreamArn"),
            "startSequenceNumber": number(records.first()), "endSequenceNumber": number(records.last()),
            "batchSize": records.len(),
        },
    })
}

/// The batch that Lambda makes of records.
#[must_use]
pub fn batch(records: &[Record]) -> Event {
    let mut event = Event::default();
    event.records = records
        .iter()
        .map(|record| {
            let mut entry = EventRecord::default();
            entry.event_id = record.sequence.to_string();
            entry.event_name = record.event_name.to_owned();
            entry.change.sequence_number = Some(record.sequence.to_string());
            let item = |image: &Value| serde_json::from_value(image.clone()).unwrap_or_default();
            entry.change.new_image = item(&record.image);
            // What a stream of new images alone leaves out, nobody reads who was deployed to it.
            entry.change.old_image = item(&record.old);
            entry
        })
        .collect();
    event
}
