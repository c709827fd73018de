//! Rule patterns against events: each takes what it is for, and every part of it leaves something out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use eda::testing::pattern::fits;
use eda::testing::template::list;
use serde_json::{Value, json};
use shop::customer::{Customer, enriched};
use shop::replenishment::LOW_STOCK;
use shop::testing::{CUSTOMER, order_placed, stock_update};

use crate::inspect::{TEMPLATE, files_below};

#[test]
fn every_rule_takes_some_event_and_leaves_another() {
    for (rule, pattern) in &*PATTERNS {
        let taken = EVENTS.iter().filter(|event| fits(pattern, event)).count();

        assert!(taken > 0, "{rule} takes none of the events that the samples and this test know");
        assert!(taken < EVENTS.len(), "{rule} takes everything");
    }
}

#[test]
fn every_field_of_a_pattern_leaves_out_an_event_that_has_another_value_there_or_none() {
    for (rule, pattern) in &*PATTERNS {
        let event = taken_by(pattern);
        for (field, wanted) in fields("", pattern) {
            let any_value = list(&wanted).any(|one| one["exists"] == true);
            let other = with(event, &field, json!("something else"));
            assert_eq!(fits(pattern, &other), any_value, "{rule} with another {field}");

            let may_be_absent = list(&wanted).any(|one| one["exists"] == false);
            let absent = without(event, &field);
            assert_eq!(fits(pattern, &absent), may_be_absent, "{rule} without {field}");
        }
    }
}

#[test]
fn every_value_that_a_pattern_lists_is_taken() {
    for (rule, pattern) in &*PATTERNS {
        for (field, wanted) in fields("", pattern) {
            for value in list(&wanted).filter(|value| !value.is_object()) {
                // Values of one field may belong to different events.
                let mut candidates = EVENTS.iter();
                let taken = candidates.any(|event| fits(pattern, &with(event, &field, value.clone())));

                assert!(taken, "{rule}: {field} lists {value}, which it never takes");
            }
        }
    }
}

/// Just below the bound, at it, just above it: what each comparison takes.
const SIDES: [(&str, [bool; 3]); 5] = [
    ("<", [true, false, false]),
    ("<=", [true, true, false]),
    ("=", [false, true, false]),
    (">=", [false, true, true]),
    (">", [false, false, true]),
];

#[test]
fn a_bound_is_exact_on_both_sides() {
    let mut bounds = 0;
    for (rule, pattern) in &*PATTERNS {
        let event = taken_by(pattern);
        for (field, wanted) in fields("", pattern) {
            for terms in list(&wanted).filter_map(|one| one["numeric"].as_array()) {
                for term in terms.chunks(2) {
                    let (_, expected) = SIDES.into_iter().find(|(sign, _)| *sign == term[0]).unwrap();
                    let bound = term[1].as_f64().unwrap();
                    for (value, taken) in [bound - 0.01, bound, bound + 0.01].into_iter().zip(expected) {
                        let event = with(event, &field, json!(value));
                        assert_eq!(fits(pattern, &event), taken, "{rule}: {field} {value}");
                    }
                    bounds += 1;
                }
            }
        }
    }
    assert!(bounds >= 3, "the bounds of stock: {bounds}");
}

#[test]
fn a_shortage_and_a_recovery_are_where_the_domain_draws_the_line() {
    let low =
        |quantity, before| bus_event("inventory", "StockUpdate", &stock_update("p", quantity, before, 1));
    let takes = |rule: &str, event: &Value| fits(&PATTERNS[rule], event);
    let (just_short, enough) = (LOW_STOCK - 1, LOW_STOCK);

    for (now, before, short, recovered) in [
        (just_short, enough, true, false),
        (0, just_short, true, false),
        (enough, just_short, false, true),
        (enough, 0, false, true),
        (enough, enough + 1, false, false),
        (enough + 1, enough, false, false),
    ] {
        let event = low(now, before);
        assert_eq!(takes("ReorderStockLowRule", &event), short, "{before} → {now}");
        assert_eq!(takes("ReorderStockRecoveredRule", &event), recovered, "{before} → {now}");
    }
}

/// Which of the two rules takes an order: of high value, or standard.
fn routed(order: &Value) -> (bool, bool) {
    let event = json!({ "source": "orders", "detail-type": "OrderPlaced", "detail": order });
    (fits(&PATTERNS["HighValueOrdersRule"], &event), fits(&PATTERNS["StandardOrdersRule"], &event))
}

