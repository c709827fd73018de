use std::collections::HashMap;

use aws_sdk_dynamodbstreams::error::ProvideErrorMetadata;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use aws_sdk_kinesis::types::ShardIteratorType as KinesisIteratorType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::letter::StreamRange;
use crate::Failure;

/// How many empty pages are read before the rest of a range counts as gone: a shard's end is no page.
const MOST_EMPTY_PAGES: usize = 5;

/// What has become of records that a function gave up on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fetched {
    /// The event that Lambda would hand over.
    Event(Value),
    /// The stream keeps its records for a day; these are gone, or the stream is.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
    Gone,
}

/// Reads records of DynamoDB and Kinesis streams.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) dynamodb: aws_sdk_dynamodbstreams::Client,
    pub(super) kinesis: aws_sdk_kinesis::Client,
}

impl Streams {
    /// The records of a range, as Lambda hands them to a function.
    pub(super) async fn fetch(&self, range: &StreamRange) -> Result<Fetched, Failure> {
        let kinesis = range.stream.split(':').nth(2) == Some("kinesis");
        let records = if kinesis { self.of_kinesis(range).await? } else { self.of_dynamodb(range).await? };
        Ok(if records.is_empty() { Fetched::Gone } else { Fetched::Event(json!({ "Records": records })) })
    }

    async fn of_dynamodb(&self, range: &StreamRange) -> Result<Vec<Value>, Failure> {
        let iterator = self
            .dynamodb
            .get_shard_iterator()
            .stream_arn(&range.stream)
            .shard_id(&range.shard)
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(&range.first)
            .send()
            .await;
        let Some(iterator) = unless_gone(iterator)? else { return Ok(Vec::new()) };
        walk(range, iterator.shard_iterator, |iterator| async move {
            let page = self.dynamodb.get_records().shard_iterator(iterator).send().await;
            let Some(page) = unless_gone(page)? else { return Ok(None) };
            let records = page.records.unwrap_or_default().into_iter().map(|record| {
                let sequence = record.dynamodb.as_ref().and_then(|change| change.sequence_number.clone());
                (sequence.unwrap_or_default(), of_lambda(&range.stream, record))
            });
            Ok(Some(Page { records: records.collect(), next: page.next_shard_iterator }))
        })
        .await
    }

    async fn of_kinesis(&self, range: &StreamRange) -> Result<Vec<Value>, Failure> {
        let iterator = self
            .kinesis
            .get_shard_iterator()
            .stream_arn(&range.stream)
            .shard_id(&range.shard)
            .shard_iterator_type(KinesisIteratorType::AtSequenceNumber)
            .starting_sequence_number(&range.first)
            .send()
            .await;
        let Some(iterator) = unless_gone(iterator)? else { return Ok(Vec::new()) };
        walk(range, iterator.shard_iterator, |iterator| async move {
            let read = self.kinesis.get_records().shard_iterator(iterator).stream_arn(&range.stream);
            let Some(page) = unless_gone(read.send().await)? else { return Ok(None) };
            let records = page.records.into_iter().map(|record| {
                let handed_over = of_lambda_kinesis(range, &record);
                (record.sequence_number, handed_over)
            });
            Ok(Some(Page { records: records.collect(), next: page.next_shard_iterator }))
        })
        .await
    }
}

/// Some records of a shard.
struct Page {
    /// Sequence numbers, and records as Lambda hands them over.
    records: Vec<(String, Value)>,
    /// Where the next page begins.
    next: Option<String>,
}

/// Reads pages from the iterator on, up to the range's last record; nothing, where a page is gone.
async fn walk<F: Future<Output = Result<Option<Page>, Failure>>>(
    range: &StreamRange,
    mut next: Option<String>,
    read: impl Fn(String) -> F,
) -> Result<Vec<Value>, Failure> {
    let (mut records, mut empty) = (Vec::new(), 0);
    while let Some(iterator) = next.take() {
        let Some(page) = read(iterator).await? else { return Ok(Vec::new()) };
        empty = if page.records.is_empty() { empty + 1 } else { 0 };
        for (sequence, record) in page.records {
            if after(&sequence, &range.last) {
                return Ok(records);
            }
            records.push(record);
            if sequence == range.last {
                return Ok(records);
            }
        }
        if empty < MOST_EMPTY_PAGES {
            next = page.next;
        }
    }
    Ok(records)
}

