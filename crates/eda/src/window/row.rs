use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::row::{Key, Row};
use crate::states;

/// What a window sums up, by name. Names are attribute names.
pub type Measures = BTreeMap<String, i64>;

/// Index of the windows of a series that are open, by their ends.
pub const OPEN_INDEX: &str = "open";

states! {
    /// Whether a window has said what it holds.
    #[derive(Default)]
    pub enum WindowState {
        /// Facts are added and nothing is said yet.
        Open = "open",
        /// It has said what it holds; what is added now corrects that.
        #[default]
        Closed = "closed",
    }
}

/// A window of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowRow {
    /// Partition key: the series and the day (UTC) of the start, so that a span of time is a few partitions.
    pub series_day: String,
    /// Sort key: its start, in epoch seconds.
    pub start: i64,
    /// Where it stands.
    #[serde(default)]
    pub status: WindowState,
    /// Counts the changes.
    #[serde(default)]
    pub revision: u64,
    /// Facts that came too late for it, and are in none of its sums.
    #[serde(default)]
    pub too_late: u64,
    /// The series, while it is open: partition of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_series: Option<String>,
    /// Its end, in epoch seconds.
    #[serde(default)]
    pub end: i64,
    /// Epoch seconds after which the row may go.
    #[serde(default)]
    pub expires_at: i64,
    /// The sums.
    #[serde(flatten)]
    pub measures: Measures,
}

impl Row for WindowRow {
    const NAME: &'static str = "window";
    const PARTITION_KEY: &'static str = "seriesDay";
}

impl WindowRow {
    /// The key of a window.
    #[must_use]
    pub fn key(series: &str, start: i64) -> Key<Self> {
        Key::of(day_of(series, start)).sorted_by("start", start)
    }

    /// What it holds.
    #[must_use]
    pub fn totals(&self, revision: u64) -> Totals {
        let moment = |seconds| Timestamp::from_second(seconds).unwrap_or_default();
        let (start, end) = (moment(self.start), moment(self.end));
        Totals { start, end, revision, measures: self.measures.clone() }
    }
}

/// The partition of the windows of a series that start on the day (UTC) of this moment, in epoch seconds.
#[must_use]
pub fn day_of(series: &str, start: i64) -> String {
    let moment = Timestamp::from_second(start).unwrap_or_default().to_string();
    let day = moment.split('T').next().unwrap_or_default();
    format!("{series}#{day}")
}

/// What a window holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Counts the changes of the window: of two totals, the one with the higher number is the newer.
    pub revision: u64,
    /// The sums.
    pub measures: Measures,
}

/// A fact that was taken into account: whatever copy of it comes later finds this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactRow {
    /// The fact.
    pub fact_id: String,
    /// Where it would have belonged, had it not come too late: the start of its window, in epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_late_for: Option<i64>,
    /// What it would have added.
    #[serde(default, skip_serializing_if = "Measures::is_empty")]
    pub measures: Measures,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for FactRow {
    const NAME: &'static str = "fact";
    const PARTITION_KEY: &'static str = "factId";
}
