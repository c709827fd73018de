//! Sample events: at least one per trigger, in the shape in which AWS sends them.

use std::collections::{BTreeSet, HashSet};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::{dynamodb, kinesis, sqs};
use eda::event::{Channels, Metadata};
use eda::testing::template::Function;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shop::checks::Finding;

use crate::inspect::{TEMPLATE, Trigger, files_below, text, triggers};
use crate::routing::{contract, types_that_feed};

/// Functions that nothing but an invocation sets off; their own tests read their samples.
const INVOKED: [&str; 1] = ["replay-events"];

#[test]
fn each_function_has_a_sample_of_what_triggers_it() {
    for function in TEMPLATE.functions().values() {
        assert!(!samples_of(function).is_empty(), "{} has no sample", function.binary);
        let kinds: HashSet<_> = triggers(function).iter().map(std::mem::discriminant).collect();
        let invoked = INVOKED.contains(&function.binary.as_str());
        let expected = usize::from(!invoked);
        assert_eq!(kinds.len(), expected, "{}: samples of two triggers look alike", function.binary);
        let routes = routes(function);
        let shown: BTreeSet<_> = samples_of(function)
            .iter()
            .filter_map(|(_, sample)| Some(sample.get("routeKey")?.as_str()?.to_owned()))
            .collect();
        assert_eq!(shown, routes, "{}: left: samples, right: its routes", function.binary);
    }
}

#[test]
fn every_sample_has_the_shape_of_its_trigger() {
    for function in TEMPLATE.functions().values() {
        for (name, sample) in samples_of(function) {
            let Some(trigger) = triggers(function).into_iter().next() else { continue };
            match &trigger {
                Trigger::Http(_) => http(&name, &sample),
                Trigger::Queue(queue) => queued(&name, &sample, queue),
                Trigger::DeadLetters(_) => dead_letters(&name, &sample),
                Trigger::Facts(_) => counted(&name, &sample),
                Trigger::Stream(table) => streamed(&name, &sample, table),
                // What a person asks of it, in its own words.
                Trigger::Schedule if sample.get("action").is_some() => {}
                Trigger::Schedule => scheduled(&name, &sample),
                Trigger::Rule(rule) => transformed(&name, &sample, rule),
                // What the branches of a fork have found, or an event that is handed over as the bus would deliver it.
                Trigger::Task if sample.is_array() => decode::<Vec<Finding>>(&name, &sample),
                Trigger::Task => {
                    bus_event(&name, &sample);
                    follows_contract(&name, &sample);
                }
            }
        }
    }
}

#[test]
fn every_event_that_feeds_a_queue_has_a_sample() {
    for function in TEMPLATE.functions().values() {
        let Some(Trigger::Queue(queue)) = &triggers(function).into_iter().next() else { continue };
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
fn http(name: &str, sample: &Value) {
    decode::<ApiGatewayV2httpRequest>(name, sample);
    assert_eq!(sample["version"], "2.0", "{name}");
    let (method, _) = text(&sample["routeKey"]).split_once(' ').unwrap();
    assert_eq!(sample["requestContext"]["http"]["method"], method, "{name}");
    assert_eq!(sample["requestContext"]["routeKey"], sample["routeKey"], "{name}");
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
    for record in messages(name, sample) {
        match serde_json::from_str::<Value>(text(&record["body"])) {
            Ok(event) if event.get("detail-type").is_some() => {
                let detail_type = text(&event["detail-type"]);
                match crate::inspect::resource(queue).properties["FifoQueue"] == true {
                    true => in_order(name, record, &event),
                    false => bus_event(name, &event),
                }
                assert!(types_that_feed(queue).contains(detail_type), "{name}: {detail_type} never comes");
                match text(&event["source"]) {
                    "aws.s3" => object_created(name, &event),
                    _ => follows_contract(name, &event),
                }
            }
            _ => assert!(name.contains("undecodable"), "{name}: {} is no event", record["body"]),
        }
    }
}

/// A message of a FIFO queue: the relay puts there what the bus would deliver, without what the bus adds.
fn in_order(name: &str, record: &Value, event: &Value) {
    has(name, event, &["/source", "/detail-type", "/time", "/detail"]);
    let attributes = ["MessageGroupId", "MessageDeduplicationId", "SequenceNumber"];
    has(
        name,
        record,
        &attributes.map(|attribute| format!("/attributes/{attribute}")).each_ref().map(String::as_str),
    );
    assert_eq!(
        record["attributes"]["MessageDeduplicationId"], event["detail"]["metadata"]["eventId"],
        "{name}"
    );
}

/// The messages of a batch, each complete.
fn messages<'a>(name: &str, sample: &'a Value) -> &'a Vec<Value> {
    decode::<sqs::SqsEvent>(name, sample);
    let messages = records(name, sample);
    for record in messages {
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
    }
    messages
}

/// Letters of a dead-letter queue, or what is asked for by hand.
fn dead_letters(name: &str, sample: &Value) {
    if sample.get("queueUrls").is_none() {
        messages(name, sample);
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
fn object_created(name: &str, event: &Value) {
    let fields = ["bucket/name", "object/key", "object/size", "object/etag", "object/sequencer", "reason"];
    has(name, event, &fields.map(|field| format!("/detail/{field}")).each_ref().map(String::as_str));
    assert_eq!(event["detail"]["version"], "0", "{name}");
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
        let view = &definition.create_table["StreamSpecification"]["StreamViewType"];
        assert_eq!(record["dynamodb"]["StreamViewType"], *view, "{name}");
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

/// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html>. The data is what the bus would deliver, without what
/// the bus adds.
fn counted(name: &str, sample: &Value) {
    decode::<kinesis::KinesisEvent>(name, sample);
    let batch: kinesis::KinesisEvent = serde_json::from_value(sample.clone()).unwrap();
    for (record, decoded) in records(name, sample).iter().zip(batch.records) {
        assert_eq!(record["eventSource"], "aws:kinesis", "{name}");
        has(
            name,
            record,
            &["/eventID", "/kinesis/sequenceNumber", "/kinesis/partitionKey", "/eventSourceARN"],
        );
        let event: Value = serde_json::from_slice(&decoded.kinesis.data.0).unwrap();
        has(name, &event, &["/source", "/detail-type", "/time", "/detail"]);
        assert_eq!(contract(text(&event["detail-type"])).channels, Channels::Counted, "{name}");
        follows_contract(name, &event);
    }
}

/// What the rule's input transformer leaves of an event: its fields, each filled from a path of the event.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>
fn transformed(name: &str, sample: &Value, rule: &str) {
    let target = &crate::inspect::resource(rule).properties["Targets"][0];
    let transformer = &target["InputTransformer"];
    let paths = transformer["InputPathsMap"].as_object().unwrap();
    let mut filled = text(&transformer["InputTemplate"]).to_owned();
    for variable in paths.keys() {
        let placeholder = format!("<{variable}>");
        assert!(filled.contains(&placeholder), "{rule}: {variable} is never used");
        filled = filled.replace(&format!(": {placeholder}"), ": 1").replace(&placeholder, "1");
    }
    let filled: Value =
        serde_json::from_str(&filled).unwrap_or_else(|error| panic!("{rule}: {error}: {filled}"));
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(sample), fields(&filled), "{name}: left: the sample, right: what the rule makes");
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

/// The routes of the API that a function answers.
fn routes(function: &Function) -> BTreeSet<String> {
    let routes = triggers(function).into_iter().filter_map(|trigger| match trigger {
        Trigger::Http(route) => Some(route),
        _ => None,
    });
    routes.collect()
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
