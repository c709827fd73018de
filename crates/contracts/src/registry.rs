//! The part of the template that registers every schema in the EventBridge schema registry.
//!
//! A resource per version of an event, named by it: since a published version never changes, each is registered once, and
//! a deployment adds the new ones only.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-eventschemas-schema.html>

use serde_json::Value;

use crate::draft4::draft4;

const BEGIN: &str = "  # ── Schemas, written by `cargo xtask contracts` ";
const END: &str = "  # ── End of the schemas ";
const WIDTH: usize = 114;

/// The longest description that the registry takes, in characters.
const MAX_DESCRIPTION: usize = 256;

/// A committed schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The bus's `source`.
    pub source: String,
    /// The bus's `detail-type`.
    pub detail_type: String,
    /// The version.
    pub version: String,
    /// The schema as it was published.
    pub schema: Value,
}

/// Why the template cannot hold the schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template.yaml has no place for the schemas: a line `{BEGIN}…` and after it one `{END}…`")]
pub struct NoPlace;

/// The template with these schemas in the place for them.
///
/// # Errors
/// [`NoPlace`].
pub fn with_schemas(template: &str, schemas: &[Committed]) -> Result<String, NoPlace> {
    let (before, rest) = template.split_once(BEGIN).ok_or(NoPlace)?;
    let (_, rest) = rest.split_once(END).ok_or(NoPlace)?;
    let after = rest.split_once('\n').map_or("", |(_, after)| after);
    let resources: String = schemas.iter().map(resource).collect();
    Ok(format!("{before}{}\n{REGISTRY}{resources}\n{}\n{after}", ruled(BEGIN), ruled(END)))
}

fn ruled(mark: &str) -> String {
    let length = mark.chars().count();
    format!("{mark}{}", "─".repeat(WIDTH.saturating_sub(length)))
}

const REGISTRY: &str = "
  SchemaRegistry:
    Type: AWS::EventSchemas::Registry
    Properties:
      RegistryName: !Ref AWS::StackName
      Description: Every event in every version that may still arrive
";

fn resource(committed: &Committed) -> String {
    let Committed { source, detail_type, version, schema } = committed;
    let logical_id = format!("{detail_type}V{}Schema", version.replace('.', "x"));
    let description: String = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or(detail_type)
        .chars()
        .take(MAX_DESCRIPTION)
        .collect();
    format!(
        "
  {logical_id}:
    Type: AWS::EventSchemas::Schema
    Properties:
      RegistryName: !GetAtt SchemaRegistry.RegistryName
      SchemaName: {source}@{detail_type}-{version}
      Type: JSONSchemaDraft4
      Description: {}
      Content: {}
",
        quoted(&description.replace('\n', " ")),
        quoted(&draft4(schema).to_string()),
    )
}

/// A text of one line in YAML.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn committed() -> Committed {
        let schema =
            json!({ "description": "It's\nsaid.", "properties": { "n": { "exclusiveMaximum": 5 } } });
        Committed { source: "s".into(), detail_type: "T".into(), version: "1.0".into(), schema }
    }

    #[test]
    fn schemas_are_written_between_the_marks_and_nowhere_else() {
        let template = format!("Resources:\n{BEGIN}──\n  Old:\n{END}──\n  After:\n");
        let once = with_schemas(&template, &[committed()]).unwrap();
        assert!(once.starts_with("Resources:\n") && once.ends_with("\n  After:\n"), "{once}");
        assert!(!once.contains("Old") && once.contains("SchemaName: s@T-1.0"), "{once}");
        assert!(once.contains("Description: 'It''s said.'"), "{once}");
        assert_eq!(with_schemas(&once, &[committed()]).unwrap(), once);
        assert_eq!(with_schemas("Resources:\n", &[]), Err(NoPlace));
    }

    #[test]
    fn draft_4_writes_bounds_in_its_own_way() {
        let schema = draft4(&committed().schema);
        assert_eq!(schema["properties"]["n"], json!({ "maximum": 5, "exclusiveMaximum": true }));
    }
}
