//! Queues: nothing is lost silently, and nobody but the named rule may send.

use std::collections::BTreeSet;

use eda::testing::template::{Resource, list};
use serde_json::Value;

use crate::inspect::{TEMPLATE, behind, fed_queues, text};

/// 14 days, the longest SQS keeps a message.
const LONGEST_RETENTION: u64 = 1_209_600;

#[test]
fn every_queue_that_feeds_a_function_has_a_dead_letter_queue_of_its_own() {
    let mut seen = BTreeSet::new();
    for (queue, _) in fed_queues() {
        let dead = behind(&queue.properties["RedrivePolicy"]["deadLetterTargetArn"]);

        assert_eq!(dead.kind, "AWS::SQS::Queue");
        assert_eq!(dead.logical_id, queue.logical_id.replace("Queue", "DeadLetterQueue"));
        assert!(seen.insert(dead.logical_id.clone()), "{} serves two queues", dead.logical_id);
    }
}

#[test]
fn a_queue_that_feeds_no_function_keeps_its_messages_as_long_as_sqs_can() {
    let fed: BTreeSet<_> = fed_queues().into_iter().map(|(queue, _)| queue.logical_id).collect();
    for queue in queues().into_iter().filter(|queue| !fed.contains(&queue.logical_id)) {
        assert_eq!(queue.properties["MessageRetentionPeriod"], LONGEST_RETENTION, "{}", queue.logical_id);
    }
}

#[test]
fn a_dead_letter_queue_keeps_a_message_longer_than_its_source() {
    // The age counts from the first enqueueing:
    // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    for (queue, _) in fed_queues() {
        let dead = behind(&queue.properties["RedrivePolicy"]["deadLetterTargetArn"]);
        let retention = |queue: &Resource| queue.properties["MessageRetentionPeriod"].as_u64().unwrap();

        assert!(retention(&dead) > retention(&queue), "{}", queue.logical_id);
    }
}

