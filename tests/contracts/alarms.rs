//! Alarms on the project's own metrics: each names a metric that some function reports.

use eda::testing::template::at;
use serde_json::Value;

use crate::inspect::{TEMPLATE, files_below};

/// Alarms whose metric is neither Lambda's nor a queue's.
fn own_alarms() -> Vec<(String, String, String)> {
    let alarms = TEMPLATE.resources("AWS::CloudWatch::Alarm").into_iter();
    let own = alarms.filter(|alarm| !text(&alarm.properties, "/Namespace").starts_with("AWS/"));
    own.map(|alarm| {
        let function = text(&alarm.properties, "/Dimensions/0/Value").to_owned();
        (alarm.logical_id.clone(), text(&alarm.properties, "/MetricName").to_owned(), function)
    })
    .collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

#[test]
fn an_alarm_on_a_metric_of_ours_names_one_that_is_reported() {
    let sources: String = ["crates/eda", "crates/shop", "functions"]
        .iter()
        .flat_map(|folder| files_below(&system_tests::workspace().join(folder), "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let alarms = own_alarms();
    assert!(!alarms.is_empty());
    for (alarm, metric, _) in alarms {
        assert!(sources.contains(&format!("\"{metric}\"")), "{alarm}: nobody reports {metric}");
    }
}

#[test]
fn an_alarm_on_a_metric_of_ours_names_a_function_by_its_package() {
    let packages: Vec<_> = TEMPLATE.functions().values().map(|function| function.binary.clone()).collect();
    for (alarm, _, function) in own_alarms() {
        assert!(packages.contains(&function), "{alarm}: there is no function {function}");
    }
}
