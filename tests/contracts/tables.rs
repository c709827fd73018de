//! Tables: kept, encrypted, restorable; rows expire only where nobody needs them any more.

use std::collections::BTreeMap;

use crate::inspect::TEMPLATE;

/// The attribute by which rows expire, and what the table's stream shows.
const TABLES: [(&str, Option<&str>, Option<&str>); 21] = [
    ("ActivityTable", Some("expiresAt"), None),
    ("CircuitsTable", None, None),
    ("CustomersTable", None, None),
    ("EventStoreTable", None, Some("NEW_IMAGE")),
    ("FailedMessagesTable", Some("expiresAt"), None),
    ("HeldGroupsTable", Some("expiresAt"), None),
    ("IdempotencyTable", Some("expiresAt"), None),
    ("ImportsTable", Some("expiresAt"), None),
    ("InventoryTable", None, Some("NEW_AND_OLD_IMAGES")),
    ("JoinsTable", Some("expiresAt"), None),
    ("OrderViewsTable", None, None),
    ("OutboxTable", None, Some("NEW_IMAGE")),
    ("PaymentsTable", Some("expiresAt"), None),
    ("ProjectionsTable", None, None),
    ("ReplenishmentsTable", None, None),
    ("ReservationsTable", Some("expiresAt"), None),
    ("SalesFactsTable", Some("expiresAt"), None),
    ("SalesProgressTable", Some("expiresAt"), None),
    ("SalesWindowsTable", Some("expiresAt"), None),
    ("ShipmentsTable", Some("expiresAt"), None),
    ("SnapshotsTable", None, None),
];

#[test]
fn every_table_is_encrypted_restorable_and_outlives_the_stack() {
    for table in TEMPLATE.resources("AWS::DynamoDB::Table") {
        let properties = &table.properties;

        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{}", table.logical_id);
        assert_eq!(properties["SSESpecification"]["SSEEnabled"], true, "{}", table.logical_id);
        assert_eq!(
            properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true,
            "{}",
            table.logical_id
        );
        assert_eq!(table.entry["DeletionPolicy"], "Retain", "{}", table.logical_id);
        assert_eq!(table.entry["UpdateReplacePolicy"], "Retain", "{}", table.logical_id);
    }
}

#[test]
fn step_rows_expire_and_orders_events_stock_and_customers_never_do() {
    let found: BTreeMap<_, _> =
        TEMPLATE.tables().into_iter().map(|table| (table.name, table.time_to_live)).collect();
    let expected: BTreeMap<_, _> =
        TABLES.into_iter().map(|(name, ttl, _)| (name.to_owned(), ttl.map(str::to_owned))).collect();

    assert_eq!(found, expected);
}

#[test]
fn a_stream_shows_what_its_readers_need() {
    for table in TEMPLATE.tables() {
        let (.., expected) = TABLES.into_iter().find(|(name, ..)| *name == table.name).unwrap();
        let view = &table.create_table["StreamSpecification"]["StreamViewType"];

        assert_eq!(view.as_str(), expected, "{}", table.name);
    }
}

#[test]
fn each_key_is_declared_and_nothing_else() {
    for table in TEMPLATE.tables() {
        let body = &table.create_table;
        let names = |list: &serde_json::Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .map(|entry| entry["AttributeName"].as_str().unwrap().to_owned())
                .collect()
        };
        let mut declared = names(&body["AttributeDefinitions"]);
        let mut used = names(&body["KeySchema"]);
        for index in body["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
            used.extend(names(&index["KeySchema"]));
        }
        declared.sort();
        used.sort();

        assert_eq!(declared, used, "{}", table.name);
    }
}
