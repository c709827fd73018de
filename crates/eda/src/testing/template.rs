//! Reads a SAM template, so that tests use the very tables, variables and grants that are deployed.
//!
//! Intrinsic functions are resolved as far as a test needs them: parameters to their values, conditions to the
//! branch they take, references to names (`!Ref X` to `X`, `!GetAtt X.Arn` to `X.Arn`).

mod intrinsics;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Why a template cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read the template {path}")]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The text is not YAML.
    #[error("the template is not YAML")]
    Syntax(#[from] saphyr::ScanError),
    /// The text is YAML that no template can hold, such as a mapping with a list as its key.
    #[error("the template holds {0}, which CloudFormation does not know")]
    Unsupported(&'static str),
}

/// A SAM template whose parameters have their default values, or those given by [`Template::with_parameter`].
#[derive(Debug, Clone)]
pub struct Template {
    document: Value,
    parameters: BTreeMap<String, Value>,
}

/// A resource with its properties resolved.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its key in the template.
    pub logical_id: String,
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// `Properties`, resolved; for a function merged with `Globals`.
    pub properties: Value,
    /// The whole entry, resolved: `Metadata`, `DeletionPolicy` and the like beside `Properties`.
    pub entry: Value,
}

/// An `AWS::Serverless::Function` built with `rust-cargolambda`.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its key in the template.
    pub logical_id: String,
    /// The binary it runs: `BuildProperties.Binary`.
    pub binary: String,
    /// Its environment: a table is named by its logical id, a queue's URL too.
    pub environment: BTreeMap<String, String>,
    /// What its role allows by the statements in `Policies`.
    pub grants: BTreeSet<Grant>,
    /// The properties, merged with `Globals` and resolved.
    pub properties: Value,
}

/// One action allowed on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Such as `dynamodb:PutItem`.
    pub action: String,
    /// Such as `OrdersTable.Arn` or `OrdersTable.Arn/index/byDate`.
    pub resource: String,
}

/// An `AWS::DynamoDB::Table`, ready to be created elsewhere.
#[derive(Debug, Clone)]
pub struct TableDefinition {
    /// The logical id, which [`Function::environment`] gives as the table's name.
    pub name: String,
    /// The body of a [CreateTable](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html)
    /// request: name, keys, indexes, billing mode and stream.
    pub create_table: Value,
    /// The attribute by which rows expire (seconds since the epoch), if they do.
    pub time_to_live: Option<String>,
}

impl Template {
    /// Reads a template from a file.
    ///
    /// # Errors
    /// [`TemplateError`] where the file cannot be read or is not a YAML document.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TemplateError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads a template from its text.
    ///
    /// # Errors
    /// [`TemplateError`] where the text is not a YAML document.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let document = yaml::parse(text)?;
        let defaults = object(&document, "Parameters")
            .filter_map(|(name, parameter)| Some((name.clone(), default_of(parameter)?)))
            .collect();
        Ok(Self { document, parameters: defaults })
    }

    /// The same template with another value for one parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// The same template with another value at this place, a JSON pointer such as
    /// `/Resources/ThingQueue/Properties/VisibilityTimeout`, so that a test of the template can be seen to fail. What is above the
    /// place must be there.
    #[must_use]
    pub fn with(mut self, place: &str, value: impl Into<Value>) -> Self {
        let (above, field) = place.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(above)) = self.document.pointer_mut(above) {
            above.insert(field.to_owned(), value.into());
        }
        self
    }

    /// The document as JSON, with intrinsic functions in their long form and unresolved.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The names of the parameters that this template declares.
    pub fn parameter_names(&self) -> impl Iterator<Item = &String> {
        object(&self.document, "Parameters").map(|(name, _)| name)
    }

    /// A value in which every intrinsic function is resolved.
    #[must_use]
    pub fn resolve(&self, value: &Value) -> Value {
        intrinsics::resolve(self, value).unwrap_or(Value::Null)
    }

    /// All resources of one type, by logical id.
    #[must_use]
    pub fn resources(&self, kind: &str) -> Vec<Resource> {
        self.deployed()
            .filter(|(_, entry)| *at(entry, "/Type") == kind)
            .map(|(logical_id, entry)| self.read_resource(logical_id, entry))
            .collect()
    }

    /// All resources that are deployed with these parameters, by logical id.
    pub fn all_resources(&self) -> impl Iterator<Item = Resource> {
        self.deployed().map(|(logical_id, entry)| self.read_resource(logical_id, entry))
    }

    /// The entries of the resources that are deployed, unresolved: to resolve one takes longer than to find it.
    fn deployed(&self) -> impl Iterator<Item = (&String, &Value)> {
        object(&self.document, "Resources").filter(|(_, entry)| match entry.get("Condition") {
            Some(condition) => intrinsics::holds(self, &json!({ "Condition": condition })),
            None => true,
        })
    }

    /// All functions, by logical id.
    #[must_use]
    pub fn functions(&self) -> BTreeMap<String, Function> {
        self.resources("AWS::Serverless::Function")
            .into_iter()
            .map(|resource| (resource.logical_id.clone(), Function::from(resource)))
            .collect()
    }

    /// The function that runs this binary.
    #[must_use]
    pub fn function(&self, binary: &str) -> Option<Function> {
        self.functions().into_values().find(|function| function.binary == binary)
    }

    /// All tables, by logical id.
    #[must_use]
    pub fn tables(&self) -> Vec<TableDefinition> {
        self.resources("AWS::DynamoDB::Table").into_iter().map(TableDefinition::from).collect()
    }

    /// The stack's outputs, resolved.
    #[must_use]
    pub fn outputs(&self) -> BTreeMap<String, Value> {
        object(&self.document, "Outputs")
            .map(|(name, output)| (name.clone(), self.resolve(at(output, "/Value"))))
            .collect()
    }

    fn read_resource(&self, logical_id: &str, entry: &Value) -> Resource {
        let kind = text(at(entry, "/Type"));
        let mut entry = self.resolve(entry);
        let mut properties = entry.get_mut("Properties").map(Value::take).unwrap_or_else(|| json!({}));
        if let Some(section) = kind.strip_prefix("AWS::Serverless::") {
            properties = merge(self.resolve(at(&self.document, &format!("/Globals/{section}"))), properties);
        }
        Resource { logical_id: logical_id.to_owned(), kind, properties, entry }
    }
}

