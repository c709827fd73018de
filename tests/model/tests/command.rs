//! The command that explores the models.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

use serde_json::{Value, json};

fn model(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_model")).args(arguments).output().unwrap()
}

fn document(arguments: &[&str]) -> Value {
    let output = model(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_configuration_is_explored_and_told_as_json() {
    let told = document(&["--only", "contended stock", "--json"]);
    let found = &told["configurations"][0];
    assert_eq!((&found["model"], &found["name"]), (&json!("order"), &json!("contended stock")));
    assert!(found["states"].as_u64().unwrap() > 1_000, "{found}");
    assert_eq!((&found["violation"], &told["withoutRule"]), (&Value::Null, &json!([])));
}

#[test]
fn a_rule_that_is_left_out_is_told_as_a_story() {
    let told = document(&["--without", "EndOnlyOpenOrders", "--json"]);
    let found = &told["withoutRule"][0];
    assert_eq!((&found["rule"], &found["caught"]), (&json!("EndOnlyOpenOrders"), &json!(true)));
    assert_eq!(found["violation"]["promise"], "an order ends once");
    assert!(!found["violation"]["story"].as_array().unwrap().is_empty(), "{found}");
}

#[test]
fn an_unknown_name_is_answered_with_those_there_are() {
    let output = model(&["--without", "Gravity"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no rule Gravity") && said.contains("ShipOnlyIfOpen"), "{said}");
}

#[test]
fn configurations_and_rules_are_listed_with_what_they_are() {
    let listed = String::from_utf8(model(&["--list"]).stdout).unwrap();
    assert!(listed.contains("Nothing ships where the pivot is decided."), "{listed}");
    assert!(listed.contains("three environments"), "{listed}");
}
