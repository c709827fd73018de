//! Queues: nothing is lost silently, and nobody but the named rule may send.

use std::collections::BTreeSet;

use eda::testing::template::{Grant, Resource, list};
use serde_json::Value;

use crate::inspect::{
    TEMPLATE, Trigger, behind, dead_letter_queues, fed_queues, mappings_of, text, triggers,
};

/// 14 days, the longest SQS keeps a message.
const LONGEST_RETENTION: u64 = 1_209_600;

/// A message about a file is work enough for an invocation.
const A_FILE: u64 = 1;

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
fn a_queue_waits_for_messages_as_long_as_sqs_can_and_hides_them_for_five_minutes() {
    for (queue, _) in fed_queues() {
        assert_eq!(queue.properties["ReceiveMessageWaitTimeSeconds"], 20, "{}", queue.logical_id);
        assert_eq!(queue.properties["VisibilityTimeout"], 300, "{}", queue.logical_id);
    }
}

#[test]
fn a_mapping_takes_ten_messages_by_five_at_a_time_and_reports_each_failure() {
    for (queue, function) in fed_queues() {
        let mappings = crate::inspect::mappings_of(&function);
        let [mapping] = mappings.as_slice() else { panic!("{} has two mappings", function.logical_id) };

        let messages = if function.binary == "import-orders" { A_FILE } else { 10 };
        assert_eq!(mapping.properties["BatchSize"], messages, "{}", queue.logical_id);
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
fn every_dead_letter_queue_is_read_by_process_dlq_when_that_is_wanted() {
    let process_dlq = TEMPLATE.function("process-dlq").unwrap();
    let read = triggers(&process_dlq).into_iter().map(|trigger| match trigger {
        Trigger::DeadLetters(queue) => queue,
        other => panic!("process-dlq reads {other:?}"),
    });
    assert_eq!(read.collect::<BTreeSet<_>>(), dead_letter_queues(), "left: read, right: dead-letter queues");

    let wanted = TEMPLATE.clone().with_parameter("ProcessDeadLetters", "true");
    let mappings = wanted.resources("AWS::Lambda::EventSourceMapping").into_iter();
    let on = mappings.filter(|mapping| mapping.properties["Enabled"] != false);
    let on: BTreeSet<_> = on.map(|mapping| mapping.logical_id).collect();
    for mapping in mappings_of(&process_dlq) {
        assert_eq!(mapping.properties["Enabled"], false, "{}", mapping.logical_id);
        assert!(on.contains(&mapping.logical_id), "{}", mapping.logical_id);
        assert_eq!(mapping.properties["BatchSize"], 10, "{}", mapping.logical_id);
        let reports = &mapping.properties["FunctionResponseTypes"];
        assert_eq!(*reports, serde_json::json!(["ReportBatchItemFailures"]), "{}", mapping.logical_id);
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
    for (queue, _) in fed_queues().into_iter().filter(|(queue, _)| !is_fifo(queue)) {
        assert!(policed.contains(&queue.logical_id), "no rule feeds {}", queue.logical_id);
    }
}

#[test]
fn an_ordered_queue_is_fed_by_those_that_publish_the_outbox_and_by_nobody_else() {
    for queue in queues().into_iter().filter(|queue| is_fifo(queue) && fed(queue)) {
        for function in TEMPLATE.functions().values() {
            let sends =
                Grant { action: "sqs:SendMessage".to_owned(), resource: format!("{}.Arn", queue.logical_id) };
            let told = function.environment.get("ORDERED_QUEUE_URL") == Some(&queue.logical_id);
            assert_eq!(function.grants.contains(&sends), told, "{}", function.binary);
            let publishes = ["relay-outbox", "sweep-outbox"].contains(&function.binary.as_str());
            assert_eq!(told, publishes, "{}", function.binary);
        }
    }
}

#[test]
fn an_ordered_queue_keeps_order_and_memory_per_group_and_so_does_what_is_behind_it() {
    let ordered: Vec<_> = queues().into_iter().filter(is_fifo).collect();
    assert!(!ordered.is_empty());
    for queue in ordered {
        let properties = &queue.properties;
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
        assert_eq!(properties["DeduplicationScope"], "messageGroup", "{}", queue.logical_id);
        assert_eq!(properties["FifoThroughputLimit"], "perMessageGroupId", "{}", queue.logical_id);
        assert!(text(&properties["QueueName"]).ends_with(".fifo"), "{}", queue.logical_id);
        if fed(&queue) {
            // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
            let dead = behind(&properties["RedrivePolicy"]["deadLetterTargetArn"]);
            assert!(is_fifo(&dead), "{}", dead.logical_id);
            // By its count a message would be overtaken by those behind it.
            assert_eq!(properties["RedrivePolicy"]["maxReceiveCount"], 1_000, "{}", queue.logical_id);
        }
    }
}

fn is_fifo(queue: &Resource) -> bool {
    queue.properties["FifoQueue"] == true
}

fn fed(queue: &Resource) -> bool {
    fed_queues().iter().any(|(fed, _)| fed.logical_id == queue.logical_id)
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
