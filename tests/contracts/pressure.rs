//! Pressure: what limits, delays and repeats work fits together, and says why it is as it is. Each relation is seen to notice
//! a template in which it does not hold.

use std::collections::BTreeSet;

use eda::testing::template::{Function, Resource, Template, list};
use serde_json::{Value, json};

use crate::inspect::holds;

/// The longest that an HTTP API waits for a function, in seconds.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const API_PATIENCE: u64 = 30;

/// The longest that a mapping gathers a batch, in seconds.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
const LONGEST_GATHERING: u64 = 300;

/// How long DynamoDB keeps the records of a stream, in seconds.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
const STREAM_RETENTION: u64 = 86_400;

/// What feeds a function: a queue, a table's stream or a stream of facts.
struct Feed {
    mapping: Resource,
    function: Function,
    source: Resource,
}

impl Feed {
    fn number(&self, field: &str) -> Option<u64> {
        self.mapping.properties[field].as_u64()
    }

    fn window(&self) -> u64 {
        self.number("MaximumBatchingWindowInSeconds").unwrap_or_default()
    }

    fn is_stream(&self) -> bool {
        self.source.kind != "AWS::SQS::Queue"
    }

    fn complain(&self, complaint: &str) -> Option<String> {
        Some(format!("{}: {complaint}", self.mapping.logical_id))
    }
}

fn feeds(template: &Template) -> Vec<Feed> {
    let functions = template.functions();
    let kinds = ["AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Kinesis::Stream"];
    let sources: Vec<_> = kinds.iter().flat_map(|kind| template.resources(kind)).collect();
    let feeds = template.resources("AWS::Lambda::EventSourceMapping").into_iter().map(|mapping| {
        let source = mapping.properties["EventSourceArn"].as_str().unwrap().split('.').next().unwrap();
        let source = sources.iter().find(|resource| resource.logical_id == source).unwrap().clone();
        let function = functions[mapping.properties["FunctionName"].as_str().unwrap()].clone();
        Feed { mapping, function, source }
    });
    feeds.collect()
}

fn of_queues(template: &Template) -> impl Iterator<Item = Feed> {
    feeds(template).into_iter().filter(|feed| !feed.is_stream())
}

fn of_streams(template: &Template) -> impl Iterator<Item = Feed> {
    feeds(template).into_iter().filter(Feed::is_stream)
}

fn timeout(function: &Function) -> u64 {
    function.properties["Timeout"].as_u64().unwrap()
}

fn is_called_by_the_api(function: &Function) -> bool {
    let mut events = function.properties["Events"].as_object().into_iter().flatten();
    events.any(|(_, event)| event["Type"] == "HttpApi")
}

fn visibility(queue: &Resource) -> u64 {
    queue.properties["VisibilityTimeout"].as_u64().unwrap_or(30)
}

