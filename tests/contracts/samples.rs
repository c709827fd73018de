//! Sample events: at least one per trigger, in the shape in which AWS sends them.

use std::collections::BTreeSet;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::{dynamodb, sqs};
use eda::event::Metadata;
use eda::testing::template::Function;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::inspect::{TEMPLATE, Trigger, files_below, text, triggers};
use crate::routing::{contract, types_that_feed};

#[test]
fn each_function_has_a_sample_of_what_triggers_it() {
    for function in TEMPLATE.functions().values() {
        assert!(!samples_of(function).is_empty(), "{} has no sample", function.binary);
        assert_eq!(triggers(function).len(), 1, "{}: samples of two triggers look alike", function.binary);
    }
}

#[test]
fn every_sample_has_the_shape_of_its_trigger() {
    for function in TEMPLATE.functions().values() {
        for (name, sample) in samples_of(function) {
            match &triggers(function)[0] {
                Trigger::Http(route) => http(&name, &sample, route),
                Trigger::Queue(queue) => queued(&name, &sample, queue),
                Trigger::Stream(table) => streamed(&name, &sample, table),
                Trigger::Schedule => scheduled(&name, &sample),
            }
        }
    }
}

#[test]
fn every_event_that_feeds_a_queue_has_a_sample() {
    for function in TEMPLATE.functions().values() {
        let Trigger::Queue(queue) = &triggers(function)[0] else { continue };
        let shown: BTreeSet<_> = samples_of(function)
            .iter()
            .flat_map(|(_, sample)| sample["Records"].as_array().unwrap().clone())
            .filter_map(|record| serde_json::from_str::<Value>(text(&record["body"])).ok())
            .filter_map(|event| Some(event["detail-type"].as_str()?.to_owned()))
            .collect();

        assert_eq!(shown, types_that_feed(queue), "{}: left: samples, right: its rule", function.binary);
    }
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>, 2.0.
fn http(name: &str, sample: &Value, route: &str) {
    decode::<ApiGatewayV2httpRequest>(name, sample);
    assert_eq!(sample["version"], "2.0", "{name}");
    assert_eq!(sample["routeKey"], route, "{name}");
    let (method, _) = route.split_once(' ').unwrap();
    assert_eq!(sample["requestContext"]["http"]["method"], method, "{name}");
    has(
        name,
        sample,
        &[
            "/rawPath",
            "/rawQueryString",
            "/headers",
            "/isBase64Encoded",
            "/requestContext/requestId",
            "/requestContext/authorizer/iam/userArn",
        ],
    );
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>. The body is an event as EventBridge sends it to a
/// queue, or poison in a file whose name says so.
fn queued(name: &str, sample: &Value, queue: &str) {
    decode::<sqs::SqsEvent>(name, sample);
    for record in records(name, sample) {
        assert_eq!(record["eventSource"], "aws:sqs", "{name}");
        has(
            name,
            record,
            &[
                "/messageId",
                "/receiptHandle",
                "/md5OfBody",
                "/eventSourceARN",
                "/awsRegion",
                "/attributes/ApproximateReceiveCount",
                "/attributes/SentTimestamp",
                "/messageAttributes",
            ],
        );
        match serde_json::from_str::<Value>(text(&record["body"])) {
            Ok(event) if event.get("detail-type").is_some() => {
                let detail_type = text(&event["detail-type"]);
                bus_event(name, &event);
                assert!(types_that_feed(queue).contains(detail_type), "{name}: {detail_type} never comes");
                follows_contract(name, &event);
            }
            _ => assert!(name.contains("undecodable"), "{name}: {} is no event", record["body"]),
        }
    }
}

/// The source of its type, our metadata and, in the newest version, each field of the contract and no other.
fn follows_contract(name: &str, event: &Value) {
    let contract = contract(text(&event["detail-type"]));
    let detail = event["detail"].as_object().unwrap();
    assert_eq!(event["source"], contract.source, "{name}");
    decode::<Metadata>(name, &event["detail"]["metadata"]);
    if detail.get("version").is_some_and(|version| version == contract.version) {
        let found: BTreeSet<_> = detail.keys().map(String::as_str).collect();
        let promised: BTreeSet<_> = contract.fields.iter().copied().chain(["version", "metadata"]).collect();
        assert_eq!(found, promised, "{name}: left: the sample, right: the contract");
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
fn streamed(name: &str, sample: &Value, table: &str) {
    decode::<dynamodb::Event>(name, sample);
    let definition = TEMPLATE.tables().into_iter().find(|definition| definition.name == table).unwrap();
    for record in records(name, sample) {
        assert_eq!(record["eventSource"], "aws:dynamodb", "{name}");
        assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_IMAGE", "{name}");
        has(
            name,
            record,
            &["/eventID", "/eventName", "/eventSourceARN", "/awsRegion", "/dynamodb/SequenceNumber"],
        );
        for key in definition.create_table["KeySchema"].as_array().unwrap() {
            let key = text(&key["AttributeName"]);
            has(name, &record["dynamodb"], &[&format!("/Keys/{key}"), &format!("/NewImage/{key}")]);
        }
    }
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html>
fn scheduled(name: &str, sample: &Value) {
    bus_event(name, sample);
    assert_eq!(sample["source"], "aws.events", "{name}");
    assert_eq!(sample["detail-type"], "Scheduled Event", "{name}");
    assert_eq!(sample["detail"], json!({}), "{name}");
}

/// <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
fn bus_event(name: &str, event: &Value) {
    decode::<EventBridgeEvent<Value>>(name, event);
    has(
        name,
        event,
        &[
            "/version",
            "/id",
            "/detail-type",
            "/source",
            "/account",
            "/time",
            "/region",
            "/resources",
            "/detail",
        ],
    );
}

fn samples_of(function: &Function) -> Vec<(String, Value)> {
    let folder = system_tests::workspace().join("functions").join(&function.binary).join("events");
    files_below(&folder, "json")
        .iter()
        .map(|file| {
            let name = file.strip_prefix(system_tests::workspace()).unwrap().display().to_string();
            let sample = serde_json::from_slice(&std::fs::read(file).unwrap());
            (name.clone(), sample.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

fn records<'a>(name: &str, sample: &'a Value) -> &'a Vec<Value> {
    let records = sample["Records"].as_array().unwrap_or_else(|| panic!("{name} has no records"));
    assert!(!records.is_empty(), "{name} has no records");
    records
}

fn decode<T: DeserializeOwned>(name: &str, sample: &Value) {
    if let Err(error) = serde_json::from_value::<T>(sample.clone()) {
        panic!("{name}: {error}");
    }
}

fn has(name: &str, value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(value.pointer(pointer).is_some(), "{name} has no {pointer}");
    }
}
