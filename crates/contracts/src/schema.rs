//! Questions to a schema.

use serde_json::Value;

use crate::Finding;

/// Keywords that say something to people and nothing about documents.
const ANNOTATIONS: [&str; 4] = ["description", "title", "$comment", "default"];

/// What `new` asks that `old` did not, and the other way round, field by field.
pub(crate) fn differences(contract: &str, old: &Value, new: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    compare("", old, new, &mut |field, reason| found.push(Finding::new(contract, field, reason)));
    found
}

fn compare(path: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, String)) {
    let (Some(was), Some(is)) = (old.as_object(), new.as_object()) else {
        if old != new {
            differs(path, format!("was {old}, is {new}"));
        }
        return;
    };
    for keyword in was.keys().chain(is.keys().filter(|keyword| !was.contains_key(*keyword))) {
        let (old, new) = (was.get(keyword).unwrap_or(&Value::Null), is.get(keyword).unwrap_or(&Value::Null));
        match keyword.as_str() {
            known if ANNOTATIONS.contains(&known) => {}
            "properties" => properties(path, old, new, differs),
            "items" => compare(&format!("{path}[]"), old, new, differs),
            "required" => required(path, old, new, differs),
            _ if old == new => {}
            _ => differs(path, format!("{keyword} was {old}, is {new}")),
        }
    }
}

fn properties(path: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, String)) {
    let none = serde_json::Map::new();
    let (was, is) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    for (name, old) in was {
        match is.get(name) {
            Some(new) => compare(&join(path, name), old, new, differs),
            None => differs(&join(path, name), "is removed".to_owned()),
        }
    }
    for name in is.keys().filter(|name| !was.contains_key(*name)) {
        differs(&join(path, name), "is added".to_owned());
    }
}

fn required(path: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, String)) {
    let names = |list: &Value| -> Vec<String> {
        let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(ToOwned::to_owned).collect()
    };
    let (was, is) = (names(old), names(new));
    for name in was.iter().filter(|name| !is.contains(name)) {
        differs(&join(path, name), "was required, is optional".to_owned());
    }
    for name in is.iter().filter(|name| !was.contains(name)) {
        differs(&join(path, name), "was optional, is required".to_owned());
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The schema of a field, by its path of names; lists are looked into.
pub(crate) fn field<'a>(schema: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(schema, |schema, name| {
        let schema = schema.get("items").unwrap_or(schema);
        schema.get("properties")?.get(name)
    })
}

/// The types of JSON that a schema accepts.
pub(crate) fn types(schema: &Value) -> Vec<String> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        }
        _ => schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|value| {
                match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                }
                .to_owned()
            })
            .collect(),
    }
}

/// All fields of a schema, by path, each with its schema.
pub(crate) fn fields(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    walk("", schema, &mut found);
    found
}

fn walk<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = join(path, name);
        found.push((path.clone(), field));
        walk(&path, field, found);
    }
    if let Some(items) = schema.get("items") {
        walk(&format!("{path}[]"), items, found);
    }
}
