//! YAML with CloudFormation's short tags, as the JSON it stands for.

use saphyr::{LoadableYamlNode, Scalar, Tag, Yaml};
use serde_json::{Value, json};

use super::TemplateError;

/// The first document of a text: `!Ref X` becomes `{"Ref": "X"}`, `!Sub T` becomes `{"Fn::Sub": "T"}`.
pub(super) fn parse(text: &str) -> Result<Value, TemplateError> {
    let documents = Yaml::load_from_str(text)?;
    documents.first().map_or(Ok(Value::Null), to_json)
}

fn to_json(node: &Yaml<'_>) -> Result<Value, TemplateError> {
    Ok(match node {
        Yaml::Value(scalar) => from_scalar(scalar),
        Yaml::Sequence(elements) => Value::Array(elements.iter().map(to_json).collect::<Result<_, _>>()?),
        Yaml::Mapping(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Ok((key_text(key)?, to_json(value)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
        Yaml::Tagged(tag, inner) => long_form(tag, to_json(inner)?),
        Yaml::Representation(..) => return Err(TemplateError::Unsupported("an unresolved scalar")),
        Yaml::Alias(_) => return Err(TemplateError::Unsupported("an alias")),
        Yaml::BadValue => return Err(TemplateError::Unsupported("a value unfit for its tag")),
    })
}

fn from_scalar(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => json!(value),
        Scalar::Integer(value) => json!(value),
        Scalar::FloatingPoint(value) => json!(value.into_inner()),
        Scalar::String(value) => json!(value),
    }
}

fn key_text(key: &Yaml<'_>) -> Result<String, TemplateError> {
    match to_json(key)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(TemplateError::Unsupported("a key that is not a string")),
    }
}

/// The short forms of <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>.
fn long_form(tag: &Tag, value: Value) -> Value {
    match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => json!({ name: value }),
        "GetAtt" => match value.as_str().and_then(|path| path.split_once('.')) {
            Some((logical_id, attribute)) => json!({ "Fn::GetAtt": [logical_id, attribute] }),
            None => json!({ "Fn::GetAtt": value }),
        },
        name => json!({ format!("Fn::{name}"): value }),
    }
}