#[test]
fn an_order_is_routed_by_its_total_exactly_at_the_bound_whatever_its_version_calls_it() {
    for (total, high) in [("999.99", false), ("1000", false), ("1000.00", false), ("1000.01", true)] {
        let total: Value = serde_json::from_str(total).unwrap();
        for field in ["totalAmount", "amount"] {
            for saga in ["choreographed", "orchestrated"] {
                let order = json!({ field: total, "metadata": { "saga": saga } });
                assert_eq!(routed(&order), (high, !high), "{field} {total} {saga}");
            }
        }
        let amount = shop::money::Money::new(total.to_string().parse().unwrap());
        let orchestrated = shop::saga::style(amount) == eda::event::SagaStyle::Orchestrated;
        assert_eq!(orchestrated, high, "the domain draws the line elsewhere: {total}");
    }
}

#[test]
fn no_order_falls_between_the_two_rules_and_none_is_taken_by_both() {
    let numbers = [-1.0, 0.0, 0.01, 999.99, 1_000.0, 1_000.01, 4_999_999_999.99, 5_000_000_000.0];
    let mut totals: Vec<_> = numbers.map(|number| json!(number)).to_vec();
    totals.extend([json!(null), json!("1000"), json!("")]);
    let mut orders = vec![json!({}), json!({ "totalAmount": 5, "amount": 2_000 })];
    for total in &totals {
        orders.push(json!({ "totalAmount": total }));
        orders.push(json!({ "amount": total }));
        orders.push(json!({ "totalAmount": 2_000, "amount": total }));
    }
    for order in orders {
        let (high, standard) = routed(&order);
        assert!(high != standard, "{order} is taken by {}", if high { "both" } else { "none" });
    }
}

/// The patterns of all rules, by the rule's logical id.
static PATTERNS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let rules = TEMPLATE.resources("AWS::Events::Rule").into_iter();
    rules.map(|rule| (rule.logical_id, rule.properties["EventPattern"].clone())).collect()
});

/// Events of all kinds: those of the samples, and those that no sample shows.
static EVENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let samples = files_below(&system_tests::workspace().join("functions"), "json").into_iter();
    let samples = samples.filter_map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).ok());
    let sampled = samples.flat_map(|sample: Value| {
        let records = sample["Records"].as_array().cloned().unwrap_or_default().into_iter();
        records.filter_map(|record| serde_json::from_str::<Value>(record["body"].as_str()?).ok())
    });
    sampled.filter(|event| event.get("detail-type").is_some()).map(of_ours).chain(unsampled()).collect()
});

/// A sample names a bucket of its own; what rules match is ours.
fn of_ours(mut event: Value) -> Value {
    if let Some(bucket) = event.pointer_mut("/detail/bucket/name") {
        *bucket = json!("ImportsBucket");
    }
    event
}

/// Events that rules match and no queue's sample shows.
fn unsampled() -> Vec<Value> {
    let customer = Customer {
        customer_id: CUSTOMER.into(),
        name: None,
        tier: None,
        email: Some("ada@example.com".into()),
    };
    let order = enriched(&order_placed("o1", &[("keyboard", 2)]), Some(customer));
    vec![bus_event("orders", "OrderEnriched", &order)]
}

fn bus_event(source: &str, detail_type: &str, data: &impl serde::Serialize) -> Value {
    json!({ "source": source, "detail-type": detail_type, "detail": data })
}

fn taken_by(pattern: &Value) -> &'static Value {
    EVENTS.iter().find(|event| fits(pattern, event)).unwrap()
}

/// The fields that a pattern looks at, as JSON pointers, with what it wants there. Of a choice (`$or`) none must hold.
fn fields(pointer: &str, pattern: &Value) -> Vec<(String, Value)> {
    match pattern {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "$or")
            .flat_map(|(name, inner)| fields(&format!("{pointer}/{name}"), inner))
            .collect(),
        wanted => vec![(pointer.to_owned(), wanted.clone())],
    }
}

fn with(event: &Value, field: &str, value: Value) -> Value {
    let mut event = event.clone();
    let (parent, name) = field.rsplit_once('/').unwrap();
    if let Some(parent) = event.pointer_mut(parent) {
        parent[name] = value;
    }
    event
}

fn without(event: &Value, field: &str) -> Value {
    let mut event = event.clone();
    let (parent, name) = field.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    event
}
