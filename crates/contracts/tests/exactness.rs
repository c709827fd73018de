//! What is said of an event that cannot be read: exactly this, of every field of every version.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::event::{DecodeError, Event};
use eda::failure::chain;
use jiff::Timestamp;
use serde_json::{Value, json};
use shop::events::OrderPlaced;
use shop::events::schema::{Published, published};

/// A document of which every field is there.
fn whole(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
    match (kind.as_str().unwrap(), schema["format"].as_str()) {
        ("object", _) => {
            let properties = schema["properties"].as_object().unwrap().iter();
            properties.map(|(name, schema)| (name.clone(), whole(schema))).collect()
        }
        ("array", _) => json!([whole(&schema["items"])]),
        ("string", Some("uuid")) => json!("019bc13e-4c40-7000-8000-000000000001"),
        ("string", Some("date-time")) => json!("2026-01-15T10:30:00Z"),
        ("string", _) => json!("text"),
        ("boolean", _) => json!(true),
        _ => json!(7),
    }
}

fn document(contract: &Published) -> Value {
    let mut document = whole(&contract.schema);
    if contract.schema.get("oneOf").is_some() {
        document.as_object_mut().unwrap().remove("amount");
    }
    document
}

/// What is said, without the line and column in the text.
fn said(contract: &Published, document: &Value) -> String {
    let error = match (contract.decode)(&document.to_string()) {
        Ok(()) => return "nothing".to_owned(),
        Err(error) => chain(&error),
    };
    let prefix = format!("{} is malformed: ", contract.detail_type);
    let said = error.strip_prefix(&prefix).unwrap_or(&error);
    said.split_once(" at line ").map_or(said, |(said, _)| said).to_owned()
}

/// A field: the pointer to it, its path in errors, its schema, and whether it must be there.
struct Field {
    pointer: String,
    path: String,
    schema: Value,
    required: bool,
}

fn fields(schema: &Value, pointer: &str, path: &str, found: &mut Vec<Field>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if path.is_empty() && ["version", "amount"].contains(&name.as_str()) {
            continue;
        }
        let pointer = format!("{pointer}/{name}");
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let alternative = name == "totalAmount" && schema.get("oneOf").is_some();
        let required = alternative || schema["required"].as_array().unwrap().iter().any(|one| one == name);
        fields(field, &pointer, &path, found);
        if let Some(items) = field.get("items") {
            fields(items, &format!("{pointer}/0"), &format!("{path}[0]"), found);
        }
        found.push(Field { pointer, path, schema: field.clone(), required });
    }
}

/// Calls `test` with each field of each version of each event, and a document that has them all.
fn each(test: impl Fn(&Published, &Value, &Field)) {
    for contract in published() {
        let document = document(&contract);
        assert_eq!(said(&contract, &document), "nothing", "{document:#}");
        let mut found = Vec::new();
        fields(&contract.schema, "", "", &mut found);
        assert!(found.len() > 6, "{}", contract.detail_type);
        for field in found {
            test(&contract, &document, &field);
        }
    }
}

fn with(document: &Value, field: &Field, value: Value) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(&field.pointer).unwrap() = value;
    document
}

fn nullable(field: &Field) -> bool {
    field.schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
}

fn kind(field: &Field) -> &str {
    let kind = &field.schema["type"];
    kind.as_array().map_or(kind, |kinds| &kinds[0]).as_str().unwrap()
}

#[test]
fn a_missing_field_is_named_where_it_should_be() {
    each(|contract, document, field| {
        let (parent, name) = field.pointer.rsplit_once('/').unwrap();
        let mut document = document.clone();
        document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let parent = field.path.rsplit_once('.').map(|(parent, _)| format!("{parent}: ")).unwrap_or_default();
        let expected =
            if field.required { format!("{parent}missing field `{name}`") } else { "nothing".to_owned() };
        assert_eq!(said(contract, &document), expected, "{}: {}", contract.detail_type, field.path);
    });
}

#[test]
fn null_is_a_value_only_where_a_field_may_be_absent() {
    each(|contract, document, field| {
        let expected = match kind(field) {
            _ if nullable(field) => "nothing".to_owned(),
            "number" => format!("{}: expected a number", field.path),
            "integer" => {
                format!("{}: invalid type: null, expected a whole number from 0 to 4294967295", field.path)
            }
            "array" => format!("{}: invalid type: null, expected a sequence", field.path),
            "boolean" => format!("{}: invalid type: null, expected a boolean", field.path),
            _ => format!("{}: invalid type: null, expected a string", field.path),
        };
        assert_eq!(said(contract, &with(document, field, Value::Null)), expected, "{}", contract.detail_type);
    });
}

