//! What goes over the wire between the SDK's clients and AWS: names of calls, the grants they need, errors.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use percent_encoding::percent_decode_str;
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
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts())
        .http_client(http)
        .build()
}

/// The first action on a resource that these grants do not allow, as a sentence.
#[must_use]
pub fn denied(grants: &BTreeSet<Grant>, name: &str, body: &Value) -> Option<String> {
    // A mail names its sender, and not the identity that the sender belongs to.
    if name == "ses:SendEmail" && grants.iter().any(|grant| grant.action == name) {
        return None;
    }
    let granted = |needed: &Grant| {
        grants.contains(needed)
            || grants.iter().filter(|grant| grant.action == needed.action).any(|grant| {
                let objects = grant.resource.strip_suffix('*').filter(|below| below.ends_with('/'));
                objects.is_some_and(|below| needed.resource.starts_with(below))
            })
    };
    needed(name, body)
        .into_iter()
        .find(|grant| !granted(grant))
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
        // <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html>
        "sqs:ChangeMessageVisibilityBatch" => {
            BTreeSet::from([grant("sqs:ChangeMessageVisibility", format!("{}.Arn", text(body, "QueueUrl")))])
        }
        "sqs:SendMessageBatch" => {
            BTreeSet::from([grant("sqs:SendMessage", format!("{}.Arn", text(body, "QueueUrl")))])
        }
        _ if name.starts_with("sqs:") => {
            BTreeSet::from([grant(name, format!("{}.Arn", text(body, "QueueUrl")))])
        }
        // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
        "s3:PutObject" | "s3:GetObject" => {
            let action = if body.get("VersionId").is_some() { "s3:GetObjectVersion" } else { name };
            BTreeSet::from([grant(action, format!("{}.Arn/{}", text(body, "Bucket"), text(body, "Key")))])
        }
        "lambda:InvokeFunction" => {
            BTreeSet::from([grant(name, text(body, "FunctionName").replace("%3A", ":"))])
        }
        "dynamodb:GetShardIterator" => BTreeSet::from([grant(name, text(body, "StreamArn"))]),
        "kinesis:PutRecords" => BTreeSet::from([grant(name, format!("{}.Arn", text(body, "StreamName")))]),
        "kinesis:GetShardIterator" => BTreeSet::from([grant(name, text(body, "StreamARN"))]),
        // By its iterator, which is opaque.
        "dynamodb:GetRecords" => BTreeSet::new(),
        "kinesis:GetRecords" => BTreeSet::from([grant(name, text(body, "StreamARN"))]),
        "events:StartReplay" => BTreeSet::from([
            grant(name, text(body, "EventSourceArn")),
            grant(
                name,
                body.pointer("/Destination/Arn").and_then(Value::as_str).unwrap_or_default().to_owned(),
            ),
            grant(name, replay(&text(body, "ReplayName"))),
        ]),
        "events:DescribeReplay" | "events:CancelReplay" => {
            BTreeSet::from([grant(name, replay(&text(body, "ReplayName")))])
        }
        "events:DescribeRule" => BTreeSet::from([grant(name, text(body, "Name"))]),
        "states:StartExecution" => BTreeSet::from([grant(name, text(body, "stateMachineArn"))]),
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

/// The resource of a replay: all those of a stack, because none has a name before it is started.
fn replay(name: &str) -> String {
    let stack = name.rsplit_once('-').map_or(name, |(stack, _)| stack);
    format!("arn:AWS::Partition:events:AWS::Region:AWS::AccountId:replay/{stack}-*")
}

/// The action and the operation of an `X-Amz-Target`: `DynamoDB_20120810.PutItem` → (`dynamodb:PutItem`, `PutItem`).
#[must_use]
pub fn call_name(target: &str) -> Option<(String, String)> {
    let (service, operation) = target.split_once('.')?;
    let service = match service {
        "DynamoDB_20120810" => "dynamodb",
        "AWSEvents" => "events",
        "AmazonSQS" => "sqs",
        "DynamoDBStreams_20120810" => "dynamodb",
        "Kinesis_20131202" => "kinesis",
        "AWSStepFunctions" => "states",
        other => other,
    };
    Some((format!("{service}:{operation}"), operation.to_owned()))
}

/// The action, the operation and the fields of a call to one of the services that speak REST: an object of S3, an
/// invocation, or a mail.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>
#[must_use]
pub fn rest_call(
    method: &str,
    uri: &str,
    header: impl Fn(&str) -> Option<String>,
    payload: &[u8],
) -> Option<(String, String, Value)> {
    let path = uri.strip_prefix(TEST_ENDPOINT)?.trim_start_matches('/');
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if let Some(rest) = path.strip_prefix("2015-03-31/functions/") {
        let function = rest.strip_suffix("/invocations")?;
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let body = json!({ "FunctionName": function, "Payload": payload });
        return Some(("lambda:InvokeFunction".to_owned(), "Invoke".to_owned(), body));
    }
    if path == "v2/email/outbound-emails" {
        let body = serde_json::from_slice(payload).unwrap_or_default();
        return Some(("ses:SendEmail".to_owned(), "SendEmail".to_owned(), body));
    }
    let (bucket, key) = path.split_once('/')?;
    let operation = match method {
        "PUT" => "PutObject",
        "GET" => "GetObject",
        _ => return None,
    };
    let key = percent_decode_str(key).decode_utf8_lossy();
    let fields = [
        ("Bucket", Some(bucket.to_owned())),
        ("Key", Some(key.into_owned())),
        ("Body", (operation == "PutObject").then(|| String::from_utf8_lossy(payload).into_owned())),
        ("Range", header("range")),
        ("IfMatch", header("if-match")),
        ("VersionId", query.strip_prefix("versionId=").map(str::to_owned)),
    ];
    let body =
        fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), json!(value?)))).collect();
    Some((format!("s3:{operation}"), operation.to_owned(), body))
}

/// An error as AWS's JSON protocols answer it.
#[must_use]
pub fn error(status: u16, kind: &str, message: &str) -> (u16, String) {
    (status, json!({ "__type": kind, "message": message }).to_string())
}
