//! Input transformers, as rules cut events down with them for a target: paths of the event, and a template of JSON.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use std::collections::BTreeMap;

use serde_json::Value;

use super::template::at;

/// An input transformer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transformer {
    /// JSON pointers, by the name that stands for what they find.
    paths: BTreeMap<String, String>,
    template: String,
}

impl Transformer {
    /// That of a rule's target, if it has one.
    #[must_use]
    pub fn of(target: &Value) -> Option<Self> {
        let transformer = target.get("InputTransformer")?;
        let paths = at(transformer, "/InputPathsMap").as_object().into_iter().flatten();
        let paths = paths.filter_map(|(name, path)| {
            let path = path.as_str()?.strip_prefix('$')?;
            Some((name.clone(), path.replace('.', "/")))
        });
        let template = at(transformer, "/InputTemplate").as_str().unwrap_or_default().to_owned();
        Some(Self { paths: paths.collect(), template })
    }

    /// What the target gets: a value stands for its name, as text within a string of the template and as JSON elsewhere. Where
    /// the event has no such value nothing does, and the result may be no JSON.
    #[must_use]
    pub fn apply(&self, event: &Value) -> String {
        let mut parts = self.template.split('<');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        let mut quotes = filled.matches('"').count();
        for part in parts {
            let (name, rest) = part.split_once('>').unwrap_or((part, ""));
            if let Some(value) = self.paths.get(name).and_then(|path| event.pointer(path)) {
                let json = value.to_string();
                let text = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
                let within = quotes % 2 == 1;
                filled.push_str(text.filter(|_| within).unwrap_or(&json));
            }
            filled.push_str(rest);
            quotes += rest.matches('"').count();
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transformed(template: &str, event: &Value) -> String {
        let paths = json!({ "name": "$.detail.name", "amount": "$.detail.amount", "all": "$.detail" });
        let target = json!({ "InputTransformer": { "InputPathsMap": paths, "InputTemplate": template } });
        Transformer::of(&target).unwrap().apply(event)
    }

    #[test]
    fn a_value_is_json_outside_of_a_string_and_text_within() {
        let event = json!({ "detail": { "name": "Jo \"J\" Doe", "amount": 99.5 } });
        assert_eq!(
            transformed(
                r#"{"n": <name>, "a": <amount>, "t": "<amount> for <name>", "l": [<amount>]}"#,
                &event
            ),
            r#"{"n": "Jo \"J\" Doe", "a": 99.5, "t": "99.5 for Jo \"J\" Doe", "l": [99.5]}"#
        );
        assert_eq!(transformed("<all>", &json!({ "detail": [1] })), "[1]");
    }

    #[test]
    fn a_value_that_is_not_there_leaves_nothing() {
        assert_eq!(transformed(r#"{"n": <name>, "t": "<amount>"}"#, &json!({})), r#"{"n": , "t": ""}"#);
    }

    #[test]
    fn a_target_may_have_none() {
        assert_eq!(Transformer::of(&json!({ "Arn": "queue" })), None);
    }
}
