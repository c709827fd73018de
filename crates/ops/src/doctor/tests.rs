use std::collections::BTreeMap;

use eda::dead_letters::{Fingerprint, Group};
use eda::outbox::OutboxRow;

use super::*;
use crate::deployment::Queue;
use crate::doctor::observe::{Function, Mapping};
use crate::saga::Open;

const NOW: i64 = 1_768_473_000_000;

fn queue(visible: u64, dead: bool) -> (Queue, bool) {
    let queue = Queue {
        logical_id: "SomeQueue".into(),
        url: "url".into(),
        arn: "arn".into(),
        redrives_to: None,
        visible,
        in_flight: 0,
    };
    (queue, dead)
}

fn waiting(created_at: i64) -> OutboxRow {
    OutboxRow {
        ordering_key: "o1".into(),
        event_id: "e1".into(),
        source: "orders".into(),
        detail_type: "OrderPlaced".into(),
        detail: "{}".into(),
        created_at,
        group: None,
        counted: false,
        trace: None,
    }
}

fn group(status: &str) -> Group {
    Group {
        group: Fingerprint::of("place", "cause"),
        place: "place".into(),
        cause: "cause".into(),
        failures: BTreeMap::from([(status.to_owned(), 2)]),
        oldest_failed_at: NOW - 60_000,
        last_failed_at: NOW,
    }
}

fn overdue() -> Open {
    Open {
        order_id: "o1".into(),
        deadline: NOW / 1_000 - 60,
        waits_for: "ship-order",
        reservation: Some("reserved"),
        payment: Some("charged"),
        shipment: None,
        version: 1,
    }
}

fn mapping(function: &str, enabled: bool, last_result: &str) -> Mapping {
    Mapping { function: function.into(), enabled, last_result: last_result.into(), ..Mapping::default() }
}

fn well() -> Observation {
    Observation {
        now: NOW,
        stack: "stack".into(),
        queues: vec![queue(0, true), queue(10, false)],
        mappings: vec![mapping("ship-order", true, "OK"), mapping("process-dlq", false, "")],
        functions: vec![Function { state: "Active".into(), reserved: Some(10), ..Function::default() }],
        outbox: vec![waiting(NOW - 1_000)],
        groups: vec![group("retried"), group("archived")],
        ..Observation::default()
    }
}

#[test]
fn a_deployment_that_is_well_has_no_findings() {
    assert_eq!(findings(&well()), []);
}

#[test]
fn each_problem_is_found_by_the_check_of_its_name_and_by_no_other() {
    type Plant = fn(&mut Observation);
    let planted: [(&str, Plant); 14] = [
        ("dead letters", |seen| seen.queues.push(queue(1, true))),
        ("failed messages", |seen| seen.groups.push(group("failed"))),
        ("backlog", |seen| seen.queues.push(queue(5_000, false))),
        ("disabled mapping", |seen| seen.mappings.push(mapping("ship-order", false, ""))),
        ("failing mapping", |seen| seen.mappings.push(mapping("ship-order", true, "PROBLEM: no leave"))),
        ("throttled function", |seen| {
            seen.functions.push(Function { reserved: Some(0), ..Function::default() });
        }),
        ("broken function", |seen| {
            seen.functions.push(Function { state: "Failed".into(), ..Function::default() });
        }),
        ("disabled rule", |seen| seen.disabled_rules.push("rule".into())),
        ("outbox", |seen| seen.outbox.insert(0, waiting(NOW - 120_000))),
        ("overdue order", |seen| seen.overdue.push(overdue())),
        ("view behind", |seen| seen.behind.push(("o1".into(), 1, 2))),
        ("alarm", |seen| seen.alarms.push(("Alarm".into(), "too many".into()))),
        ("contract", |seen| seen.contracts.push("orders/OrderPlaced 3.0".into())),
        ("stream", |seen| seen.silent_tables.push("OutboxTable".into())),
    ];
    assert_eq!(planted.map(|(name, _)| name).as_slice(), names(), "every check has its problem");
    for (name, plant) in planted {
        let mut seen = well();
        plant(&mut seen);
        let found = findings(&seen);
        let [finding] = found.as_slice() else { panic!("{name}: {found:?}") };
        assert_eq!(finding.check, name);
        assert!(!finding.advice.is_empty());
    }
}

#[test]
fn a_retry_that_died_is_found() {
    let mut seen = well();
    seen.groups.push(group("retrying"));
    assert_eq!(findings(&seen).len(), 1);
}

#[test]
fn the_worst_comes_first() {
    let mut seen = well();
    seen.contracts.push("orders/OrderPlaced 3.0".into());
    seen.disabled_rules.push("rule".into());
    assert_eq!(findings(&seen)[0].check, "disabled rule");
}