/// The answer of a stream; `None` where what was asked for is gone.
fn unless_gone<T, E>(answer: Result<T, E>) -> Result<Option<T>, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_gone(error.code()) => Ok(None),
        Err(error) => Err(Failure::transient("the stream's records could not be read").because(error)),
    }
}

fn is_gone(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("TrimmedDataAccessException" | "ResourceNotFoundException" | "InvalidArgumentException")
    )
}

/// Sequence numbers are decimal numbers of up to 56 digits: the longer one is the greater.
fn after(sequence: &str, last: &str) -> bool {
    let (sequence, last) = (sequence.trim_start_matches('0'), last.trim_start_matches('0'));
    (sequence.len(), sequence) > (last.len(), last)
}

fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
fn of_lambda(stream: &str, record: Record) -> Value {
    let change =
        record.dynamodb.unwrap_or_else(|| aws_sdk_dynamodbstreams::types::StreamRecord::builder().build());
    let mut dynamodb = Map::new();
    let mut with = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            dynamodb.insert(name.to_owned(), value);
        }
    };
    with("ApproximateCreationDateTime", change.approximate_creation_date_time.map(|at| json!(at.secs())));
    with("Keys", change.keys.map(plain));
    with("NewImage", change.new_image.map(plain));
    with("OldImage", change.old_image.map(plain));
    with("SequenceNumber", change.sequence_number.map(Value::from));
    with("SizeBytes", change.size_bytes.map(Value::from));
    with("StreamViewType", change.stream_view_type.map(|view| json!(view.as_str())));
    json!({
        "eventID": record.event_id, "eventName": record.event_name.map(|name| name.as_str().to_owned()),
        "eventVersion": record.event_version, "eventSource": "aws:dynamodb", "awsRegion": region(stream),
        "dynamodb": dynamodb, "eventSourceARN": stream,
    })
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>
fn of_lambda_kinesis(range: &StreamRange, record: &aws_sdk_kinesis::types::Record) -> Value {
    let arrived = record.approximate_arrival_timestamp.map(|at| at.as_secs_f64());
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number, "data": STANDARD.encode(record.data.as_ref()),
            "approximateArrivalTimestamp": arrived,
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0",
        "eventID": format!("{}:{}", range.shard, record.sequence_number),
        "eventName": "aws:kinesis:record", "invokeIdentityArn": "", "awsRegion": region(&range.stream),
        "eventSourceARN": range.stream,
    })
}

fn plain(item: HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.into_iter().map(|(name, value)| (name, plain_value(value))).collect())
}

/// An attribute in DynamoDB's JSON.
fn plain_value(value: AttributeValue) -> Value {
    let encode = |blob: &aws_smithy_types::Blob| STANDARD.encode(blob.as_ref());
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::B(bytes) => json!({ "B": encode(&bytes) }),
        AttributeValue::Ss(set) => json!({ "SS": set }),
        AttributeValue::Ns(set) => json!({ "NS": set }),
        AttributeValue::Bs(set) => json!({ "BS": set.iter().map(encode).collect::<Vec<_>>() }),
        AttributeValue::L(list) => json!({ "L": list.into_iter().map(plain_value).collect::<Vec<_>>() }),
        AttributeValue::M(map) => json!({ "M": plain(map) }),
        _ => json!({ "NULL": true }),
    }
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn sequence_numbers_are_compared_as_numbers() {
        assert!(after("1000", "999"));
        assert!(!after("999", "1000"));
        assert!(!after("000999", "999"));
        assert!(after(
            "49590338271490256608559692538361571095921575989136588898",
            "49590338271490256608559692538361571095921575989136588897"
        ));
    }
}
