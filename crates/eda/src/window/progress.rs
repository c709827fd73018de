use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::{Shard, WindowPolicy};
use crate::Failure;
use crate::row::{Key, Row, Table, from_item};
use crate::rows::Rows;
use crate::write::Condition;

/// How far a shard of a series' stream has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Partition key: the series.
    pub series: String,
    /// Sort key: the shard.
    pub shard: String,
    /// Everything before this moment has arrived. Epoch seconds.
    pub reached: i64,
    /// When that was written. Epoch seconds.
    pub at: i64,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for Progress {
    const NAME: &'static str = "progress";
    const PARTITION_KEY: &'static str = "series";
}

/// Keeps how far shards have come, for all environments.
pub(super) struct Shards {
    dynamodb: aws_sdk_dynamodb::Client,
    rows: Rows,
    table: Table<Progress>,
    keep_days: i64,
    /// What this environment wrote last: it writes when that would move a window, or as a sign of life.
    written: Mutex<HashMap<String, Shard>>,
}

impl Shards {
    pub(super) fn new(dynamodb: aws_sdk_dynamodb::Client, table: Table<Progress>, keep_days: i64) -> Self {
        Self { rows: Rows::new(dynamodb.clone()), dynamodb, table, keep_days, written: Mutex::default() }
    }

    /// Notes how far a shard has come, where that matters: one write a minute, or per window.
    pub(super) async fn advance(
        &self,
        series: &str,
        shard: &str,
        reached: i64,
        now: Timestamp,
        policy: &WindowPolicy,
    ) -> Result<(), Failure> {
        let now = now.as_second();
        let before = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(shard).copied();
        let window = |moment: i64| moment.div_euclid(policy.size.max(1));
        let matters = before.is_none_or(|before| {
            window(before.reached) < window(reached) || now.saturating_sub(before.at) >= policy.heartbeat()
        });
        if !matters {
            return Ok(());
        }
        let write = self
            .table
            .update(Key::of(series).sorted_by("shard", shard))
            .set("reached", reached)
            .set("at", now)
            .set("expiresAt", now.saturating_add(self.keep_days * 86_400));
        let newer =
            Condition::Any(vec![Condition::absent("reached"), Condition::at_most("reached", reached)]);
        // Refused where the shard had come further: what is read again moves nothing back.
        self.rows.write(write.only_if(newer)).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(shard.to_owned(), Shard { reached, at: now });
        Ok(())
    }

    /// The watermark of a series: one query. A shard that is being read and has said nothing yet has come as far as is told
    /// here.
    pub(super) async fn watermark(
        &self,
        series: &str,
        read: Option<(&str, i64)>,
        now: Timestamp,
        policy: &WindowPolicy,
    ) -> Result<i64, Failure> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(self.table.name())
            .key_condition_expression("#series = :series")
            .expression_attribute_names("#series", Progress::PARTITION_KEY)
            .expression_attribute_values(":series", AttributeValue::S(series.to_owned()))
            .into_paginator()
            .items()
            .send();
        let (mut shards, mut unheard) = (Vec::new(), read);
        while let Some(item) = pages.next().await {
            let item =
                item.map_err(|error| Failure::transient("progress could not be read").because(error))?;
            let Progress { shard, reached, at, .. } = from_item(item)?;
            unheard = unheard.filter(|(unheard, _)| *unheard != shard);
            shards.push(Shard { reached, at });
        }
        shards.extend(unheard.map(|(_, reached)| Shard { reached, at: now.as_second() }));
        Ok(policy.watermark(shards, now.as_second()))
    }
}