#[test]
fn one_message_in_a_queue_that_feeds_no_function_raises_an_alarm() {
    let fed: BTreeSet<_> = fed_queues().into_iter().map(|(queue, _)| queue.logical_id).collect();
    let alarms = TEMPLATE.resources("AWS::CloudWatch::Alarm");
    for queue in queues().into_iter().filter(|queue| !fed.contains(&queue.logical_id)) {
        let name = format!("{}.QueueName", queue.logical_id);
        let alarm = alarms
            .iter()
            .find(|alarm| list(&alarm.properties["Dimensions"]).any(|dimension| dimension["Value"] == name))
            .unwrap_or_else(|| panic!("{} has no alarm", queue.logical_id));

        assert_eq!(alarm.properties["Namespace"], "AWS/SQS");
        assert_eq!(alarm.properties["MetricName"], "ApproximateNumberOfMessagesVisible");
        assert_eq!(alarm.properties["Threshold"], 1);
        assert_eq!(alarm.properties["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
        assert_eq!(alarm.properties["EvaluationPeriods"], 1);
    }
}

#[test]
fn alarms_notify_the_topic_if_there_is_one() {
    let with_topic = TEMPLATE.clone().with_parameter("AlarmTopicArn", "topic");
    for alarm in with_topic.resources("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm.properties["AlarmActions"], serde_json::json!(["topic"]), "{}", alarm.logical_id);
    }
    for alarm in TEMPLATE.resources("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm.properties.get("AlarmActions"), None, "{}", alarm.logical_id);
    }
}

#[test]
fn every_queue_is_encrypted() {
    for queue in queues() {
        assert_eq!(queue.properties["SqsManagedSseEnabled"], true, "{}", queue.logical_id);
    }
}

#[test]
fn a_message_stays_hidden_for_six_times_the_functions_timeout() {
    // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    for (queue, function) in fed_queues() {
        let hidden = queue.properties["VisibilityTimeout"].as_u64().unwrap();
        let timeout = function.properties["Timeout"].as_u64().unwrap();

        assert!(hidden >= 6 * timeout, "{}: {hidden} s against {timeout} s", queue.logical_id);
        assert_eq!(hidden, 300, "{}", queue.logical_id);
    }
}

#[test]
fn a_queue_waits_for_messages_as_long_as_sqs_can() {
    for (queue, _) in fed_queues() {
        assert_eq!(queue.properties["ReceiveMessageWaitTimeSeconds"], 20, "{}", queue.logical_id);
    }
}

#[test]
fn a_message_that_waits_for_the_gateway_is_not_parked_before_its_orders_deadline() {
    let deadline = TEMPLATE.resolve(&serde_json::json!({ "Ref": "OrderDeadlineSeconds" })).as_u64().unwrap();
    for (queue, function) in fed_queues() {
        let receives = queue.properties["RedrivePolicy"]["maxReceiveCount"].as_u64().unwrap();
        let waits = receives * queue.properties["VisibilityTimeout"].as_u64().unwrap();
        if function.environment.contains_key("PAYMENT_GATEWAY_URL") {
            assert!(receives >= 100, "{}: {receives}", queue.logical_id);
            assert!(waits > deadline, "{}: {waits} s against {deadline} s", queue.logical_id);
        } else {
            assert!(receives >= 5, "{}: {receives}", queue.logical_id);
        }
        let retention = queue.properties["MessageRetentionPeriod"].as_u64().unwrap();
        assert!(waits < retention, "{}: messages expire before they are parked", queue.logical_id);
    }
}

#[test]
fn a_mapping_takes_ten_messages_by_five_at_a_time_and_reports_each_failure() {
    for (queue, function) in fed_queues() {
        let mappings = crate::inspect::mappings_of(&function);
        let [mapping] = mappings.as_slice() else { panic!("{} has two mappings", function.logical_id) };

        assert_eq!(mapping.properties["BatchSize"], 10, "{}", queue.logical_id);
        assert_eq!(mapping.properties["ScalingConfig"]["MaximumConcurrency"], 5, "{}", queue.logical_id);
        assert_eq!(
            mapping.properties["FunctionResponseTypes"],
            serde_json::json!(["ReportBatchItemFailures"]),
            "{}",
            queue.logical_id
        );
        assert_ne!(mapping.properties["Enabled"], false, "{}", queue.logical_id);
    }
}

#[test]
fn only_its_rules_may_send_to_a_queue() {
    let policies = TEMPLATE.resources("AWS::SQS::QueuePolicy");
    let mut policed = BTreeSet::new();
    for policy in &policies {
        for queue in list(&policy.properties["Queues"]) {
            policed.insert(text(queue).to_owned());
            for statement in list(&policy.properties["PolicyDocument"]["Statement"]) {
                assert_eq!(statement["Effect"], "Allow");
                assert_eq!(statement["Principal"]["Service"], "events.amazonaws.com");
                assert_eq!(statement["Action"], "sqs:SendMessage");
                assert_eq!(statement["Resource"], format!("{}.Arn", text(queue)));
                let senders: BTreeSet<_> =
                    list(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]).map(text).collect();
                let rules = rules_that_send_to(text(queue));
                assert_eq!(senders, rules.iter().map(String::as_str).collect(), "{queue}");
            }
        }
    }

    let fed_by_rules: BTreeSet<_> = queues()
        .into_iter()
        .map(|queue| queue.logical_id)
        .filter(|queue| !rules_that_send_to(queue).is_empty())
        .collect();
    assert_eq!(policed, fed_by_rules);
    for (queue, _) in fed_queues() {
        assert!(policed.contains(&queue.logical_id), "no rule feeds {}", queue.logical_id);
    }
}

/// The ARNs of the rules, schedules among them, whose target or whose target's dead-letter queue this is.
fn rules_that_send_to(queue: &str) -> BTreeSet<String> {
    let arn = Value::from(format!("{queue}.Arn"));
    let rules = TEMPLATE.resources("AWS::Events::Rule").into_iter().filter_map(|rule| {
        list(&rule.properties["Targets"])
            .any(|target| target["Arn"] == arn || target["DeadLetterConfig"]["Arn"] == arn)
            .then(|| format!("{}.Arn", rule.logical_id))
    });
    let functions = TEMPLATE.functions();
    let schedules = functions.values().flat_map(|function| {
        let events = function.properties["Events"].as_object().into_iter().flatten();
        events
            .filter(|(_, event)| event["Properties"]["DeadLetterConfig"]["Arn"] == arn)
            // The logical id that SAM gives to the rule of a schedule.
            .map(|(name, _)| format!("{}{name}.Arn", function.logical_id))
    });
    rules.chain(schedules).collect()
}

fn queues() -> Vec<Resource> {
    TEMPLATE.resources("AWS::SQS::Queue")
}
