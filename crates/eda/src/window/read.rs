use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;

use super::row::{WindowRow, day_of};
use crate::Failure;
use crate::row::{Table, from_item};

const DAY: i64 = 86_400;

/// The windows of a series that start from `from` on and before `to`, both in epoch seconds, in their order: a query per day
/// (UTC), side by side. Windows in which nothing happened are not there.
///
/// # Errors
/// [`Failure`] (transient) where they cannot be read.
pub async fn between(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &Table<WindowRow>,
    series: &str,
    from: i64,
    to: i64,
) -> Result<Vec<WindowRow>, Failure> {
    let days = days(series, from, to).into_iter().map(|day| of_day(dynamodb, table, day, from, to));
    Ok(try_join_all(days).await?.concat())
}

async fn of_day(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &Table<WindowRow>,
    day: String,
    from: i64,
    to: i64,
) -> Result<Vec<WindowRow>, Failure> {
    let number = |moment: i64| AttributeValue::N(moment.to_string());
    let mut pages = dynamodb
        .query()
        .table_name(table.name())
        .key_condition_expression("#day = :day AND #start BETWEEN :from AND :last")
        .expression_attribute_names("#day", "seriesDay")
        .expression_attribute_names("#start", "start")
        .expression_attribute_values(":day", AttributeValue::S(day))
        .expression_attribute_values(":from", number(from))
        .expression_attribute_values(":last", number(to.saturating_sub(1)))
        .into_paginator()
        .items()
        .send();
    let mut rows = Vec::new();
    while let Some(item) = pages.next().await {
        let item = item.map_err(|error| Failure::transient("windows could not be read").because(error))?;
        rows.push(from_item(item)?);
    }
    Ok(rows)
}

/// The partitions that hold the windows that start in a span of time.
fn days(series: &str, from: i64, to: i64) -> BTreeSet<String> {
    if from >= to {
        return BTreeSet::new();
    }
    let first = from.div_euclid(DAY) * DAY;
    (0..).map(|day| first + day * DAY).take_while(|day| *day < to).map(|day| day_of(series, day)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_in_the_partitions_of_its_days() {
        let days = |from, to| days("s", from, to).into_iter().collect::<Vec<_>>();
        assert_eq!(days(10, 20), ["s#1970-01-01"]);
        assert_eq!(days(DAY - 1, DAY), ["s#1970-01-01"]);
        assert_eq!(days(DAY - 1, DAY + 1), ["s#1970-01-01", "s#1970-01-02"]);
        assert!(days(20, 20).is_empty());
    }
}
