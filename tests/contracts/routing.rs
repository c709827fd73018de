//! Rules: what they match exists, what must not be lost has somewhere to go.

use std::collections::BTreeSet;

use eda::event::Metadata;
use eda::testing::template::{Resource, list};
use serde_json::{Value, json};
use shop::events::{CATALOGUE, Entry};

use crate::inspect::{TEMPLATE, behind, fed_queues, text};

/// The events that end an order: nothing in the saga waits for them.
const ENDS: [&str; 2] = ["OrderConfirmed", "OrderCancelled"];

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
fn every_event_but_an_orders_end_moves_some_step() {
    let matched: BTreeSet<_> = rules().iter().flat_map(types_matched).collect();
    let emitted: BTreeSet<_> = CATALOGUE
        .iter()
        .map(|entry| entry.detail_type.to_owned())
        .filter(|name| !ENDS.contains(&name.as_str()))
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
    for rule in rules() {
        let saga = &rule.properties["EventPattern"]["detail"]["metadata"]["saga"];

        assert_eq!(*saga, json!(["choreographed", { "exists": false }]), "{}", rule.logical_id);
    }
}

#[test]
fn a_rule_feeds_one_queue_and_keeps_what_it_cannot_deliver() {
    let fed: BTreeSet<_> = fed_queues().into_iter().map(|(queue, _)| queue.logical_id).collect();
    let mut reached = BTreeSet::new();
    for rule in rules() {
        let [target] = rule.properties["Targets"].as_array().unwrap().as_slice() else {
            panic!("{} has more than one target", rule.logical_id)
        };

        assert_eq!(rule.properties["EventBusName"], "EventBus", "{}", rule.logical_id);
        assert_eq!(behind(&target["DeadLetterConfig"]["Arn"]).logical_id, "UndeliveredEventsQueue");
        assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 86_400, "{}", rule.logical_id);
        assert_eq!(target["RetryPolicy"]["MaximumRetryAttempts"], 185, "{}", rule.logical_id);
        reached.insert(behind(&target["Arn"]).logical_id);
    }

    assert_eq!(reached, fed, "left: queues that rules feed, right: queues that functions read");
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

/// The detail types of the rule that feeds a queue.
pub(crate) fn types_that_feed(queue: &str) -> BTreeSet<String> {
    let arn = format!("{queue}.Arn");
    let feeding = |rule: &Resource| list(&rule.properties["Targets"]).any(|target| target["Arn"] == arn);
    rules().iter().filter(|rule| feeding(rule)).flat_map(types_matched).collect()
}

/// The newest contract of an event.
pub(crate) fn contract(detail_type: &str) -> &'static Entry {
    CATALOGUE
        .iter()
        .find(|entry| entry.detail_type == detail_type)
        .unwrap_or_else(|| panic!("nobody emits {detail_type}"))
}

fn rules() -> Vec<Resource> {
    let rules = TEMPLATE.resources("AWS::Events::Rule");
    assert!(!rules.is_empty(), "the template has no rule");
    rules
}

fn types_matched(rule: &Resource) -> BTreeSet<String> {
    list(&rule.properties["EventPattern"]["detail-type"]).map(|name| text(name).to_owned()).collect()
}

/// The lists of alternatives in a pattern, with the JSON pointer of the field each is about.
fn leaves<'a>(pointer: &str, pattern: &'a Value) -> Vec<(String, &'a Value)> {
    match pattern {
        Value::Object(members) => {
            members.iter().flat_map(|(name, inner)| leaves(&format!("{pointer}/{name}"), inner)).collect()
        }
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
