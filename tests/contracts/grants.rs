//! Roles: each function may make the calls it makes, on the resources it makes them on, and no others.

use std::collections::BTreeSet;

use eda::testing::template::{Grant, list};
use serde_json::Value;

use crate::inspect::{TEMPLATE, Trigger, mappings_of, triggers};

/// Replays of this stack: none has a name before it is started.
const REPLAYS: &str = "arn:AWS::Partition:events:AWS::Region:AWS::AccountId:replay/AWS::StackName-*";

/// The calls that each function makes: `action` on the ARN of a resource of the template.
///
/// A transaction needs the grant of each of its actions, there is none for the transaction itself:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
const CALLS: [(&str, &[(&str, &str)]); 32] = [
    ("place-order", &[("dynamodb:PutItem", "EventStoreTable.Arn"), ("dynamodb:PutItem", "OutboxTable.Arn")]),
    (
        "get-order",
        &[
            ("dynamodb:GetItem", "ProjectionsTable.Arn"),
            ("dynamodb:GetItem", "OrderViewsTable.Arn"),
            ("dynamodb:GetItem", "SnapshotsTable.Arn"),
            ("dynamodb:Query", "OrderViewsTable.Arn/index/customers"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
            ("dynamodb:Query", "ActivityTable.Arn"),
            ("dynamodb:Query", "SalesWindowsTable.Arn"),
        ],
    ),
    (
        "import-orders",
        &[
            ("dynamodb:GetItem", "ImportsTable.Arn"),
            ("dynamodb:PutItem", "ImportsTable.Arn"),
            ("dynamodb:PutItem", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("s3:GetObject", "ImportsBucket.Arn/incoming/*"),
            ("s3:GetObjectVersion", "ImportsBucket.Arn/incoming/*"),
            ("s3:PutObject", "ImportsBucket.Arn/results/*"),
            ("sqs:SendMessage", "ImportOrdersQueue.Arn"),
            ("sqs:SendMessage", "ImportOrdersDeadLetterQueue.Arn"),
        ],
    ),
    (
        "enrich-order",
        &[
            ("dynamodb:BatchGetItem", "CustomersTable.Arn"),
            ("events:PutEvents", "EventBus.Arn"),
            ("sqs:SendMessage", "EnrichOrderDeadLetterQueue.Arn"),
        ],
    ),
    (
        "send-receipt",
        &[
            ("dynamodb:PutItem", "IdempotencyTable.Arn"),
            ("dynamodb:UpdateItem", "IdempotencyTable.Arn"),
            ("ses:SendEmail", "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:identity/none"),
        ],
    ),
    (
        "reserve-inventory",
        &[
            ("dynamodb:PutItem", "ReservationsTable.Arn"),
            ("dynamodb:UpdateItem", "InventoryTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "ReserveInventoryDeadLetterQueue.Arn"),
        ],
    ),
    (
        "process-payment",
        &[
            ("dynamodb:PutItem", "PaymentsTable.Arn"),
            ("dynamodb:UpdateItem", "PaymentsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("secretsmanager:GetSecretValue", "PaymentGatewaySecretArn"),
            ("dynamodb:GetItem", "CircuitsTable.Arn"),
            ("dynamodb:PutItem", "CircuitsTable.Arn"),
            ("dynamodb:UpdateItem", "CircuitsTable.Arn"),
            ("sqs:ChangeMessageVisibility", "ProcessPaymentQueue.Arn"),
            ("sqs:SendMessage", "ProcessPaymentDeadLetterQueue.Arn"),
        ],
    ),
    (
        "ship-order",
        &[
            ("dynamodb:PutItem", "ShipmentsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "ShipOrderDeadLetterQueue.Arn"),
        ],
    ),
    (
        "refund-payment",
        &[
            ("dynamodb:PutItem", "PaymentsTable.Arn"),
            ("dynamodb:UpdateItem", "PaymentsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("secretsmanager:GetSecretValue", "PaymentGatewaySecretArn"),
            ("dynamodb:GetItem", "CircuitsTable.Arn"),
            ("dynamodb:PutItem", "CircuitsTable.Arn"),
            ("dynamodb:UpdateItem", "CircuitsTable.Arn"),
            ("sqs:ChangeMessageVisibility", "RefundPaymentQueue.Arn"),
            ("sqs:SendMessage", "RefundPaymentDeadLetterQueue.Arn"),
        ],
    ),
    (
        "release-inventory",
        &[
            ("dynamodb:GetItem", "ReservationsTable.Arn"),
            ("dynamodb:PutItem", "ReservationsTable.Arn"),
            ("dynamodb:UpdateItem", "ReservationsTable.Arn"),
            ("dynamodb:UpdateItem", "InventoryTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "ReleaseInventoryDeadLetterQueue.Arn"),
        ],
    ),
    (
        "aggregate-steps",
        &[
            ("dynamodb:UpdateItem", "JoinsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "AggregateStepsDeadLetterQueue.Arn"),
        ],
    ),
    (
        "confirm-order",
        &[
            ("dynamodb:PutItem", "EventStoreTable.Arn"),
            ("dynamodb:UpdateItem", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "ConfirmOrderDeadLetterQueue.Arn"),
        ],
    ),
    (
        "cancel-order",
        &[
            ("dynamodb:PutItem", "EventStoreTable.Arn"),
            ("dynamodb:UpdateItem", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "CancelOrderDeadLetterQueue.Arn"),
        ],
    ),
    (
        "expire-orders",
        &[
            ("dynamodb:Query", "EventStoreTable.Arn/index/deadlines"),
            ("dynamodb:GetItem", "EventStoreTable.Arn"),
            ("dynamodb:UpdateItem", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "ShipmentsTable.Arn"),
            ("dynamodb:UpdateItem", "ShipmentsTable.Arn"),
            ("dynamodb:GetItem", "JoinsTable.Arn"),
            ("dynamodb:UpdateItem", "JoinsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
        ],
    ),
    ("validate-inventory", &[("dynamodb:BatchGetItem", "InventoryTable.Arn")]),
    ("check-credit", &[("dynamodb:GetItem", "CustomersTable.Arn")]),
    ("calculate-shipping", &[]),
    ("aggregate-results", &[]),
    (
        "start-order-saga",
        &[
            ("states:StartExecution", "OrderSagaStateMachine.Arn"),
            ("sqs:SendMessage", "StartOrderSagaDeadLetterQueue.Arn"),
        ],
    ),
    (
        "relay-outbox",
        &[
            ("sqs:SendMessage", "RecordActivityQueue.Arn"),
            ("kinesis:PutRecords", "SalesStream.Arn"),
            ("events:PutEvents", "EventBus.Arn"),
            ("dynamodb:BatchWriteItem", "OutboxTable.Arn"),
        ],
    ),
    (
        "sweep-outbox",
        &[
            ("sqs:SendMessage", "RecordActivityQueue.Arn"),
            ("kinesis:PutRecords", "SalesStream.Arn"),
            ("events:PutEvents", "EventBus.Arn"),
            ("dynamodb:Scan", "OutboxTable.Arn"),
            ("dynamodb:BatchWriteItem", "OutboxTable.Arn"),
        ],
    ),
    (
        "record-activity",
        &[
            ("dynamodb:PutItem", "ActivityTable.Arn"),
            ("dynamodb:GetItem", "HeldGroupsTable.Arn"),
            ("dynamodb:PutItem", "HeldGroupsTable.Arn"),
            ("sqs:SendMessage", "RecordActivityDeadLetterQueue.Arn"),
        ],
    ),
    (
        "aggregate-sales",
        &[
            ("dynamodb:UpdateItem", "SalesWindowsTable.Arn"),
            ("dynamodb:PutItem", "SalesFactsTable.Arn"),
            ("dynamodb:UpdateItem", "SalesProgressTable.Arn"),
            ("dynamodb:Query", "SalesProgressTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "StreamFailuresQueue.Arn"),
        ],
    ),
    (
        "close-sales",
        &[
            ("dynamodb:Query", "SalesProgressTable.Arn"),
            ("dynamodb:Query", "SalesWindowsTable.Arn/index/open"),
            ("dynamodb:GetItem", "SalesWindowsTable.Arn"),
            ("dynamodb:UpdateItem", "SalesWindowsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
        ],
    ),
    ("publish-stock", &[("events:PutEvents", "EventBus.Arn")]),
    (
        "reorder-stock",
        &[
            ("dynamodb:PutItem", "ReplenishmentsTable.Arn"),
            ("dynamodb:UpdateItem", "ReplenishmentsTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("sqs:SendMessage", "ReorderStockDeadLetterQueue.Arn"),
        ],
    ),
    (
        "project-orders",
        &[
            ("dynamodb:GetItem", "ProjectionsTable.Arn"),
            ("dynamodb:GetItem", "OrderViewsTable.Arn"),
            ("dynamodb:PutItem", "OrderViewsTable.Arn"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
        ],
    ),
    (
        "reconcile-views",
        &[
            ("dynamodb:GetItem", "ProjectionsTable.Arn"),
            ("dynamodb:PutItem", "ProjectionsTable.Arn"),
            ("dynamodb:Scan", "EventStoreTable.Arn"),
            ("dynamodb:BatchGetItem", "OrderViewsTable.Arn"),
            ("dynamodb:GetItem", "OrderViewsTable.Arn"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "OrderViewsTable.Arn"),
        ],
    ),
    (
        "snapshot-orders",
        &[
            ("dynamodb:GetItem", "SnapshotsTable.Arn"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "SnapshotsTable.Arn"),
        ],
    ),
    (
        "rebuild-orders-view",
        &[
            ("dynamodb:DescribeTable", "EventStoreTable.Arn"),
            ("dynamodb:GetItem", "ProjectionsTable.Arn"),
            ("dynamodb:PutItem", "ProjectionsTable.Arn"),
            ("dynamodb:Scan", "EventStoreTable.Arn"),
            ("dynamodb:GetItem", "OrderViewsTable.Arn"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
            ("dynamodb:PutItem", "OrderViewsTable.Arn"),
        ],
    ),
    // And whatever it takes to read the streams whose readers give up on records.
    (
        "process-dlq",
        &[
            ("dynamodb:PutItem", "FailedMessagesTable.Arn"),
            ("dynamodb:PutItem", "OutboxTable.Arn"),
            ("s3:PutObject", "FailedMessagesBucket.Arn/*"),
        ],
    ),
    (
        "replay-events",
        &[
            ("events:StartReplay", "EventArchive.Arn"),
            ("events:StartReplay", "EventBus.Arn"),
            ("events:StartReplay", REPLAYS),
            ("events:DescribeReplay", REPLAYS),
            ("events:CancelReplay", REPLAYS),
            ("events:DescribeRule", "EnrichOrderQueueRule.Arn"),
            ("events:DescribeRule", "SendReceiptRule.Arn"),
            ("events:DescribeRule", "StandardOrdersRule.Arn"),
            ("events:DescribeRule", "HighValueOrdersRule.Arn"),
            ("events:DescribeRule", "ProcessPaymentQueueRule.Arn"),
            ("events:DescribeRule", "ShipOrderQueueRule.Arn"),
            ("events:DescribeRule", "RefundPaymentQueueRule.Arn"),
            ("events:DescribeRule", "ReleaseInventoryQueueRule.Arn"),
            ("events:DescribeRule", "AggregateStepsQueueRule.Arn"),
            ("events:DescribeRule", "ConfirmOrderQueueRule.Arn"),
            ("events:DescribeRule", "CancelOrderQueueRule.Arn"),
            ("events:DescribeRule", "ReorderStockLowRule.Arn"),
            ("events:DescribeRule", "ReorderStockRecoveredRule.Arn"),
        ],
    ),
];

#[test]
fn a_role_grants_the_calls_of_its_function_and_its_mapping_and_no_more() {
    for function in TEMPLATE.functions().values() {
        let (_, calls) = CALLS
            .into_iter()
            .find(|(name, _)| *name == function.binary)
            .unwrap_or_else(|| panic!("the calls of {} are not listed", function.binary));
        let mut needed: BTreeSet<_> =
            calls.iter().map(|(action, resource)| grant(action, resource)).collect();
        // Lambda reads a function's source, and reports what it gave up on, with the function's role.
        for trigger in triggers(function) {
            match trigger {
                Trigger::Queue(queue) | Trigger::DeadLetters(queue) => needed.extend(
                    ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
                        .map(|action| grant(action, &format!("{queue}.Arn"))),
                ),
                Trigger::Stream(table) => needed.extend(
                    [
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                        "dynamodb:ListStreams",
                    ]
                    .map(|action| grant(action, &format!("{table}.StreamArn"))),
                ),
                Trigger::Facts(stream) => needed.extend(
                    [
                        "kinesis:DescribeStream",
                        "kinesis:DescribeStreamSummary",
                        "kinesis:GetRecords",
                        "kinesis:GetShardIterator",
                        "kinesis:ListShards",
                    ]
                    .map(|action| grant(action, &format!("{stream}.Arn"))),
                ),
                Trigger::Http(_) | Trigger::Schedule | Trigger::Rule(_) | Trigger::Task => {}
            }
        }
        if function.binary == "process-dlq" {
            needed.extend(streams_given_up_on());
        }
        let invocation = &function.properties["EventInvokeConfig"]["DestinationConfig"];
        if let Some(arn) = invocation["OnFailure"]["Destination"].as_str() {
            needed.insert(grant("sqs:SendMessage", arn));
        }
        for mapping in mappings_of(function) {
            if let Some(arn) = mapping.properties["DestinationConfig"]["OnFailure"]["Destination"].as_str() {
                needed.insert(grant("sqs:SendMessage", arn));
            }
        }

        let missing: Vec<_> = needed.difference(&function.grants).collect();
        let needless: Vec<_> = function.grants.difference(&needed).collect();
        assert!(missing.is_empty(), "{} may not: {missing:?}", function.binary);
        assert!(needless.is_empty(), "{} may needlessly: {needless:?}", function.binary);
    }
}

#[test]
fn what_projects_reconciles_or_rebuilds_views_can_neither_announce_nor_change_anything_else() {
    let own = ["OrderViewsTable.Arn", "ProjectionsTable.Arn"];
    let failures = "StreamFailuresQueue.Arn";
    for function in TEMPLATE.functions().values() {
        if !["project-orders", "reconcile-views", "rebuild-orders-view"].contains(&function.binary.as_str()) {
            continue;
        }
        for Grant { action, resource } in &function.grants {
            let writes =
                !["Get", "Query", "Scan", "Describe", "List"].iter().any(|verb| action.contains(verb));
            let allowed = own.contains(&resource.as_str()) || resource == failures;
            assert!(!writes || allowed, "{} may {action} on {resource}", function.binary);
        }
    }
}

#[test]
fn a_function_has_no_policy_but_its_own_statements() {
    for function in TEMPLATE.functions().values() {
        assert_eq!(function.properties.get("Role"), None, "{}: SAM makes the role", function.binary);
        for policy in list(&function.properties["Policies"]) {
            assert!(policy["Statement"].is_array(), "{}: {policy} is a managed policy", function.binary);
        }
    }
}

/// Reading again what the reader of a stream gave up on.
fn streams_given_up_on() -> BTreeSet<Grant> {
    let mappings = TEMPLATE.resources("AWS::Lambda::EventSourceMapping");
    let given_up =
        mappings.iter().filter(|mapping| mapping.properties["DestinationConfig"]["OnFailure"].is_object());
    given_up
        .flat_map(|mapping| {
            let source = mapping.properties["EventSourceArn"].as_str().unwrap();
            let service = if source.ends_with(".StreamArn") { "dynamodb" } else { "kinesis" };
            ["GetRecords", "GetShardIterator"].map(|action| grant(&format!("{service}:{action}"), source))
        })
        .collect()
}

#[test]
fn no_policy_allows_a_wildcard_but_the_objects_of_one_bucket_replays_and_log_deliveries() {
    for resource in TEMPLATE.all_resources() {
        let allowing = statements_in(&resource.properties);
        for statement in allowing.into_iter().filter(|statement| statement["Effect"] != "Deny") {
            for field in ["Action", "Resource", "Principal"] {
                let objects_of_one_bucket = |text: &str| {
                    field == "Resource"
                        && (text == REPLAYS
                            || knows_no_resource(statement)
                            || text.strip_suffix("/*").is_some_and(|objects| {
                                objects.contains("Bucket.Arn") && !objects.contains('*')
                            }))
                };
                let text = statement.get(field).map(Value::to_string).unwrap_or_default();
                let wild =
                    list(&statement[field]).filter_map(Value::as_str).filter(|text| text.contains('*'));
                let wild: Vec<_> = wild.filter(|text| !objects_of_one_bucket(text)).collect();
                let known = list(&statement[field]).all(Value::is_string) || !text.contains('*');
                assert!(wild.is_empty() && known, "{}: {field} {text}", resource.logical_id);
            }
            for field in ["NotAction", "NotResource", "NotPrincipal"] {
                assert_eq!(statement.get(field), None, "{}", resource.logical_id);
            }
        }
    }
}

/// Deliveries of logs belong to the account: no statement about them can name a resource.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html>
fn knows_no_resource(statement: &Value) -> bool {
    let deliveries = ["LogDelivery", "LogDeliveries", "ResourcePolicy", "ResourcePolicies", "LogGroups"];
    list(&statement["Action"]).filter_map(Value::as_str).all(|action| {
        action.starts_with("logs:") && deliveries.iter().any(|delivery| action.ends_with(delivery))
    })
}

/// All policy statements, however deep.
fn statements_in(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(statements_in).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, member)| match key.as_str() {
                "Statement" => list(member).collect(),
                _ => statements_in(member),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn grant(action: &str, resource: &str) -> Grant {
    Grant { action: action.to_owned(), resource: resource.to_owned() }
}
