//! The partner in another account: what it may do here, and what of ours it gets.

use std::sync::LazyLock;

use eda::testing::template::{Resource, Template, at, list};
use serde_json::{Value, json};
use shop::events::CATALOGUE;

use crate::inspect::{TEMPLATE, text};
use crate::routing::contract;

const BUS: &str = "arn:aws:events:us-east-1:111122223333:event-bus/shared";
const KINDS: [&str; 3] = ["AWS::Events::EventBusPolicy", "AWS::Events::Rule", "AWS::IAM::Role"];

static WITH_PARTNER: LazyLock<Template> = LazyLock::new(|| {
    TEMPLATE.clone().with_parameter("PartnerAccountId", "111122223333").with_parameter("PartnerBusArn", BUS)
});

fn resource(logical_id: &str) -> Resource {
    let mut found = KINDS.iter().flat_map(|kind| WITH_PARTNER.resources(kind));
    found.find(|resource| resource.logical_id == logical_id).unwrap()
}

#[test]
fn nothing_is_shared_unless_a_partner_is_named() {
    let named = |template: &Template| {
        let all = KINDS.iter().flat_map(|kind| template.resources(kind)).map(|resource| resource.logical_id);
        all.filter(|id| id.contains("Partner")).count()
    };
    assert_eq!((named(&TEMPLATE), named(&WITH_PARTNER)), (0, 3));
    let hears = TEMPLATE.clone().with_parameter("PartnerAccountId", "111122223333");
    let tells = TEMPLATE.clone().with_parameter("PartnerBusArn", BUS);
    assert_eq!((named(&hears), named(&tells)), (1, 2), "each direction by itself");
}

#[test]
fn the_partner_may_put_events_of_its_sources_on_our_bus_and_nothing_else() {
    let policy = resource("PartnerEventBusPolicy").properties;
    assert_eq!(policy["EventBusName"], "EventBus");
    let expected = json!({
        "Effect": "Allow",
        "Principal": { "AWS": "arn:AWS::Partition:iam::111122223333:root" },
        "Action": "events:PutEvents",
        "Resource": "EventBus.Arn",
        "Condition": {
            "ForAllValues:StringEquals": { "events:source": ["partner.orders"] },
            "Null": { "events:source": false },
        },
    });
    assert_eq!(policy["Statement"], expected);
}

#[test]
fn the_partner_can_name_no_source_of_ours() {
    let allowed = text(at(WITH_PARTNER.document(), "/Parameters/PartnerSources/AllowedPattern"));
    let prefix = allowed.split('[').next().unwrap().replace("\\.", ".");
    assert_eq!((allowed, prefix.as_str()), (r"partner\.[a-z.-]+", "partner."));
    for entry in CATALOGUE {
        assert!(!entry.source.starts_with(&prefix), "the partner could say {}", entry.detail_type);
    }
}

#[test]
fn only_what_we_said_ourselves_is_forwarded_so_nothing_goes_in_circles() {
    let rule = resource("ForwardToPartnerRule").properties;
    let pattern = &rule["EventPattern"];
    assert_eq!(rule["EventBusName"], "EventBus");
    assert_eq!(pattern["account"], json!(["AWS::AccountId"]), "nothing that came from another account");
    let sources: Vec<_> = list(&pattern["source"]).map(text).collect();
    assert!(
        !sources.is_empty() && sources.iter().all(|source| !source.starts_with("partner.")),
        "{sources:?}"
    );
    for name in list(&pattern["detail-type"]).map(text) {
        assert!(sources.contains(&contract(name).source), "{name} is never forwarded");
    }
    let replayed = &WITH_PARTNER.function("replay-events").unwrap().environment["EVENT_RULE_ARNS"];
    assert!(!replayed.contains("ForwardToPartner"), "a replay is no news for others");
}

#[test]
fn what_is_forwarded_points_to_no_person() {
    for name in list(&resource("ForwardToPartnerRule").properties["EventPattern"]["detail-type"]).map(text) {
        for personal in ["shippingAddress", "paymentMethod", "customerEmail", "customerName"] {
            assert!(!contract(name).fields.contains(&personal), "{name} has {personal}");
        }
    }
}

#[test]
fn the_role_puts_events_on_the_partners_bus_for_this_rule_alone() {
    let rule = resource("ForwardToPartnerRule").properties;
    let target = &rule["Targets"][0];
    assert_eq!((text(&target["Arn"]), text(&target["RoleArn"])), (BUS, "ForwardToPartnerRole.Arn"));
    assert_eq!(target["DeadLetterConfig"]["Arn"], "UndeliveredEventsQueue.Arn");
    let role = resource("ForwardToPartnerRole").properties;
    let [policy] = role["Policies"].as_array().unwrap().as_slice() else { panic!("one policy is expected") };
    let allowed = json!([{ "Effect": "Allow", "Action": "events:PutEvents", "Resource": BUS }]);
    assert_eq!(policy["PolicyDocument"]["Statement"], allowed);
    let trusted = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trusted["Principal"], json!({ "Service": "events.amazonaws.com" }));
    let source = text(&trusted["Condition"]["ArnEquals"]["aws:SourceArn"]);
    assert!(source.ends_with(&format!("rule/EventBus/{}", text(&rule["Name"]))), "{source}");
    assert_eq!(trusted["Condition"]["StringEquals"]["aws:SourceAccount"], "AWS::AccountId");
}

#[test]
fn an_event_that_the_partner_does_not_take_is_kept() {
    let policies = WITH_PARTNER.resources("AWS::SQS::QueuePolicy");
    let undelivered =
        policies.iter().find(|policy| policy.logical_id == "UndeliveredEventsQueuePolicy").unwrap();
    let statement = &undelivered.properties["PolicyDocument"]["Statement"][0];
    let senders: Vec<&Value> = list(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]).collect();
    assert!(senders.contains(&&json!("ForwardToPartnerRule.Arn")));
}
