//! Stream mappings: they miss nothing, they never block for ever, and what they give up on is seen.

use eda::testing::template::{Function, Resource};
use serde_json::{Value, json};

use crate::inspect::{TEMPLATE, Trigger, mappings_of, text, triggers};

#[test]
fn each_stream_is_read_by_the_functions_that_follow_its_table() {
    let sources: Vec<_> = stream_mappings().into_iter().map(|(binary, table, _)| (binary, table)).collect();

    assert_eq!(
        sources,
        [
            ("project-orders".to_owned(), "EventStoreTable".to_owned()),
            ("publish-stock".to_owned(), "InventoryTable".to_owned()),
            ("relay-outbox".to_owned(), "OutboxTable".to_owned()),
            ("snapshot-orders".to_owned(), "EventStoreTable".to_owned()),
        ]
    );
}

#[test]
fn a_mapping_starts_at_the_first_record() {
    for (binary, _, mapping) in stream_mappings() {
        assert_eq!(mapping.properties["StartingPosition"], "TRIM_HORIZON", "{binary}");
    }
}

#[test]
fn the_relay_sees_new_rows_only() {
    assert_eq!(filter_of("relay-outbox"), json!({ "eventName": ["INSERT"] }));
}

#[test]
fn the_projection_sees_events_and_not_heads() {
    for reader in ["project-orders", "snapshot-orders"] {
        assert_eq!(
            filter_of(reader),
            json!({ "eventName": ["INSERT"], "dynamodb": { "NewImage": { "eventType": { "S": [{ "exists": true }] } } } })
        );
    }
}

#[test]
fn the_stock_is_published_when_it_is_new_or_changes() {
    assert_eq!(filter_of("publish-stock"), json!({ "eventName": ["INSERT", "MODIFY"] }));
}

#[test]
fn the_relay_holds_a_record_no_longer_than_the_sweeper_needs_to_come_round() {
    let (.., relay) = stream_mappings().into_iter().find(|(binary, ..)| binary == "relay-outbox").unwrap();

    assert!(relay.properties["MaximumRecordAgeInSeconds"].as_u64().unwrap() <= 600);
}

#[test]
fn nothing_follows_from_what_a_rebuild_writes() {
    // Views and how a build stands: all that the role of rebuild-orders-view lets it write.
    for table in ["OrderViewsTable", "ProjectionsTable"] {
        let tables = TEMPLATE.resources("AWS::DynamoDB::Table");
        let table = tables.into_iter().find(|found| found.logical_id == table).unwrap();

        assert_eq!(table.properties["StreamSpecification"], Value::Null, "{}", table.logical_id);
    }
}

#[test]
fn a_stream_has_two_readers_at_most() {
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
    for (_, table, _) in stream_mappings() {
        let readers = stream_mappings().into_iter().filter(|(_, other, _)| *other == table).count();

        assert!(readers <= 2, "{table}: {readers}");
    }
}

/// Binary, table and mapping of each function that reads a stream.
fn stream_mappings() -> Vec<(String, String, Resource)> {
    let functions = TEMPLATE.functions();
    let readers = functions.values().filter_map(|function| {
        let table = triggers(function).into_iter().find_map(|trigger| match trigger {
            Trigger::Stream(table) => Some(table),
            _ => None,
        })?;
        let [mapping] = mappings_of(function).try_into().unwrap();
        Some((function.binary.clone(), table, mapping))
    });
    readers.collect()
}

fn filter_of(binary: &str) -> Value {
    let (.., mapping) = stream_mappings().into_iter().find(|(found, ..)| found == binary).unwrap();
    let filters = mapping.properties["FilterCriteria"]["Filters"].as_array().unwrap().clone();
    let [filter] = filters.as_slice() else { panic!("{binary} has {} filters", filters.len()) };
    serde_json::from_str(text(&filter["Pattern"])).unwrap()
}

#[test]
fn the_stream_of_facts_is_encrypted_and_of_one_shard_unless_it_is_to_grow() {
    let [stream] = TEMPLATE.resources("AWS::Kinesis::Stream").try_into().unwrap();
    assert_eq!(stream.properties["StreamEncryption"]["EncryptionType"], "KMS");
    assert_eq!(stream.properties["ShardCount"], 1);
    let growing = TEMPLATE.clone().with_parameter("SalesStreamMode", "ON_DEMAND");
    let [stream] = growing.resources("AWS::Kinesis::Stream").try_into().unwrap();
    assert_eq!(stream.properties["StreamModeDetails"]["StreamMode"], "ON_DEMAND");
    // CloudFormation refuses a number of shards beside that mode.
    assert_eq!(stream.properties.get("ShardCount"), None);
}

#[test]
fn facts_are_read_from_the_first_by_one_reader_per_shard_and_a_transaction_at_a_time() {
    let (_, mapping) = facts_mapping();
    let properties = &mapping.properties;
    assert_eq!(properties["StartingPosition"], "TRIM_HORIZON");
    assert_eq!(properties["BatchSize"].as_u64().unwrap(), eda::transition::MAX_ACTIONS as u64 - 1);
    // How far a shard has come is said by its one reader.
    assert_eq!(properties["ParallelizationFactor"], 1);
}

#[test]
fn a_fact_that_was_caught_up_with_still_corrects_its_window() {
    let (function, mapping) = facts_mapping();
    let seconds = |name: &str| function.environment[name].parse::<u64>().unwrap();
    let caught_up = mapping.properties["MaximumRecordAgeInSeconds"].as_u64().unwrap();
    assert!(seconds("SALES_LATENESS_SECONDS") > caught_up);
    // A shard says that it is alive three times before it is taken for idle.
    assert!(
        seconds("SALES_IDLE_SECONDS")
            >= 3 * mapping.properties["MaximumBatchingWindowInSeconds"].as_u64().unwrap()
    );
    assert!(seconds("SALES_DISORDER_SECONDS") < seconds("SALES_WINDOW_SECONDS"));
}

#[test]
fn what_is_counted_is_put_on_the_stream_by_those_that_publish_the_outbox() {
    for function in TEMPLATE.functions().values() {
        let publishes = ["relay-outbox", "sweep-outbox"].contains(&function.binary.as_str());
        let told = function.environment.get("FACTS_STREAM_NAME").map(String::as_str);
        assert_eq!(told, publishes.then_some("SalesStream"), "{}", function.binary);
    }
}

/// The function that counts, and its mapping.
fn facts_mapping() -> (Function, Resource) {
    let functions = TEMPLATE.functions();
    let counts =
        |function: &&Function| triggers(function).iter().any(|trigger| matches!(trigger, Trigger::Facts(_)));
    let function = functions.values().find(counts).unwrap().clone();
    let [mapping] = mappings_of(&function).try_into().unwrap();
    (function, mapping)
}
