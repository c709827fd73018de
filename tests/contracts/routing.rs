//! Rules: what they match exists, what must not be lost has somewhere to go.

use std::collections::BTreeSet;

use eda::event::{Channels, Metadata};
use eda::testing::template::{Resource, Template, list};
use serde_json::{Value, json};
use shop::events::{CATALOGUE, Entry};

use crate::inspect::{TEMPLATE, behind, fed_queues, resource, rules_targeting, text};

/// The events that are for others: nothing in this system waits for them.
const FOR_OTHERS: [&str; 8] = [
    "OrderConfirmed",
    "OrderCancelled",
    "JoinTimedOut",
    "StockReorderRequested",
    "MessageParked",
    "CircuitStateChanged",
    "SalesWindowClosed",
    "SalesWindowCorrected",
];

/// Rules that are about no saga, about both, or that choose between them.
const ANY_SAGA: [&str; 6] = [
    "EnrichOrderQueueRule",
    "SendReceiptRule",
    "ReorderStockLowRule",
    "ReorderStockRecoveredRule",
    "StandardOrdersRule",
    "HighValueOrdersRule",
];

#[test]
fn a_rule_matches_events_that_are_emitted_by_the_sources_that_emit_them() {
    for rule in rules() {
        let pattern = &rule.properties["EventPattern"];
        let sources: BTreeSet<_> = list(&pattern["source"]).map(text).collect();
        let emitting: BTreeSet<_> = types_matched(&rule).iter().map(|name| contract(name).source).collect();

        assert_eq!(sources, emitting, "{}: left: its sources, right: those of its types", rule.logical_id);
    }
}

#[test]
fn every_event_but_those_for_others_moves_some_step() {
    let matched: BTreeSet<_> = rules().iter().flat_map(types_matched).collect();
    let emitted: BTreeSet<_> = CATALOGUE
        .iter()
        .map(|entry| entry.detail_type.to_owned())
        .filter(|name| !FOR_OTHERS.contains(&name.as_str()))
        .collect();

    assert_eq!(matched, emitted);
}

#[test]
fn the_fields_that_a_rule_matches_exist_in_every_event_that_it_names() {
    for rule in rules() {
        for name in types_matched(&rule) {
            for (pointer, alternatives) in leaves("", &rule.properties["EventPattern"]["detail"]) {
                let field = pointer.split('/').nth(1).unwrap();
                if ["metadata", "version"].contains(&field) {
                    let event = json!({ "version": contract(&name).version, "metadata": metadata() });
                    let value = event.pointer(&pointer);
                    let value =
                        value.unwrap_or_else(|| panic!("{}: no {name} has {pointer}", rule.logical_id));
                    assert!(
                        list(alternatives).any(|one| one == value),
                        "{}: {pointer} is {value}",
                        rule.logical_id
                    );
                } else {
                    assert!(
                        contract(&name).fields.contains(&field),
                        "{}: no {name} has {field}",
                        rule.logical_id
                    );
                }
            }
        }
    }
}

#[test]
fn the_choreography_reacts_to_its_own_events_and_to_those_that_name_no_saga() {
    for rule in rules().into_iter().filter(|rule| !ANY_SAGA.contains(&rule.logical_id.as_str())) {
        let saga = &rule.properties["EventPattern"]["detail"]["metadata"]["saga"];

        assert_eq!(*saga, json!(["choreographed", { "exists": false }]), "{}", rule.logical_id);
    }
}

#[test]
fn a_rule_of_the_default_bus_takes_events_of_one_resource_of_ours_and_not_what_its_function_writes() {
    let (_, of_aws) = rules_by_bus();
    let [rule] = of_aws.as_slice() else { panic!("one rule of AWS's events is expected") };
    let pattern = &rule.properties["EventPattern"];
    assert_eq!(
        (&pattern["source"], &pattern["detail-type"]),
        (&json!(["aws.s3"]), &json!(["Object Created"]))
    );
    assert_eq!(pattern["detail"]["bucket"]["name"], json!(["ImportsBucket"]));
    let read = &pattern["detail"]["object"]["key"][0]["prefix"];
    let grants = TEMPLATE.function("import-orders").unwrap().grants;
    let below = |action: &str| {
        let grant = grants.iter().find(|grant| grant.action == action).unwrap();
        grant.resource.strip_prefix("ImportsBucket.Arn/").unwrap().trim_end_matches('*').to_owned()
    };
    assert_eq!(below("s3:GetObjectVersion"), text(read));
    assert!(!below("s3:PutObject").starts_with(text(read)), "results would be imported");
    let bucket = crate::inspect::resource("ImportsBucket").properties;
    assert_eq!(bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"], true);
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
}

#[test]
fn a_rule_feeds_one_queue_and_keeps_what_it_cannot_deliver() {
    // What needs events in order is fed by the relay itself.
    let fed = fed_queues().into_iter().filter(|(queue, _)| queue.properties["FifoQueue"] != true);
    let fed: BTreeSet<_> = fed.map(|(queue, _)| queue.logical_id).collect();
    let mut reached = BTreeSet::new();
    let (ours, of_aws) = rules_by_bus();
    for (rule, bus) in
        ours.iter().map(|rule| (rule, Some("EventBus"))).chain(of_aws.iter().map(|rule| (rule, None)))
    {
        let [target] = rule.properties["Targets"].as_array().unwrap().as_slice() else {
            panic!("{} has more than one target", rule.logical_id)
        };

        assert_eq!(rule.properties["EventBusName"].as_str(), bus, "{}", rule.logical_id);
        assert_eq!(behind(&target["DeadLetterConfig"]["Arn"]).logical_id, "UndeliveredEventsQueue");
        let reaches = behind(&target["Arn"]);
        if reaches.kind != "AWS::SQS::Queue" {
            continue;
        }
        reached.insert(reaches.logical_id);
    }

    assert_eq!(reached, fed, "left: queues that rules feed, right: queues that functions read");
}

#[test]
fn a_function_that_a_rule_targets_itself_is_tried_twice_within_two_hours_and_its_failures_are_kept() {
    let permissions = TEMPLATE.resources("AWS::Lambda::Permission");
    let mut targeted = 0;
    for function in TEMPLATE.functions().values() {
        for rule in rules_targeting(function) {
            let target = &rule.properties["Targets"][0];
            assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 7_200, "{}", rule.logical_id);
            assert_eq!(target["RetryPolicy"]["MaximumRetryAttempts"], 2, "{}", rule.logical_id);
            let invocation = &function.properties["EventInvokeConfig"];
            assert_eq!(invocation["MaximumRetryAttempts"], 2, "{}", function.binary);
            let kept = behind(&invocation["DestinationConfig"]["OnFailure"]["Destination"]);
            assert_eq!(kept.kind, "AWS::SQS::Queue", "{}", function.binary);
            let source = format!("{}.Arn", rule.logical_id);
            let allowed = permissions.iter().any(|permission| {
                permission.properties["SourceArn"] == source
                    && permission.properties["FunctionName"] == function.logical_id
            });
            assert!(allowed, "{} may not invoke {}", rule.logical_id, function.binary);
            targeted += 1;
        }
    }
    assert_eq!(targeted, 1, "send-receipt is the one direct target");
}

