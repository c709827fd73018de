//! CloudFormation's intrinsic functions, as far as a test needs them.

use serde_json::{Value, json};

use super::{Template, at, list, text};

/// The value without intrinsic functions; nothing where it is `AWS::NoValue`.
pub(super) fn resolve(template: &Template, value: &Value) -> Option<Value> {
    match value {
        Value::Array(elements) => {
            Some(Value::Array(elements.iter().filter_map(|element| resolve(template, element)).collect()))
        }
        Value::Object(members) => match members.iter().next() {
            Some((name, argument)) if members.len() == 1 && is_intrinsic(name) => {
                call(template, name, argument)
            }
            _ => Some(Value::Object(
                members
                    .iter()
                    .filter_map(|(key, member)| Some((key.clone(), resolve(template, member)?)))
                    .collect(),
            )),
        },
        scalar => Some(scalar.clone()),
    }
}

fn is_intrinsic(name: &str) -> bool {
    name == "Ref" || name.starts_with("Fn::")
}

fn call(template: &Template, name: &str, argument: &Value) -> Option<Value> {
    match name {
        "Ref" => reference(template, &text(argument)),
        "Fn::GetAtt" => Some(json!(list(argument).map(text).collect::<Vec<_>>().join("."))),
        "Fn::Sub" => Some(json!(substitute(template, &text(list(argument).next()?)))),
        "Fn::If" => {
            let [condition, then, otherwise] = argument.as_array()?.as_slice() else { return None };
            let taken = if holds(template, &json!({ "Condition": condition })) { then } else { otherwise };
            resolve(template, taken)
        }
        // What no test reads stays as it is, under its name.
        _ => Some(json!({ name: resolve(template, argument)? })),
    }
}

/// A parameter's value, or the name of a resource or pseudo parameter.
fn reference(template: &Template, name: &str) -> Option<Value> {
    match template.parameters.get(name) {
        _ if name == "AWS::NoValue" => None,
        Some(value) => Some(value.clone()),
        None => Some(json!(name)),
    }
}

/// `${X}` and `${X.Attribute}` as [`reference`] and `Fn::GetAtt` give them.
fn substitute(template: &Template, pattern: &str) -> String {
    let mut parts = pattern.split("${");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        match name.strip_prefix('!') {
            Some(literal) => result.push_str(&format!("${{{literal}}}")),
            None => result.push_str(&reference(template, name).map(|value| text(&value)).unwrap_or_default()),
        }
        result.push_str(rest);
    }
    result
}

/// Whether a condition holds with the template's parameters.
pub(super) fn holds(template: &Template, condition: &Value) -> bool {
    let Some((name, argument)) = condition.as_object().and_then(|members| members.iter().next()) else {
        return false;
    };
    match name.as_str() {
        "Condition" => holds(template, at(&template.document, &format!("/Conditions/{}", text(argument)))),
        "Fn::Not" => !list(argument).any(|inner| holds(template, inner)),
        "Fn::And" => list(argument).all(|inner| holds(template, inner)),
        "Fn::Or" => list(argument).any(|inner| holds(template, inner)),
        // CloudFormation compares parameters as text: a Number parameter given as "0" equals 0.
        "Fn::Equals" => {
            let mut sides = list(argument).map(|side| resolve(template, side).as_ref().map(text));
            sides.next() == sides.next()
        }
        _ => false,
    }
}
