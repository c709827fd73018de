//! Who uses which field: the rules and transformers of the template, and the functions that the events reach.

use std::collections::BTreeSet;
use std::path::Path;

use eda::testing::template::{Template, at, list};
use serde_json::Value;

use crate::Finding;
use crate::registry::Committed;
use crate::schema::{field, types};

/// A rule of the template that matches an event.
struct Rule {
    name: String,
    properties: Value,
}

fn rules_for(template: &Template, contract: &Committed) -> Vec<Rule> {
    let names = |value: &Value, wanted: &str| list(value).any(|one| one == wanted);
    let rules = template.resources("AWS::Events::Rule").into_iter();
    rules
        .filter(|rule| {
            names(at(&rule.properties, "/EventPattern/detail-type"), &contract.detail_type)
                && names(at(&rule.properties, "/EventPattern/source"), &contract.source)
        })
        .map(|rule| Rule { name: rule.logical_id, properties: rule.properties })
        .collect()
}

/// What rules and transformers use of this version and do not find there, or find as something else.
pub(crate) fn missed_by_rules(template: &Template, contract: &Committed) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules_for(template, contract) {
        let mut note = |path: &str, reason: String| {
            let contract = format!("{} {}", contract.detail_type, contract.version);
            found.push(Finding::new(contract, path, format!("{reason}, and {} matches on it", rule.name)));
        };
        pattern(&contract.schema, &mut Vec::new(), at(&rule.properties, "/EventPattern/detail"), &mut note);
        for target in list(at(&rule.properties, "/Targets")) {
            let paths = at(target, "/InputTransformer/InputPathsMap").as_object().into_iter().flatten();
            for path in paths.filter_map(|(_, path)| path.as_str()?.strip_prefix("$.detail.")) {
                let spelled = without_indices(path);
                if field(&contract.schema, &spelled.split('.').collect::<Vec<_>>()).is_none() {
                    let contract = format!("{} {}", contract.detail_type, contract.version);
                    let reason = format!("is not there, and the input transformer of {} reads it", rule.name);
                    found.push(Finding::new(contract, path, reason));
                }
            }
        }
    }
    found
}

/// Looks up every field of a pattern. Of the ways in a `$or`, one must be found.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
fn pattern(schema: &Value, path: &mut Vec<String>, pattern_of: &Value, note: &mut dyn FnMut(&str, String)) {
    for (name, inner) in pattern_of.as_object().into_iter().flatten() {
        if name == "$or" {
            let mut problems = Vec::new();
            let ways = list(inner).map(|way| {
                let mut wrong = Vec::new();
                pattern(schema, path, way, &mut |path, reason| wrong.push((path.to_owned(), reason)));
                wrong
            });
            for wrong in ways {
                if wrong.is_empty() {
                    problems.clear();
                    break;
                }
                problems.extend(wrong);
            }
            problems.into_iter().for_each(|(path, reason)| note(&path, reason));
            continue;
        }
        path.push(name.clone());
        let names: Vec<_> = path.iter().map(String::as_str).collect();
        let spelled = names.join(".");
        match (field(schema, &names), inner) {
            (_, Value::Null) => {}
            (None, Value::Array(_)) if list(inner).all(|one| one["exists"] == false) => {}
            (None, _) => note(&spelled, "is not there".to_owned()),
            (Some(_), Value::Object(_)) => pattern(schema, path, inner, note),
            (Some(found), _) => {
                let is = types(found);
                for wanted in list(inner).filter_map(wanted).filter(|wanted| !fits(&is, wanted)) {
                    note(&spelled, format!("is {}, not {wanted}", is.join(" or ")));
                }
            }
        }
        path.pop();
    }
}

/// The type of JSON that an alternative of a pattern can match; `None` where any.
fn wanted(alternative: &Value) -> Option<&'static str> {
    match alternative {
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        Value::Bool(_) => Some("boolean"),
        Value::Object(members) => members.keys().find_map(|operator| match operator.as_str() {
            "numeric" => Some("number"),
            "prefix" | "suffix" | "wildcard" | "equals-ignore-case" | "cidr" => Some("string"),
            _ => None,
        }),
        Value::Null | Value::Array(_) => None,
    }
}

fn fits(is: &[String], wanted: &str) -> bool {
    is.iter().any(|one| one == wanted || (wanted == "number" && one == "integer"))
}

/// The rules whose input transformer reads this field.
pub(crate) fn transformers_reading(template: &Template, contract: &Committed, field: &str) -> Vec<String> {
    let reads = |path: &Value| {
        let path = path.as_str().and_then(|path| path.strip_prefix("$.detail."));
        path.is_some_and(|path| without_indices(path) == without_indices(field))
    };
    let rules = rules_for(template, contract).into_iter().filter(|rule| {
        let mut targets = list(at(&rule.properties, "/Targets"));
        targets.any(|target| {
            let paths = at(target, "/InputTransformer/InputPathsMap").as_object();
            paths.is_some_and(|paths| paths.values().any(reads))
        })
    });
    rules.map(|rule| format!("the input transformer of {}", rule.name)).collect()
}

/// `items[0].price` and `items[].price` → `items.price`.
fn without_indices(path: &str) -> String {
    let names: Vec<_> = path.split('.').map(|name| name.split('[').next().unwrap_or(name)).collect();
    names.join(".")
}

/// The functions that an event reaches through rules and queues and whose source names this field.
pub(crate) fn consumers_naming(
    template: &Template,
    root: &Path,
    contract: &Committed,
    field: &str,
) -> Vec<String> {
    let queues: BTreeSet<_> = rules_for(template, contract)
        .iter()
        .flat_map(|rule| list(at(&rule.properties, "/Targets")))
        .map(|target| at(target, "/Arn").clone())
        .filter_map(|arn| arn.as_str().map(ToOwned::to_owned))
        .collect();
    let name = in_rust(field);
    let mappings = template.resources("AWS::Lambda::EventSourceMapping");
    let fed = |logical_id: &str| {
        queues.contains(&format!("{logical_id}.Arn"))
            || mappings.iter().any(|mapping| {
                at(&mapping.properties, "/FunctionName") == logical_id
                    && at(&mapping.properties, "/EventSourceArn")
                        .as_str()
                        .is_some_and(|arn| queues.contains(arn))
            })
    };
    let functions = template.functions();
    let consumers = functions.values().filter(|function| fed(&function.logical_id));
    consumers
        .map(|function| function.binary.clone())
        .filter(|binary| {
            let sources = std::fs::read_dir(root.join("functions").join(binary).join("src"));
            let sources = sources.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
            let mut texts = sources.filter_map(|path| std::fs::read_to_string(path).ok());
            texts.any(|text| names(&text, &name))
        })
        .collect()
}

/// The last name of a path as Rust spells it.
fn in_rust(field: &str) -> String {
    let name = field.rsplit('.').next().unwrap_or(field).trim_end_matches("[]");
    name.chars().fold(String::new(), |mut spelled, letter| {
        if letter.is_uppercase() {
            spelled.push('_');
        }
        spelled.extend(letter.to_lowercase());
        spelled
    })
}

fn names(source: &str, name: &str) -> bool {
    source.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name)
}
