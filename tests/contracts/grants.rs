//! Roles: each function may make the calls it makes, on the resources it makes them on, and no others.

use std::collections::BTreeSet;

use eda::testing::template::{Grant, list};
use serde_json::Value;

use crate::inspect::{TEMPLATE, Trigger, mappings_of, triggers};

/// The calls that each function makes: `action` on the ARN of a resource of the template.
///
/// A transaction needs the grant of each of its actions, there is none for the transaction itself:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
const CALLS: [(&str, &[(&str, &str)]); 14] = [
    ("place-order", &[("dynamodb:PutItem", "EventStoreTable.Arn"), ("dynamodb:PutItem", "OutboxTable.Arn")]),
    ("get-order", &[("dynamodb:GetItem", "OrderViewsTable.Arn"), ("dynamodb:Query", "EventStoreTable.Arn")]),
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
            ("dynamodb:PutItem", "OutboxTable.Arn"),
        ],
    ),
    ("relay-outbox", &[("events:PutEvents", "EventBus.Arn"), ("dynamodb:BatchWriteItem", "OutboxTable.Arn")]),
    (
        "sweep-outbox",
        &[
            ("events:PutEvents", "EventBus.Arn"),
            ("dynamodb:Scan", "OutboxTable.Arn"),
            ("dynamodb:BatchWriteItem", "OutboxTable.Arn"),
        ],
    ),
    (
        "project-orders",
        &[
            ("dynamodb:GetItem", "OrderViewsTable.Arn"),
            ("dynamodb:PutItem", "OrderViewsTable.Arn"),
            ("dynamodb:Query", "EventStoreTable.Arn"),
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
                Trigger::Queue(queue) => needed.extend(
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
                Trigger::Http(_) | Trigger::Schedule => {}
            }
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
fn a_function_has_no_policy_but_its_own_statements() {
    for function in TEMPLATE.functions().values() {
        assert_eq!(function.properties.get("Role"), None, "{}: SAM makes the role", function.binary);
        for policy in list(&function.properties["Policies"]) {
            assert!(policy["Statement"].is_array(), "{}: {policy} is a managed policy", function.binary);
        }
    }
}

#[test]
fn no_policy_has_a_wildcard() {
    for resource in TEMPLATE.all_resources() {
        for statement in statements_in(&resource.properties) {
            for field in ["Action", "Resource", "Principal"] {
                let text = statement.get(field).map(Value::to_string).unwrap_or_default();
                assert!(!text.contains('*'), "{}: {field} {text}", resource.logical_id);
            }
            for field in ["NotAction", "NotResource", "NotPrincipal"] {
                assert_eq!(statement.get(field), None, "{}", resource.logical_id);
            }
        }
    }
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
