//! The same schema as JSON Schema draft 4, which is what the EventBridge schema registry takes beside OpenAPI 3.
//! <https://docs.aws.amazon.com/eventbridge/latest/schema-reference/what-is-eventbridge-schemas.html>

use serde_json::{Map, Value, json};

/// The schema in draft 4. It says the same: only `$id` and exclusive bounds are written in another way, and comments go.
#[must_use]
pub fn draft4(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut document = Map::new();
    for (keyword, value) in members {
        match keyword.as_str() {
            "$schema" => {
                drop(document.insert(keyword.clone(), json!("http://json-schema.org/draft-04/schema#")))
            }
            "$id" => drop(document.insert("id".to_owned(), value.clone())),
            "$comment" => {}
            "exclusiveMinimum" | "exclusiveMaximum" => {
                let bound = keyword.replace("exclusiveM", "m");
                document.insert(bound, value.clone());
                document.insert(keyword.clone(), json!(true));
            }
            // Its members are names, not keywords.
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                let properties = properties.map(|(name, schema)| (name.clone(), draft4(schema)));
                document.insert(keyword.clone(), Value::Object(properties.collect()));
            }
            "items" => drop(document.insert(keyword.clone(), draft4(value))),
            "oneOf" | "anyOf" => {
                let ways = value.as_array().into_iter().flatten().map(draft4).collect();
                document.insert(keyword.clone(), ways);
            }
            // draft 4 has no empty list here.
            "required" if value.as_array().is_some_and(Vec::is_empty) => {}
            _ => drop(document.insert(keyword.clone(), value.clone())),
        }
    }
    Value::Object(document)
}