#[test]
fn receipts_are_sent_only_where_there_is_a_sender() {
    let state = |template: &Template| {
        let rules = template.resources("AWS::Events::Rule");
        let rule = rules.into_iter().find(|rule| rule.logical_id == "SendReceiptRule").unwrap();
        rule.properties["State"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&TEMPLATE), "DISABLED");
    let sending = TEMPLATE.clone().with_parameter("ReceiptSender", "receipts@example.com");
    assert_eq!(state(&sending), "ENABLED");
}

#[test]
fn the_schedules_keep_what_they_cannot_deliver() {
    for function in TEMPLATE.functions().values() {
        for event in function.properties["Events"].as_object().into_iter().flat_map(|all| all.values()) {
            if event["Type"] == "Schedule" {
                let dead = behind(&event["Properties"]["DeadLetterConfig"]["Arn"]);

                assert_eq!(dead.logical_id, "UndeliveredEventsQueue", "{}", function.logical_id);
                assert!(event["Properties"]["RetryPolicy"].is_object(), "{}", function.logical_id);
            }
        }
    }
}

/// The detail types of the rule that feeds a queue, or those that the ordered queue carries.
pub(crate) fn types_that_feed(queue: &str) -> BTreeSet<String> {
    if resource(queue).properties["FifoQueue"] == true {
        let ordered = CATALOGUE.iter().filter(|entry| entry.channels != Channels::Bus);
        return ordered.map(|entry| entry.detail_type.to_owned()).collect();
    }
    let arn = format!("{queue}.Arn");
    let feeding = |rule: &Resource| list(&rule.properties["Targets"]).any(|target| target["Arn"] == arn);
    TEMPLATE
        .resources("AWS::Events::Rule")
        .iter()
        .filter(|rule| feeding(rule))
        .flat_map(types_matched)
        .collect()
}

/// The newest contract of an event.
pub(crate) fn contract(detail_type: &str) -> &'static Entry {
    CATALOGUE
        .iter()
        .find(|entry| entry.detail_type == detail_type)
        .unwrap_or_else(|| panic!("nobody emits {detail_type}"))
}

/// The rules of our bus.
fn rules() -> Vec<Resource> {
    let (ours, _) = rules_by_bus();
    assert!(!ours.is_empty(), "the template has no rule");
    ours
}

/// The rules of our bus, and those of the account's default bus, which takes AWS's own events.
fn rules_by_bus() -> (Vec<Resource>, Vec<Resource>) {
    let rules = TEMPLATE.resources("AWS::Events::Rule").into_iter();
    rules.partition(|rule| rule.properties.get("EventBusName").is_some())
}

fn types_matched(rule: &Resource) -> BTreeSet<String> {
    list(&rule.properties["EventPattern"]["detail-type"]).map(|name| text(name).to_owned()).collect()
}

/// The lists of alternatives in a pattern, with the JSON pointer of the field each is about. The ways of a `$or` may name
/// fields of older versions: that each version has one of its ways is for the check of the schemas.
fn leaves<'a>(pointer: &str, pattern: &'a Value) -> Vec<(String, &'a Value)> {
    match pattern {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "$or")
            .flat_map(|(name, inner)| leaves(&format!("{pointer}/{name}"), inner))
            .collect(),
        Value::Null => Vec::new(),
        alternatives => vec![(pointer.to_owned(), alternatives)],
    }
}

/// What a choreographed event says about itself.
fn metadata() -> Metadata {
    serde_json::from_value(json!({
        "eventId": "01890a5d-ac96-774b-bcce-b302099a8057",
        "eventTime": "2026-01-15T10:30:00Z",
        "correlationId": "01890a5d-ac96-774b-bcce-b302099a8057",
        "saga": "choreographed",
    }))
    .unwrap()
}