fn receives(queue: &Resource) -> Option<u64> {
    queue.properties["RedrivePolicy"]["maxReceiveCount"].as_u64()
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
#[test]
fn a_message_stays_hidden_for_six_timeouts_of_the_function_and_the_gathering_of_its_batch() {
    fn relation(template: &Template) -> Vec<String> {
        let short = of_queues(template).filter_map(|feed| {
            // Where receives are not counted, one that comes early costs nothing, and a mapping asks for one timeout.
            let timeouts = if receives(&feed.source).is_some() { 6 } else { 1 };
            let (hidden, needed) =
                (visibility(&feed.source), timeouts * timeout(&feed.function) + feed.window());
            if hidden >= needed {
                return None;
            }
            feed.complain(&format!("{hidden} s are shorter than {needed} s"))
        });
        short.collect()
    }
    holds(
        relation,
        &[
            ("EnrichOrderQueue", "VisibilityTimeout", json!(179)),
            ("EnrichOrderMapping", "MaximumBatchingWindowInSeconds", json!(121)),
            ("ShipOrderFunction", "Timeout", json!(51)),
            ("ProcessDlqFunction", "Timeout", json!(31)),
        ],
    );
}

/// A mapping that meets a function's reserved concurrency is throttled, and each throttle costs its messages a receive.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
#[test]
fn what_is_reserved_for_a_function_is_not_below_what_its_mappings_ask_for_at_once() {
    fn relation(template: &Template) -> Vec<String> {
        let allowed = list(&template.document()["Parameters"]["ReservedConcurrency"]["AllowedValues"]);
        let least = allowed.filter_map(Value::as_u64).filter(|reserved| *reserved > 0).min().unwrap();
        let reserving = template.clone().with_parameter("ReservedConcurrency", least);
        let below = reserving.functions().into_values().filter_map(|function| {
            let reserved = function.properties["ReservedConcurrentExecutions"].as_u64()?;
            let asked: u64 = of_queues(&reserving)
                .filter(|feed| feed.function.logical_id == function.logical_id)
                .filter_map(|feed| feed.mapping.properties["ScalingConfig"]["MaximumConcurrency"].as_u64())
                .sum();
            (reserved < asked).then(|| format!("{}: {reserved} for {asked}", function.logical_id))
        });
        below.collect()
    }
    holds(
        relation,
        &[
            ("ProcessPaymentFunction", "ReservedConcurrentExecutions", json!(4)),
            ("ProcessPaymentMapping", "ScalingConfig", json!({ "MaximumConcurrency": 11 })),
        ],
    );
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
/// <https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html>
#[test]
fn a_message_that_throttles_brought_back_is_not_parked_for_it_and_one_is_parked_before_it_expires() {
    fn relation(template: &Template) -> Vec<String> {
        let wrong = of_queues(template).filter_map(|feed| {
            match feed.mapping.properties["ScalingConfig"]["MaximumConcurrency"].as_u64() {
                None | Some(0 | 1) => return feed.complain("no usable MaximumConcurrency"),
                Some(_) => {}
            }
            let receives = receives(&feed.source)?;
            let retention = feed.source.properties["MessageRetentionPeriod"].as_u64().unwrap_or_default();
            match receives {
                0..5 => feed.complain("fewer receives than five"),
                _ if receives * visibility(&feed.source) >= retention => {
                    feed.complain("messages expire before they are parked")
                }
                _ => None,
            }
        });
        wrong.collect()
    }
    holds(
        relation,
        &[
            ("ShipOrderMapping", "ScalingConfig", json!({ "MaximumConcurrency": 1 })),
            ("ShipOrderMapping", "ScalingConfig", Value::Null),
            ("ShipOrderQueue", "RedrivePolicy", json!({ "maxReceiveCount": 4 })),
            ("ShipOrderQueue", "MessageRetentionPeriod", json!(3_000)),
        ],
    );
}

/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
#[test]
fn a_batch_is_no_larger_than_its_source_allows() {
    fn relation(template: &Template) -> Vec<String> {
        let wrong = feeds(template).into_iter().filter_map(|feed| {
            let size = feed.number("BatchSize").unwrap_or_default();
            let ordered = feed.source.properties["FifoQueue"] == true;
            match (feed.is_stream(), ordered) {
                _ if size == 0 => feed.complain("no BatchSize"),
                _ if feed.window() > LONGEST_GATHERING => feed.complain("it gathers for too long"),
                (false, true) if size > 10 || feed.window() > 0 => feed.complain("an ordered queue gathers"),
                (false, false) if size > 10 && feed.window() == 0 => {
                    feed.complain("more than ten messages and nothing gathers them")
                }
                (true, _) if size > 10_000 => feed.complain("more records than Lambda takes"),
                _ => None,
            }
        });
        wrong.collect()
    }
    holds(
        relation,
        &[
            ("ShipOrderMapping", "BatchSize", json!(11)),
            ("ShipOrderMapping", "BatchSize", Value::Null),
            ("RecordActivityMapping", "MaximumBatchingWindowInSeconds", json!(1)),
            ("AggregateSalesMapping", "MaximumBatchingWindowInSeconds", json!(301)),
            ("ProjectOrdersMapping", "BatchSize", json!(10_001)),
        ],
    );
}

/// The age counts from the first enqueueing, in whichever queue; only of an ordered queue it begins anew.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[test]
fn a_dead_letter_queue_keeps_a_message_longer_than_its_source() {
    fn relation(template: &Template) -> Vec<String> {
        let queues = template.resources("AWS::SQS::Queue");
        let retention =
            |queue: &Resource| queue.properties["MessageRetentionPeriod"].as_u64().unwrap_or(345_600);
        let wrong = queues.iter().filter_map(|queue| {
            let target = queue.properties["RedrivePolicy"]["deadLetterTargetArn"].as_str()?;
            let dead = queues.iter().find(|dead| target == format!("{}.Arn", dead.logical_id)).unwrap();
            (retention(dead) <= retention(queue)).then(|| dead.logical_id.clone())
        });
        wrong.collect()
    }
    holds(relation, &[("ShipOrderDeadLetterQueue", "MessageRetentionPeriod", json!(345_600))]);
}

#[test]
fn the_api_waits_as_long_as_a_function_that_it_calls_may_take() {
    fn relation(template: &Template) -> Vec<String> {
        let slow = template
            .functions()
            .into_values()
            .filter(|function| is_called_by_the_api(function) && timeout(function) > API_PATIENCE);
        slow.map(|function| function.logical_id).collect()
    }
    holds(relation, &[("PlaceOrderFunction", "Timeout", json!(31))]);
}

/// What the API refuses is a 429; of what Lambda refuses it makes an error of the function.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>
#[test]
fn a_route_takes_no_more_requests_at_once_than_the_function_behind_it_has_room_for() {
    fn relation(template: &Template) -> Vec<String> {
        let reserving = template.clone().with_parameter("ApiConcurrency", 50);
        let [api] = reserving.resources("AWS::Serverless::HttpApi").try_into().unwrap();
        let burst =
            api.properties["DefaultRouteSettings"]["ThrottlingBurstLimit"].as_u64().unwrap_or(u64::MAX);
        let crowded = reserving.functions().into_values().filter(|function| {
            let room = function.properties["ReservedConcurrentExecutions"].as_u64();
            is_called_by_the_api(function) && room.is_none_or(|room| burst > room)
        });
        crowded.map(|function| function.logical_id).collect()
    }
    holds(
        relation,
        &[
            ("HttpApi", "DefaultRouteSettings/ThrottlingBurstLimit", json!(51)),
            ("HttpApi", "DefaultRouteSettings", Value::Null),
            ("PlaceOrderFunction", "ReservedConcurrentExecutions", Value::Null),
            ("GetOrderFunction", "ReservedConcurrentExecutions", json!(49)),
        ],
    );
}

/// A failing record blocks its shard for a bounded time, and then leaves a trace.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html>
#[test]
fn a_stream_is_tried_for_less_time_than_it_keeps_records_and_what_is_given_up_is_told() {
    fn relation(template: &Template) -> Vec<String> {
        let wrong = of_streams(template).filter_map(|feed| {
            let properties = &feed.mapping.properties;
            let kept = feed.source.properties["RetentionPeriodHours"].as_u64();
            let kept = kept.map_or(STREAM_RETENTION, |hours| hours * 3_600);
            let destination = &properties["DestinationConfig"]["OnFailure"]["Destination"];
            if properties["FunctionResponseTypes"] != json!(["ReportBatchItemFailures"]) {
                feed.complain("a batch fails as a whole")
            } else if properties["BisectBatchOnFunctionError"] != true {
                feed.complain("a record that kills the function takes its batch along")
            } else if !feed
                .number("MaximumRetryAttempts")
                .is_some_and(|attempts| (1..=100).contains(&attempts))
            {
                feed.complain("attempts have no sensible bound")
            } else if !feed.number("MaximumRecordAgeInSeconds").is_some_and(|age| (60..kept).contains(&age)) {
                feed.complain("records leave the stream before they are given up")
            } else if *destination != "StreamFailuresQueue.Arn" {
                feed.complain("nobody is told what is given up")
            } else if !feed.number("ParallelizationFactor").is_none_or(|factor| (1..=10).contains(&factor)) {
                feed.complain("no such ParallelizationFactor")
            } else {
                None
            }
        });
        wrong.collect()
    }
    holds(
        relation,
        &[
            ("RelayOutboxMapping", "FunctionResponseTypes", Value::Null),
            ("RelayOutboxMapping", "BisectBatchOnFunctionError", json!(false)),
            ("RelayOutboxMapping", "MaximumRetryAttempts", json!(-1)),
            ("ProjectOrdersMapping", "MaximumRecordAgeInSeconds", json!(86_400)),
            ("AggregateSalesMapping", "MaximumRecordAgeInSeconds", json!(-1)),
            ("AggregateSalesMapping", "DestinationConfig", Value::Null),
            ("RelayOutboxMapping", "ParallelizationFactor", json!(11)),
        ],
    );
}

/// What asks the gateway waits for it in its queue: hidden until the circuit may be tried, and received once then, or twice if
/// it meets the prober.
#[test]
fn a_message_that_waits_for_the_gateway_is_not_parked_before_its_orders_deadline() {
    fn relation(template: &Template) -> Vec<String> {
        let deadline = template.resolve(&json!({ "Ref": "OrderDeadlineSeconds" })).as_u64().unwrap();
        let asking =
            of_queues(template).filter(|feed| feed.function.environment.contains_key("PAYMENT_GATEWAY_URL"));
        let wrong = asking.filter_map(|feed| {
            let receives = receives(&feed.source)?;
            let pause: u64 = feed.function.environment["CIRCUIT_LONGEST_PAUSE_SECONDS"].parse().unwrap();
            if receives * visibility(&feed.source) <= deadline {
                feed.complain("failures of the gateway park it before its deadline")
            } else if receives <= 2 * deadline.div_ceil(pause) {
                feed.complain("waiting for the circuit parks it before its deadline")
            } else if !feed.function.environment.contains_key("QUEUE_URL") {
                feed.complain("it cannot wait")
            } else {
                None
            }
        });
        wrong.collect()
    }
    holds(
        relation,
        &[
            ("ProcessPaymentQueue", "RedrivePolicy", json!({ "maxReceiveCount": 288 })),
            ("RefundPaymentQueue", "VisibilityTimeout", json!(100)),
            ("RefundPaymentFunction", "Environment/Variables/CIRCUIT_LONGEST_PAUSE_SECONDS", json!(216)),
        ],
    );
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html>
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
#[test]
fn a_tick_is_given_up_when_the_next_one_comes_and_no_invocation_is_tried_for_ever() {
    fn relation(template: &Template) -> Vec<String> {
        let mut wrong = Vec::new();
        for function in template.functions().values() {
            let invoke = &function.properties["EventInvokeConfig"];
            let events = function.properties["Events"].as_object().into_iter().flatten();
            let ticks: Vec<_> = events.filter(|(_, event)| event["Type"] == "Schedule").collect();
            let age = |settings: &Value| settings["MaximumEventAgeInSeconds"].as_u64();
            for (_, tick) in &ticks {
                let properties = &tick["Properties"];
                let minutes = properties["Schedule"].as_str().unwrap().strip_prefix("rate(").unwrap();
                let interval = 60 * minutes.split(' ').next().unwrap().parse::<u64>().unwrap();
                let late = |settings| age(settings).is_none_or(|age| age > interval);
                if late(&properties["RetryPolicy"]) || late(invoke) || invoke["MaximumRetryAttempts"] != 0 {
                    wrong.push(format!("{}: ticks overlap", function.logical_id));
                }
            }
            let limits = age(invoke).is_none_or(|age| (60..=21_600).contains(&age))
                && invoke["MaximumRetryAttempts"].as_u64().is_none_or(|attempts| attempts <= 2);
            if !limits {
                wrong.push(format!("{}: beyond what Lambda allows", function.logical_id));
            }
        }
        wrong
    }
    holds(
        relation,
        &[
            ("SweepOutboxFunction", "EventInvokeConfig/MaximumEventAgeInSeconds", json!(61)),
            ("SweepOutboxFunction", "EventInvokeConfig/MaximumRetryAttempts", json!(1)),
            ("SweepOutboxFunction", "Events/EveryMinute/Properties/RetryPolicy", Value::Null),
            ("SendReceiptFunction", "EventInvokeConfig/MaximumEventAgeInSeconds", json!(21_601)),
        ],
    );
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
#[test]
fn a_rule_tries_a_queue_as_long_as_it_can_and_a_function_as_long_as_the_function_tries_itself() {
    fn relation(template: &Template) -> Vec<String> {
        let functions = template.functions();
        let mut wrong = Vec::new();
        for rule in template.resources("AWS::Events::Rule") {
            for target in list(&rule.properties["Targets"]) {
                let arn = target["Arn"].as_str().unwrap_or_default();
                let called =
                    functions.values().find(|function| arn == format!("{}.Arn", function.logical_id));
                let expected = match called {
                    Some(function) => function.properties["EventInvokeConfig"].clone(),
                    None => json!({ "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 }),
                };
                let differs = ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"]
                    .iter()
                    .any(|field| target["RetryPolicy"][field] != expected[field]);
                if differs {
                    wrong.push(rule.logical_id.clone());
                }
            }
        }
        wrong
    }
    holds(
        relation,
        &[
            ("ShipOrderQueueRule", "Targets/0/RetryPolicy/MaximumRetryAttempts", json!(184)),
            ("SendReceiptRule", "Targets/0/RetryPolicy/MaximumEventAgeInSeconds", json!(3_600)),
        ],
    );
}

/// What limits, delays, repeats or keeps something.
const VALUES: [&str; 20] = [
    "BatchSize",
    "BisectBatchOnFunctionError",
    "ExpirationInDays",
    "MaximumBatchingWindowInSeconds",
    "MaximumConcurrency",
    "MaximumEventAgeInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MessageRetentionPeriod",
    "ParallelizationFactor",
    "ReceiveMessageWaitTimeSeconds",
    "ReservedConcurrentExecutions",
    "RetentionDays",
    "RetentionInDays",
    "RetentionPeriodHours",
    "ThrottlingBurstLimit",
    "ThrottlingRateLimit",
    "Timeout",
    "VisibilityTimeout",
    "maxReceiveCount",
];

/// The values of a template's text that nobody gives a reason for: neither beside them, nor above what they are part of, nor
/// in the list at the top, whose every entry is of use.
fn without_reason(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let is_value = |line: &str| VALUES.contains(&line.trim_start().split(':').next().unwrap_or_default());
    let shared: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("#   ").filter(|line| is_value(line))?.split_once("  "))
        .filter(|(_, reason)| !reason.trim().is_empty())
        .map(|(value, _)| value)
        .collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_value(line) && !is_comment(line)) {
        used.insert(line.trim());
        let above =
            lines[..at].iter().rev().skip_while(|above| is_value(above) && indent(above) == indent(line));
        let mut above = above.skip_while(|above| indent(above) < indent(line) && above.ends_with(':'));
        let reasoned = above.next().is_some_and(|above| is_comment(above)) || shared.contains(line.trim());
        if !reasoned {
            wrong.push(format!("line {}: {}", at + 1, line.trim()));
        }
    }
    wrong.extend(shared.difference(&used).map(|value| format!("nothing is {value}")));
    wrong
}

#[test]
fn each_value_has_its_reason_beside_it_or_in_the_list_at_the_top() {
    let text = std::fs::read_to_string(system_tests::workspace().join("template.yaml")).unwrap();
    let wrong = without_reason(&text);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let another = text.replacen(" BatchSize: 10\n", " BatchSize: 9\n", 1);
    assert_eq!(without_reason(&another).len(), 1);
    let unused = text.replacen("#   BatchSize: 10 ", "#   BatchSize: 12 ", 1);
    assert!(without_reason(&unused).iter().any(|wrong| wrong == "nothing is BatchSize: 12"));
}
