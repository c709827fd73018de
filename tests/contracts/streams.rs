//! Stream mappings: they miss nothing, they never block for ever, and what they give up on is seen.

use eda::testing::template::Resource;
use serde_json::{Value, json};

use crate::inspect::{TEMPLATE, Trigger, behind, mappings_of, text, triggers};

#[test]
fn the_relay_reads_the_outbox_and_the_projection_the_event_store() {
    let sources: Vec<_> = stream_mappings().into_iter().map(|(binary, table, _)| (binary, table)).collect();

    assert_eq!(
        sources,
        [
            ("project-orders".to_owned(), "EventStoreTable".to_owned()),
            ("relay-outbox".to_owned(), "OutboxTable".to_owned()),
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
    assert_eq!(
        filter_of("project-orders"),
        json!({ "eventName": ["INSERT"], "dynamodb": { "NewImage": { "eventType": { "S": [{ "exists": true }] } } } })
    );
}

#[test]
fn a_failing_record_blocks_its_shard_for_a_bounded_time_and_then_leaves_a_trace() {
    for (binary, _, mapping) in stream_mappings() {
        let properties = &mapping.properties;

        assert_eq!(properties["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{binary}");
        assert_eq!(properties["BisectBatchOnFunctionError"], true, "{binary}");
        let attempts = properties["MaximumRetryAttempts"].as_i64().unwrap();
        assert!((1..=100).contains(&attempts), "{binary}: {attempts}");
        // A stream keeps its records for a day: an older age would never be reached.
        let age = properties["MaximumRecordAgeInSeconds"].as_i64().unwrap();
        assert!((60..86_400).contains(&age), "{binary}: {age}");
        let destination = behind(&properties["DestinationConfig"]["OnFailure"]["Destination"]);
        assert_eq!(destination.logical_id, "StreamFailuresQueue", "{binary}");
    }
}

#[test]
fn the_relay_holds_a_record_no_longer_than_the_sweeper_needs_to_come_round() {
    let (.., relay) = stream_mappings().into_iter().find(|(binary, ..)| binary == "relay-outbox").unwrap();

    assert!(relay.properties["MaximumRecordAgeInSeconds"].as_u64().unwrap() <= 600);
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
