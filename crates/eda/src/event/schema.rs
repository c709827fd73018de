//! JSON Schemas (2020-12) of whole events, and of the values that [`wire`](super::wire) reads.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::wire::{DateTime, Id, MAX_ID, MAX_TEXT, OptionalText, OptionalUniqueId, Text, Texts, UniqueId};
use super::{Metadata, SagaStyle, Version};

const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
const DATE_TIME: &str = "^([0-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-[0-9]{2}-[0-9]{2}\
                         T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// The schema of a `detail` of version `T`: the payload with `version` and `metadata`, in one piece without references.
///
/// It says what is accepted. A producer always sends `version` and `metadata`.
#[must_use]
pub fn detail<T: Version + JsonSchema>(source: &str, detail_type: &str) -> Value {
    let version = T::VERSION;
    let mut payload = schema_of::<T>();
    let mut take = |keyword| payload.get_mut(keyword).map(Value::take);
    let properties = take("properties").and_then(|all| all.as_object().cloned());
    let required = take("required").and_then(|all| all.as_array().cloned()).unwrap_or_default();
    let oldest = version == "1.0";
    let of_version = if oldest { json!(["1.0", null]) } else { json!([version]) };
    let first = if oldest { vec![] } else { vec![json!("version")] };
    let mut all = Map::from_iter([(
        "version".to_owned(),
        json!({ "description": "The version of this contract.", "enum": of_version }),
    )]);
    all.extend(properties.unwrap_or_default());
    all.insert("metadata".to_owned(), schema_of::<Option<Metadata>>());
    let mut document = Map::from_iter([
        ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
        ("$id".to_owned(), json!(format!("urn:event:{source}:{detail_type}:{version}"))),
        ("title".to_owned(), json!(detail_type)),
    ]);
    for keyword in ["description", "type", "oneOf"] {
        if let Some(value) = payload.get_mut(keyword) {
            document.insert(keyword.to_owned(), value.take());
        }
    }
    document.insert("properties".to_owned(), Value::Object(all));
    document.insert("required".to_owned(), Value::Array(first.into_iter().chain(required).collect()));
    Value::Object(document)
}

/// The schema of a type in one piece, without references, title or formats of Rust's own.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(members) = &mut schema {
        members.remove("title");
    }
    join_lines(&mut schema);
    schema
}

/// A description wraps where the doc comment did, which is nobody's business.
fn join_lines(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (keyword, value) in members {
                match value {
                    Value::String(text) if keyword == "description" => *text = text.replace('\n', " "),
                    _ => join_lines(value),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(join_lines),
        _ => {}
    }
}

macro_rules! inline {
    ($($kind:ty: $schema:tt),* $(,)?) => {
        $(impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

inline! {
    SagaStyle: { "type": "string", "enum": ["choreographed", "orchestrated"] },
    Id: { "type": "string", "minLength": 1, "maxLength": MAX_ID },
    Text: { "type": "string", "minLength": 1, "maxLength": MAX_TEXT },
    OptionalText: { "type": ["string", "null"], "minLength": 1, "maxLength": MAX_TEXT },
    Texts: { "type": "array", "items": { "type": "string", "minLength": 1, "maxLength": MAX_TEXT } },
    DateTime: { "type": "string", "format": "date-time", "pattern": DATE_TIME },
    UniqueId: { "type": "string", "format": "uuid", "pattern": UUID },
    OptionalUniqueId: { "type": ["string", "null"], "format": "uuid", "pattern": UUID },
}