#[test]
fn a_value_of_another_type_is_told_what_was_expected() {
    each(|contract, document, field| {
        let path = &field.path;
        if kind(field) == "boolean" {
            let said = said(contract, &with(document, field, json!(7)));
            assert_eq!(said, format!("{path}: invalid type: integer `7`, expected a boolean"));
            return;
        }
        let said = said(contract, &with(document, field, json!(true)));
        let wrong = format!("{path}: invalid type: boolean `true`, expected ");
        match kind(field) {
            "number" => assert_eq!(said, format!("{path}: expected a number")),
            "integer" => assert_eq!(said, format!("{wrong}a whole number from 0 to 4294967295")),
            "array" => assert_eq!(said, format!("{wrong}a sequence")),
            "object" => assert!(said.starts_with(&format!("{wrong}struct ")), "{said}"),
            _ => assert_eq!(said, format!("{wrong}a string")),
        }
    });
}

#[test]
fn a_text_that_is_too_long_or_empty_or_of_another_form_is_told_the_form() {
    each(|contract, document, field| {
        if kind(field) != "string" {
            return;
        }
        let longest = field.schema["maxLength"].as_u64();
        let path = &field.path;
        let expected = match (field.schema["format"].as_str(), longest) {
            (Some("uuid"), _) => {
                format!("{path}: expected a UUID such as 019bc13e-4c40-7000-8000-000000000001")
            }
            (Some(_), _) => format!("{path}: expected a date and time such as 2026-01-15T10:30:00Z"),
            (None, Some(longest)) => format!("{path}: expected 1 to {longest} characters"),
            (None, None) => format!("{path}: expected choreographed or orchestrated"),
        };
        let longest = usize::try_from(longest.unwrap_or(0)).unwrap();
        for wrong in ["ä".repeat(longest + 1), String::new()] {
            assert_eq!(
                said(contract, &with(document, field, json!(wrong))),
                expected,
                "{}",
                contract.detail_type
            );
        }
        if longest > 0 {
            assert_eq!(said(contract, &with(document, field, json!("ä".repeat(longest)))), "nothing");
        }
    });
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    each(|contract, document, field| {
        let path = &field.path;
        let cases = match kind(field) {
            "number" => {
                let expected = format!("{path}: expected a decimal number of at most 28 digits");
                vec![
                    (json!(1e29), expected.clone()),
                    (json!(-1e29), expected.clone()),
                    (json!(1e-29), expected),
                ]
            }
            "integer" => {
                let range = "expected a whole number from 0 to 4294967295";
                vec![
                    (json!(-1), format!("{path}: invalid value: integer `-1`, {range}")),
                    (
                        json!(4_294_967_296_u64),
                        format!("{path}: invalid value: integer `4294967296`, {range}"),
                    ),
                    (json!(1.5), format!("{path}: invalid value: floating point `1.5`, {range}")),
                    (json!(2.0), "nothing".to_owned()),
                ]
            }
            _ => vec![],
        };
        for (wrong, expected) in cases {
            assert_eq!(said(contract, &with(document, field, wrong)), expected, "{}", contract.detail_type);
        }
    });
}

fn placed(version: Option<&Value>, change: impl FnOnce(&mut Value)) -> Result<OrderPlaced, DecodeError> {
    let mut detail = json!({
        "orderId": "o", "customerId": "c", "items": [], "totalAmount": 5, "timestamp": "2026-01-15T10:30:00Z",
    });
    if let Some(version) = version {
        detail["version"] = version.clone();
    }
    change(&mut detail);
    Event::from_detail(&detail.to_string(), Timestamp::UNIX_EPOCH).map(|event| event.data)
}

#[test]
fn old_producers_and_new_ones_are_read_side_by_side() {
    let newest = placed(Some(&json!("2.0")), |detail| detail["currency"] = json!("USD")).unwrap();
    for version in [Some(json!("1.0")), Some(Value::Null), None] {
        assert_eq!(placed(version.as_ref(), |_| ()).unwrap(), newest, "{version:?}");
        let renamed = placed(version.as_ref(), |detail| {
            detail["amount"] = detail.as_object_mut().unwrap().remove("totalAmount").unwrap();
        });
        assert_eq!(renamed.unwrap(), newest, "{version:?}");
    }
}

#[test]
fn a_version_is_one_that_is_known() {
    let said = |version: Value| chain(&placed(Some(&version), |_| ()).unwrap_err());
    for unknown in ["9.9", "", "1", "2", "2.0 ", "3.0"] {
        assert_eq!(
            said(json!(unknown)),
            format!("OrderPlaced version {unknown:?} is unknown; known: 1.0, 2.0")
        );
    }
    assert!(said(json!(2.0)).starts_with(
        "OrderPlaced is malformed: version: invalid type: floating point `2.0`, expected a string"
    ));
    assert!(said(json!("2.0")).starts_with("OrderPlaced is malformed: missing field `currency`"));
}