impl From<Resource> for Function {
    fn from(resource: Resource) -> Self {
        let Resource { logical_id, properties, entry, .. } = resource;
        let environment = object(at(&properties, "/Environment"), "Variables")
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let grants = list(at(&properties, "/Policies"))
            .flat_map(|policy| list(at(policy, "/Statement")))
            .filter(|statement| *at(statement, "/Effect") == "Allow")
            .flat_map(grants_of)
            .collect();
        let binary = text(at(&entry, "/Metadata/BuildProperties/Binary"));
        Self { logical_id, binary, environment, grants, properties }
    }
}

impl From<Resource> for TableDefinition {
    fn from(resource: Resource) -> Self {
        let properties = resource.properties;
        let mut body = Map::from_iter([("TableName".to_owned(), json!(resource.logical_id))]);
        for field in [
            "AttributeDefinitions",
            "KeySchema",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "BillingMode",
        ] {
            if let Some(value) = properties.get(field) {
                body.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(view) = properties.pointer("/StreamSpecification/StreamViewType") {
            // CloudFormation leaves out `StreamEnabled`, the API requires it.
            body.insert(
                "StreamSpecification".to_owned(),
                json!({ "StreamEnabled": true, "StreamViewType": view }),
            );
        }
        let time_to_live = at(&properties, "/TimeToLiveSpecification");
        Self {
            name: resource.logical_id,
            create_table: Value::Object(body),
            time_to_live: (*at(time_to_live, "/Enabled") == true)
                .then(|| text(at(time_to_live, "/AttributeName"))),
        }
    }
}

/// A parameter's default; a list is written with commas.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>
fn default_of(parameter: &Value) -> Option<Value> {
    let default = parameter.get("Default")?;
    Some(match (parameter.get("Type")?.as_str()?, default.as_str()) {
        ("CommaDelimitedList", Some(list)) => json!(list.split(',').map(str::trim).collect::<Vec<_>>()),
        _ => default.clone(),
    })
}

/// One grant per action and resource of an IAM statement.
fn grants_of(statement: &Value) -> Vec<Grant> {
    list(at(statement, "/Action"))
        .flat_map(|action| {
            list(at(statement, "/Resource"))
                .map(move |resource| Grant { action: text(action), resource: text(resource) })
        })
        .collect()
}

/// The globals of a section under the resource's own properties: maps are merged, lists are joined, all else is
/// replaced, as [SAM does](https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html).
fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(mut global), Value::Object(own)) => {
            for (key, value) in own {
                let merged = match global.remove(&key) {
                    Some(inherited) => merge(inherited, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}

/// The value at a JSON pointer, null where there is none.
pub fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    static ABSENT: Value = Value::Null;
    value.pointer(pointer).unwrap_or(&ABSENT)
}

/// The members of an object's field, none where it is absent.
fn object<'a>(parent: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    parent.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// The elements of a list, or the single value that IAM and SAM accept in its place.
pub fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    match value {
        Value::Null => [].iter(),
        Value::Array(elements) => elements.iter(),
        single => std::slice::from_ref(single).iter(),
    }
}

/// A scalar as it arrives in an environment variable.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
