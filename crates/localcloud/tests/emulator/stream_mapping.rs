//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use serde_json::{Value, json};

use super::lab::{Lab, attribute, queue, table};

fn mapping(properties: Value) -> Value {
    let mut all = json!({
        "FunctionName": { "Ref": "Function" },
        "EventSourceArn": attribute("Table", "StreamArn"),
        "StartingPosition": "TRIM_HORIZON",
        // Switched on once all records are there, so that they come in one batch.
        "Enabled": false,
    });
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    json!({ "Type": "AWS::Lambda::EventSourceMapping", "Properties": all })
}

async fn enable(lab: &Lab, mapping: &str) {
    lab.lambda.update_event_source_mapping().uuid(mapping).enabled(true).send().await.unwrap();
}

#[tokio::test]
async fn the_failed_record_and_those_after_it_are_delivered_again_and_none_is_skipped() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Table": table(),
            "Function": lab.function(r#"
ids = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
note(",".join(ids))
if ids == ["a", "b", "c"]:
    failed = event["Records"][1]["dynamodb"]["SequenceNumber"]
    return {"batchItemFailures": [{"itemIdentifier": failed}]}
return {"batchItemFailures": []}
"#),
            "Mapping": mapping(json!({ "FunctionResponseTypes": ["ReportBatchItemFailures"] })),
        }))
        .await;
    for id in ["a", "b", "c"] {
        lab.put(&ids["Table"], id).await;
    }
    enable(&lab, &ids["Mapping"]).await;
    lab.noted("the rest is delivered", |notes| notes.len() >= 2).await;
    lab.put(&ids["Table"], "d").await;
    let notes = lab.noted("the next is delivered", |notes| notes.len() >= 3).await;
    assert_eq!(notes, ["a,b,c", "b,c", "d"]);
}

#[tokio::test]
async fn a_poisonous_record_is_isolated_by_bisection_retried_and_reported() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Table": table(),
            "Failures": queue(),
            "Function": lab.function(r#"
ids = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
note(",".join(ids))
if "poison" in ids:
    raise ValueError("poison")
"#),
            "Mapping": mapping(json!({
                "BisectBatchOnFunctionError": true,
                "MaximumRetryAttempts": 1,
                "DestinationConfig": { "OnFailure": { "Destination": attribute("Failures", "Arn") } },
            })),
        }))
        .await;
    for id in ["a", "poison", "b", "c"] {
        lab.put(&ids["Table"], id).await;
    }
    enable(&lab, &ids["Mapping"]).await;
    let report = lab.receive(&ids["Failures"]).await;
    assert_eq!(report["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(report["DDBStreamBatchInfo"]["batchSize"], 1);
    let notes = lab.noted("what follows is delivered", |notes| notes.iter().any(|note| note == "b,c")).await;
    // The poisonous record, alone, is tried once and once again.
    assert_eq!(notes, ["a,poison,b,c", "a,poison", "a", "poison", "poison", "b,c"]);
}

#[tokio::test]
async fn a_slow_stream_function_holds_no_other_mapping_up() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Table": table(),
            "Queue": queue(),
            "Function": lab.function(r#"
import time, os
note("stream begins")
while not os.path.exists(os.environ["TMPDIR"] + "/message"):
    time.sleep(0.01)
note("stream ends")
"#),
            "Other": lab.function(r#"
import os
note("message")
open(os.environ["TMPDIR"] + "/message", "w").close()
"#),
            "Mapping": mapping(json!({ "Enabled": true })),
            "QueueMapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": { "FunctionName": { "Ref": "Other" }, "EventSourceArn": attribute("Queue", "Arn") },
            },
        }))
        .await;
    lab.put(&ids["Table"], "a").await;
    lab.noted("the stream function runs", |notes| !notes.is_empty()).await;
    lab.sqs.send_message().queue_url(&ids["Queue"]).message_body("b").send().await.unwrap();
    let notes = lab.noted("both have run", |notes| notes.len() >= 3).await;
    assert_eq!(notes, ["stream begins", "message", "stream ends"]);
}
