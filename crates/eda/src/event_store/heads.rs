use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{CURRENT, HEAD, VERSION};
use crate::Failure;
use crate::row::{IntoValue, Item, Row, Table};

/// An aggregate, and the version of its newest event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The aggregate.
    pub aggregate_id: String,
    /// Version of its newest event.
    pub version: u64,
}

/// A stretch of a walk over all aggregates of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The aggregates whose heads lie in it.
    pub heads: Vec<Standing>,
    /// Items that were walked over, events included.
    pub walked: u64,
    /// Where the walk goes on, as a text to be kept; nowhere, at the end.
    pub next: Option<String>,
}

/// Key of the last item of a stretch.
#[derive(Serialize, Deserialize)]
struct Position {
    id: String,
    version: u64,
}

/// Walks on over the aggregates of a store, in no order that means anything: over `limit` items at most, after
/// `position`.
///
/// A walk that reads consistently sees every aggregate that was there when it began.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html>
///
/// # Errors
/// [`Failure`]: transient where DynamoDB did not answer; permanent where the position is none.
pub async fn heads<H: Row>(
    dynamodb: &Client,
    table: &Table<H>,
    position: Option<&str>,
    limit: i32,
    consistent: bool,
) -> Result<Heads, Failure> {
    let page = dynamodb
        .scan()
        .table_name(table.name())
        .filter_expression("#version = :head")
        .projection_expression("#id, #current")
        .expression_attribute_names("#id", H::PARTITION_KEY)
        .expression_attribute_names("#version", VERSION)
        .expression_attribute_names("#current", CURRENT)
        .expression_attribute_values(":head", AttributeValue::N(HEAD.to_string()))
        .set_exclusive_start_key(position.map(key::<H>).transpose()?)
        .limit(limit)
        .consistent_read(consistent)
        .send()
        .await
        .map_err(|error| Failure::transient("the event store could not be walked over").because(error))?;
    let next = page.last_evaluated_key.filter(|key| !key.is_empty());
    Ok(Heads {
        heads: page.items.unwrap_or_default().iter().filter_map(standing::<H>).collect(),
        walked: u64::try_from(page.scanned_count).unwrap_or_default(),
        next: next.map(|key| text::<H>(&key)).transpose()?,
    })
}

/// How many items a table held within the last hours.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html>
///
/// # Errors
/// [`Failure`] (transient) where DynamoDB did not answer.
pub async fn item_count<H>(dynamodb: &Client, table: &Table<H>) -> Result<u64, Failure> {
    let described = dynamodb.describe_table().table_name(table.name()).send().await;
    let described =
        described.map_err(|error| Failure::transient("the table could not be described").because(error))?;
    let count = described.table.and_then(|table| table.item_count).unwrap_or_default();
    Ok(u64::try_from(count).unwrap_or_default())
}

fn standing<H: Row>(item: &Item) -> Option<Standing> {
    let aggregate_id = item.get(H::PARTITION_KEY)?.as_s().ok()?.clone();
    let version = item.get(CURRENT)?.as_n().ok()?.parse().ok()?;
    Some(Standing { aggregate_id, version })
}

fn key<H: Row>(position: &str) -> Result<Item, Failure> {
    let Position { id, version } = serde_json::from_str(position)
        .map_err(|error| Failure::permanent("a walk goes on at no position").because(error))?;
    Ok(HashMap::from([
        (H::PARTITION_KEY.to_owned(), id.into_value()),
        (VERSION.to_owned(), version.into_value()),
    ]))
}

fn text<H: Row>(key: &Item) -> Result<String, Failure> {
    let id = key.get(H::PARTITION_KEY).and_then(|id| id.as_s().ok()).cloned();
    let version = key.get(VERSION).and_then(|version| version.as_n().ok()?.parse().ok());
    let position = id.zip(version).map(|(id, version)| Position { id, version });
    let position = position.ok_or_else(|| Failure::permanent("a walk stopped at no item of the store"))?;
    serde_json::to_string(&position)
        .map_err(|error| Failure::permanent("a position has no JSON form").because(error))
}
