use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::fold::{Series, Windows, stands};
use super::row::{OPEN_INDEX, WindowRow, WindowState};
use crate::Failure;
use crate::batch::Deadline;
use crate::event::{Cause, SagaStyle};
use crate::row::from_item;
use crate::rows::Rows;
use crate::transition::{Outcome, Transition};
use crate::write::STATUS;

/// How often a window that facts keep being added to is followed.
const ATTEMPTS: usize = 5;

/// What became of the windows that were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Closing {
    /// Windows that were closed, now.
    pub closed: u64,
    /// Windows that are due and could not be closed; the next run does it.
    pub left: u64,
    /// How far the watermark is behind the clock, in milliseconds.
    pub watermark_lag_ms: u64,
    /// How long the oldest window that is still open has been over by the clock, in milliseconds: it waits for the watermark, or
    /// could not be closed. 0 where none waits.
    pub window_lag_ms: u64,
    /// Whether the deadline came before the last of them.
    pub cut_short: bool,
}

impl<S: Series> Windows<S> {
    /// Closes the windows behind the watermark: each says what it holds, once. Also where nothing arrives any more, for the
    /// watermark follows the clock then.
    ///
    /// Two queries, and a read and a transaction per window.
    ///
    /// # Errors
    /// [`Failure`] (transient) where progress or windows cannot be read.
    pub async fn close_due(&self, deadline: Deadline) -> Result<Closing, Failure> {
        let now = self.spine.ambient().now();
        let watermark = self.watermark(now).await?;
        let lag = |moment: i64| {
            u64::try_from(now.as_second().saturating_sub(moment).saturating_mul(1_000)).unwrap_or_default()
        };
        let mut closing = Closing { watermark_lag_ms: lag(watermark), ..Closing::default() };
        let mut waiting = None;
        for WindowRow { start, end, .. } in self.over(now.as_second()).await? {
            closing.cut_short = end <= watermark && deadline.passed();
            if end > watermark || closing.cut_short {
                waiting = waiting.or(Some(end));
                break;
            }
            match self.close(start).await {
                Ok(true) => closing.closed += 1,
                Ok(false) => {}
                Err(failure) => {
                    closing.left += 1;
                    waiting = waiting.or(Some(end));
                    tracing::warn!(failure = failure.chain(), start, "a window stays open for now");
                }
            }
        }
        closing.window_lag_ms = waiting.map_or(0, lag);
        Ok(closing)
    }

    /// The open windows that are over by this moment of the clock, in epoch seconds, the oldest first: few more than those
    /// behind the watermark. Of each the index shows its start and its end.
    async fn over(&self, now: i64) -> Result<Vec<WindowRow>, Failure> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(self.config.windows.name())
            .index_name(OPEN_INDEX)
            .key_condition_expression("#series = :series AND #end <= :now")
            .expression_attribute_names("#series", "openSeries")
            .expression_attribute_names("#end", "end")
            .expression_attribute_values(":series", AttributeValue::S(S::NAME.to_owned()))
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .into_paginator()
            .items()
            .send();
        let mut over = Vec::new();
        while let Some(item) = pages.next().await {
            let item =
                item.map_err(|error| Failure::transient("open windows could not be read").because(error))?;
            over.push(from_item(item)?);
        }
        Ok(over)
    }

    /// Closes a window, unless somebody has: the index may be late. What it says is what it holds at that very moment.
    async fn close(&self, start: i64) -> Result<bool, Failure> {
        let rows = Rows::new(self.dynamodb.clone());
        for _ in 0..ATTEMPTS {
            let row = rows.read(&self.config.windows, WindowRow::key(S::NAME, start)).await?;
            let Some(row) = row.filter(|row| row.status == WindowState::Open) else { return Ok(false) };
            let write = self.config.windows.update(WindowRow::key(S::NAME, start));
            let write = write.set(STATUS, "closed").set("expiresAt", self.expires_at()).add("revision", 1);
            let guard = write.remove("openSeries").only_if(stands(WindowState::Open, row.revision));
            let cause = Cause::root(SagaStyle::Choreographed, None);
            let event = self.spine.event(&cause, &S::closed(&row.totals(row.revision + 1)))?;
            match self.spine.try_commit(Transition::guarded_by(guard).emit(event)).await? {
                Outcome::Applied => return Ok(true),
                Outcome::Duplicate(_) => {}
            }
        }
        Err(Failure::transient("the window keeps changing"))
    }
}
