//! A Kinesis stream: in order per partition key, at least once, each record in a shard that one mapping reads.
//!
//! <https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html>
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>

use std::rc::Rc;

use aws_lambda_events::kinesis::KinesisEvent;
use serde_json::{Value, json};
use simulation_cli::Kind;
use tokio::time::Instant;

use crate::stream::Record;
use crate::world::World;

/// How many shards there are: an on-demand stream has several, and they need not be as quick as each other.
pub const SHARDS: usize = 2;

/// The batch that Lambda makes of records of a shard.
#[must_use]
pub fn batch(shard: usize, records: &[Record]) -> KinesisEvent {
    let records = records.iter().map(|record| {
        json!({
            "eventID": format!("shardId-{shard:012}:{}", record.sequence), "eventSource": "aws:kinesis",
            "eventName": "aws:kinesis:record", "eventVersion": "1.0", "awsRegion": "us-east-1",
            "invokeIdentityArn": "arn:aws:iam::111122223333:role/simulation",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/simulation",
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": record.key, "data": *record.image,
                "sequenceNumber": record.sequence.to_string(), "approximateArrivalTimestamp": 1_768_473_000.0,
            },
        })
    });
    serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap_or_default()
}

impl World {
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>
    pub(crate) fn put_records(&mut self, body: &Value, invocation: u64) -> (u16, String) {
        let partial = self.strikes(Kind::PartialPut, invocation);
        let stream = body.get("StreamName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mut failed, mut results) = (0, Vec::new());
        for entry in body.get("Records").and_then(Value::as_array).into_iter().flatten() {
            if partial && self.faults.rng().bool() {
                failed += 1;
                let code = "ProvisionedThroughputExceededException";
                results.push(json!({ "ErrorCode": code, "ErrorMessage": "slow down" }));
                continue;
            }
            self.sequence += 1;
            let partition = entry.get("PartitionKey").and_then(Value::as_str).unwrap_or_default();
            let record = Record {
                sequence: self.sequence,
                event_name: "",
                key: partition.to_owned(),
                old: Rc::default(),
                image: Rc::new(entry.get("Data").cloned().unwrap_or_default()),
                at: Instant::now(),
            };
            results.push(json!({ "SequenceNumber": self.sequence.to_string(), "ShardId": "shardId-0" }));
            let overtaking = self.faults.has(Kind::Reorder);
            for reader in self.readers.iter_mut().filter(|reader| reader.mapping.table == stream) {
                reader.take(&record, partition, overtaking.then_some(&mut self.rng));
            }
        }
        (200, json!({ "FailedRecordCount": failed, "Records": results }).to_string())
    }
}
