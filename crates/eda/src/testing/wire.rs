//! What goes over the wire between the SDK's clients and AWS: names of calls, the grants they need, errors.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::{Value, json};

use super::template::Grant;
use crate::aws::{TEST_ENDPOINT, timeouts};

/// The configuration of clients whose calls this HTTP client answers, with the timeouts that functions run with.
///
/// Clients of one region share their retry budget across the process, so runs that must not influence each other
/// need different regions.
#[must_use]
pub fn sdk_config(http: SharedHttpClient, region: Region) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .endpoint_url(TEST_ENDPOINT)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts())
        .http_client(http)
        .build()
}

/// The first action on a resource that these grants do not allow, as a sentence.
#[must_use]
pub fn denied(grants: &BTreeSet<Grant>, name: &str, body: &Value) -> Option<String> {
    needed(name, body)
        .into_iter()
        .find(|grant| !grants.contains(grant))
        .map(|Grant { action, resource }| format!("the role does not allow {action} on {resource}"))
}

/// The actions and resources that a call needs, by the function's own names.
fn needed(name: &str, body: &Value) -> BTreeSet<Grant> {
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let grant = |action: &str, resource: String| Grant { action: action.to_owned(), resource };
    match name {
        "dynamodb:TransactWriteItems" => {
            let actions = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let parts = actions.filter_map(|action| action.as_object()).flatten();
            parts
                .map(|(verb, part)| {
                    let verb = if verb == "ConditionCheck" {
                        "ConditionCheckItem".into()
                    } else {
                        format!("{verb}Item")
                    };
                    grant(&format!("dynamodb:{verb}"), format!("{}.Arn", text(part, "TableName")))
                })
                .collect()
        }
        "dynamodb:BatchWriteItem" | "dynamodb:BatchGetItem" => {
            let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
            tables.map(|(table, _)| grant(name, format!("{table}.Arn"))).collect()
        }
        "events:PutEvents" => {
            let entries = body.get("Entries").and_then(Value::as_array).into_iter().flatten();
            entries.map(|entry| grant(name, format!("{}.Arn", text(entry, "EventBusName")))).collect()
        }
        "sqs:SendMessage" => BTreeSet::from([grant(name, format!("{}.Arn", text(body, "QueueUrl")))]),
        "secretsmanager:GetSecretValue" => BTreeSet::from([grant(name, text(body, "SecretId"))]),
        _ => {
            let index = text(body, "IndexName");
            let table = text(body, "TableName");
            let resource =
                if index.is_empty() { format!("{table}.Arn") } else { format!("{table}.Arn/index/{index}") };
            BTreeSet::from([grant(name, resource)])
        }
    }
}

/// The action and the operation of an `X-Amz-Target`: `DynamoDB_20120810.PutItem` → (`dynamodb:PutItem`, `PutItem`).
#[must_use]
pub fn call_name(target: &str) -> Option<(String, String)> {
    let (service, operation) = target.split_once('.')?;
    let service = match service {
        "DynamoDB_20120810" => "dynamodb",
        "AWSEvents" => "events",
        "AmazonSQS" => "sqs",
        other => other,
    };
    Some((format!("{service}:{operation}"), operation.to_owned()))
}

/// An error as AWS's JSON protocols answer it.
#[must_use]
pub fn error(status: u16, kind: &str, message: &str) -> (u16, String) {
    (status, json!({ "__type": kind, "message": message }).to_string())
}
