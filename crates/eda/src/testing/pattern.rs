//! Event patterns, as rules and event source mappings filter with them: the operators that the template uses.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>

use serde_json::Value;

/// Whether an event fits a pattern: every field must, `$or` lets one of several.
#[must_use]
pub fn fits(pattern: &Value, event: &Value) -> bool {
    let Some(fields) = pattern.as_object() else { return false };
    fields.iter().all(|(name, wanted)| match wanted {
        Value::Array(choices) if name == "$or" => choices.iter().any(|choice| fits(choice, event)),
        Value::Array(choices) => {
            let found = event.get(name);
            choices.iter().any(|choice| fits_value(choice, found))
        }
        nested => fits(nested, event.get(name).unwrap_or(&Value::Null)),
    })
}

/// Whether a field's value, or any element of an array, is what one element of a pattern's list asks for.
fn fits_value(choice: &Value, found: Option<&Value>) -> bool {
    if let Some(wanted) = choice.get("exists").and_then(Value::as_bool) {
        return found.is_some_and(|value| !value.is_object()) == wanted;
    }
    match found {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(|element| fits_scalar(choice, element)),
        Some(value) => fits_scalar(choice, value),
    }
}

fn fits_scalar(choice: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = choice.as_object().and_then(|members| members.iter().next()) else {
        return equal(choice, value);
    };
    let text = value.as_str().unwrap_or_default();
    let operand_text = operand.as_str().unwrap_or_default();
    match operator.as_str() {
        "prefix" => value.is_string() && text.starts_with(operand_text),
        "suffix" => value.is_string() && text.ends_with(operand_text),
        "equals-ignore-case" => value.is_string() && text.eq_ignore_ascii_case(operand_text),
        "anything-but" => match operand {
            Value::Array(refused) => !refused.iter().any(|refused| equal(refused, value)),
            Value::Object(_) => !fits_scalar(operand, value),
            refused => !equal(refused, value),
        },
        "numeric" => {
            let Some(number) = value.as_f64() else { return false };
            let terms = operand.as_array().map(Vec::as_slice).unwrap_or_default();
            terms.chunks(2).all(|term| match term {
                [comparison, bound] => {
                    compare(comparison.as_str().unwrap_or_default(), number, bound.as_f64())
                }
                _ => false,
            })
        }
        _ => false,
    }
}

/// Numbers are equal however they are written.
fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn compare(comparison: &str, number: f64, bound: Option<f64>) -> bool {
    let Some(bound) = bound else { return false };
    match comparison {
        "=" => number == bound,
        "<" => number < bound,
        "<=" => number <= bound,
        ">" => number > bound,
        ">=" => number >= bound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({ "source": "orders", "detail": { "total": 1000.0, "tags": ["a", "b"], "metadata": {} } })
    }

    #[test]
    fn every_field_of_a_pattern_must_fit() {
        assert!(fits(&json!({ "source": ["payments", "orders"] }), &event()));
        assert!(!fits(&json!({ "source": ["orders"], "detail-type": ["OrderPlaced"] }), &event()));
        assert!(fits(&json!({ "detail": { "tags": ["b"] } }), &event()));
    }

    #[test]
    fn a_field_may_be_asked_to_be_absent() {
        let absent = json!({ "detail": { "metadata": { "saga": ["choreographed", { "exists": false }] } } });
        assert!(fits(&absent, &event()));
        let mut orchestrated = event();
        orchestrated["detail"]["metadata"]["saga"] = json!("orchestrated");
        assert!(!fits(&absent, &orchestrated));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let at_most = |bound: u32| json!({ "detail": { "total": [{ "numeric": [">", 0, "<=", bound] }] } });
        assert!(fits(&at_most(1000), &event()));
        assert!(!fits(&at_most(999), &event()));
        assert!(fits(&json!({ "detail": { "total": [1000] } }), &event()));
    }

    #[test]
    fn one_of_several_fields_may_be_enough() {
        let either = json!({ "$or": [{ "source": ["payments"] }, { "detail": { "total": [1000] } }] });
        assert!(fits(&either, &event()));
        assert!(fits(&json!({ "source": [{ "anything-but": ["payments"] }] }), &event()));
        assert!(fits(&json!({ "source": [{ "prefix": "ord" }] }), &event()));
    }
}
