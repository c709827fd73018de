//! DynamoDB in this process, with the template's tables.

use std::sync::Arc;

use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::template::{TableDefinition, Template};
use super::wire::error;
use crate::ambient::Ambient;
use crate::row::Item;

/// An embedded DynamoDB that answers the JSON bodies of its API.
pub struct DynamoDb(Database);

struct DatabaseClock(Ambient);

impl Clock for DatabaseClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().as_second()).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_duration().as_secs_f64()
    }
}

#[allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]
impl DynamoDb {
    /// An empty one with the tables of this template, named by their logical ids.
    #[must_use]
    pub fn deployed_by(template: &Template, clock: Ambient) -> Self {
        Self::with_tables(&template.tables(), clock)
    }

    /// An empty one with these tables.
    #[must_use]
    pub fn with_tables(tables: &[TableDefinition], clock: Ambient) -> Self {
        let database = Database::memory_with_clock(Arc::new(DatabaseClock(clock))).expect("a database");
        for table in tables {
            let mut definition = table.create_table.clone();
            // Who needs the changes gets them from the calls; a record of its own for each would cost more than the call.
            definition.as_object_mut().map(|fields| fields.remove("StreamSpecification"));
            let request = Deserialize::deserialize(definition).expect("a table definition");
            database.create_table(request).expect("the table can be created");
        }
        Self(database)
    }

    /// Answers a call: the HTTP status and the body.
    pub fn call(&self, operation: &str, body: &Value) -> (u16, String) {
        let database = &self.0;
        let done = match operation {
            "PutItem" => run(body, |request| database.put_item(request)),
            "UpdateItem" => run(body, |request| database.update_item(request)),
            "GetItem" => run(body, |request| database.get_item(request)),
            "DeleteItem" => run(body, |request| database.delete_item(request)),
            "Query" => run(body, |request| database.query(request)),
            "Scan" => run(body, |request| database.scan(request)),
            "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
            "DescribeTable" => run(body, |request| database.describe_table(request)),
            "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
            other => return error(400, "UnknownOperationException", other),
        };
        match done {
            Ok(answer) => (200, answer),
            Err(refused) => (refused.status_code(), refused.to_json()),
        }
    }

    /// Puts an item, given in DynamoDB's JSON.
    pub fn put(&self, table: &str, item: &Value) {
        let request = json!({ "TableName": table, "Item": item });
        self.0.put_item(serde_json::from_value(request).expect("a request")).expect("the item is put");
    }

    /// The item of this key, in DynamoDB's JSON.
    #[must_use]
    pub fn get(&self, table: &str, key: &Value) -> Option<Value> {
        let request = json!({ "TableName": table, "Key": key });
        let found = self.0.get_item(serde_json::from_value(request).expect("a request")).expect("an answer");
        let mut found = serde_json::to_value(found).expect("JSON");
        found.get_mut("Item").map(Value::take).filter(|item| !item.is_null())
    }

    /// All items of a table, in DynamoDB's JSON.
    #[must_use]
    pub fn items(&self, table: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut from = Value::Null;
        loop {
            let request = json!({ "TableName": table, "ExclusiveStartKey": from });
            let page = self.0.scan(serde_json::from_value(request).expect("a request"));
            let mut page = serde_json::to_value(page.expect("an answer")).expect("JSON");
            if let Some(Value::Array(found)) = page.get_mut("Items").map(Value::take) {
                items.extend(found);
            }
            match page.get_mut("LastEvaluatedKey").map(Value::take) {
                Some(key) if !key.is_null() => from = key,
                _ => return items,
            }
        }
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &Value,
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let malformed = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let request = Q::deserialize(body).map_err(malformed)?;
    serde_json::to_string(&operation(request)?).map_err(malformed)
}

/// An item in DynamoDB's JSON.
#[must_use]
pub fn plain(item: Item) -> Value {
    let attributes = item.into_iter().map(|(name, value)| (name, plain_value(value)));
    Value::Object(attributes.collect())
}

fn plain_value(value: aws_sdk_dynamodb::types::AttributeValue) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue as A;
    match value {
        A::S(text) => json!({ "S": text }),
        A::N(number) => json!({ "N": number }),
        A::Bool(flag) => json!({ "BOOL": flag }),
        A::Ss(set) => json!({ "SS": set }),
        A::L(list) => json!({ "L": list.into_iter().map(plain_value).collect::<Vec<_>>() }),
        A::M(map) => json!({ "M": plain(map) }),
        _ => json!({ "NULL": true }),
    }
}

/// An item from DynamoDB's JSON.
#[must_use]
pub fn typed(item: &Value) -> Item {
    let attributes = item.as_object().into_iter().flatten();
    attributes.filter_map(|(name, value)| Some((name.clone(), typed_value(value)?))).collect()
}

fn typed_value(value: &Value) -> Option<aws_sdk_dynamodb::types::AttributeValue> {
    use aws_sdk_dynamodb::types::AttributeValue as A;
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(ToOwned::to_owned);
    let list = || value.as_array().into_iter().flatten();
    Some(match kind.as_str() {
        "S" => A::S(text()?),
        "N" => A::N(text()?),
        "BOOL" => A::Bool(value.as_bool()?),
        "SS" => A::Ss(list().filter_map(|element| element.as_str().map(ToOwned::to_owned)).collect()),
        "L" => A::L(list().filter_map(typed_value).collect()),
        "M" => A::M(typed(value)),
        _ => A::Null(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_are_more_than_a_page_of_a_megabyte() {
        let create_table = json!({
            "TableName": "Table",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        let table = TableDefinition { name: "Table".to_owned(), create_table, time_to_live: None };
        let database = DynamoDb::with_tables(&[table], Ambient::system());
        let large = "x".repeat(390 * 1_024);
        for id in 0..7 {
            database.put("Table", &json!({ "id": { "S": id.to_string() }, "text": { "S": large } }));
        }
        assert_eq!(database.items("Table").len(), 7);
    }
}
