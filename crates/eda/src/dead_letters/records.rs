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
        let mut next = match iterator {
            Ok(iterator) => iterator.shard_iterator,
            Err(error) if is_gone(error.code()) => return Ok(Vec::new()),
            Err(error) => return Err(unread(error)),
        };
        let (mut records, mut empty) = (Vec::new(), 0);
        while let Some(iterator) = next.take() {
            let page = match self.dynamodb.get_records().shard_iterator(iterator).send().await {
                Ok(page) => page,
                Err(error) if is_gone(error.code()) => return Ok(Vec::new()),
                Err(error) => return Err(unread(error)),
            };
            let page_records = page.records.unwrap_or_default();
            empty = if page_records.is_empty() { empty + 1 } else { 0 };
            for record in page_records {
                let sequence = record.dynamodb.as_ref().and_then(|change| change.sequence_number.clone());
                if after(sequence.as_deref(), &range.last) {
                    return Ok(records);
                }
                records.push(of_lambda(&range.stream, record));
                if sequence.as_deref() == Some(&range.last) {
                    return Ok(records);
                }
            }
            if empty < MOST_EMPTY_PAGES {
                next = page.next_shard_iterator;
            }
        }
        Ok(records)
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
        let mut next = match iterator {
            Ok(iterator) => iterator.shard_iterator,
            Err(error) if is_gone(error.code()) => return Ok(Vec::new()),
            Err(error) => return Err(unread(error)),
        };
        let (mut records, mut empty) = (Vec::new(), 0);
        while let Some(iterator) = next.take() {
            let read = self.kinesis.get_records().shard_iterator(iterator).stream_arn(&range.stream);
            let page = match read.send().await {
                Ok(page) => page,
                Err(error) if is_gone(error.code()) => return Ok(Vec::new()),
                Err(error) => return Err(unread(error)),
            };
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            for record in page.records {
                if after(Some(&record.sequence_number), &range.last) {
                    return Ok(records);
                }
                let last = record.sequence_number == range.last;
                records.push(of_lambda_kinesis(range, &record));
                if last {
                    return Ok(records);
                }
            }
            if empty < MOST_EMPTY_PAGES {
                next = page.next_shard_iterator;
            }
        }
        Ok(records)
    }
}

/// Trimmed, or a stream that has been switched off.
fn is_gone(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("TrimmedDataAccessException" | "ResourceNotFoundException" | "InvalidArgumentException")
    )
}

fn unread(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::transient("the stream's records could not be read").because(error)
}

/// Sequence numbers are decimal numbers of up to 56 digits: the longer one is the greater.
fn after(sequence: Option<&str>, last: &str) -> bool {
    let (sequence, last) =
        (sequence.unwrap_or_default().trim_start_matches('0'), last.trim_start_matches('0'));
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
        assert!(after(Some("1000"), "999"));
        assert!(!after(Some("999"), "1000"));
        assert!(!after(Some("000999"), "999"));
        assert!(after(
            Some("49590338271490256608559692538361571095921575989136588898"),
            "49590338271490256608559692538361571095921575989136588897"
        ));
    }
}
