//! Joins: named parts arrive in any order and any number of times; the last one completes the join, once.
//!
//! Each part is an attribute of one row. A part that is not the last is a plain conditional write; the last one
//! completes the row and emits the completion event in one transition. Which one is last is guessed, and the row
//! itself corrects a wrong guess.

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::event::Emission;
use crate::row::{Key, Row, Table};
use crate::spine::Spine;
use crate::transition::{Outcome, Transition, Written};
use crate::write::{Condition, Write};

const COMPLETED: &str = "completedAt";

/// A join in progress, or complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRow {
    /// What is joined.
    pub join_id: String,
    /// Epoch milliseconds of the last part's arrival; absent while parts are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<i64>,
    /// Epoch seconds after which the row may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The parts that have arrived: name → id of the event that brought it.
    #[serde(flatten)]
    pub parts: std::collections::BTreeMap<String, String>,
}

impl Row for JoinRow {
    const NAME: &'static str = "join";
    const PARTITION_KEY: &'static str = "joinId";
}

/// The parts of a kind of join.
#[derive(Clone, Copy, Debug)]
pub struct Parts(&'static [&'static str]);

/// One part of a join, arriving.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// What is joined.
    pub join_id: &'a str,
    /// Which part this is.
    pub part: &'static str,
    /// The event that brought it.
    pub event_id: &'a str,
    /// Whether it usually is the last; a wrong guess costs one call.
    pub usually_last: bool,
}

/// What an arrival did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Recorded; parts are missing.
    Waiting,
    /// It was the last: the join is complete and says so.
    Completed,
    /// It had arrived before.
    Duplicate,
}

impl Parts {
    /// A join of these parts. Their names are attribute names.
    #[must_use]
    pub const fn new(parts: &'static [&'static str]) -> Self {
        Self(parts)
    }

    fn others_present(&self, part: &str) -> Condition {
        let others = self.0.iter().filter(|other| **other != part);
        Condition::All(others.map(|other| Condition::present(*other)).collect())
    }

    fn complete_with(&self, row: &JoinRow, part: &str) -> bool {
        self.0.iter().all(|name| *name == part || row.parts.contains_key(*name))
    }

    /// This part, while others are missing: sets it if it is absent and not all others are present.
    #[must_use]
    pub fn part(
        &self,
        write: Write<JoinRow>,
        arrival: &Arrival<'_>,
    ) -> crate::write::ConditionalWrite<JoinRow> {
        let absent = Condition::absent(arrival.part);
        let incomplete = self.others_present(arrival.part).negated();
        write.set(arrival.part, arrival.event_id).only_if(absent.and(incomplete))
    }

    /// This part as the last: sets it and completes the join if it is absent and all others are present.
    #[must_use]
    pub fn last(
        &self,
        write: Write<JoinRow>,
        arrival: &Arrival<'_>,
        now_ms: i64,
    ) -> crate::write::ConditionalWrite<JoinRow> {
        let absent = Condition::absent(arrival.part);
        let present = self.others_present(arrival.part);
        write.set(arrival.part, arrival.event_id).set(COMPLETED, now_ms).only_if(absent.and(present))
    }

    /// Records an arrival. `completion` is emitted if, and only if, it completes the join.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide, or others kept arriving at the same time.
    pub async fn arrive(
        &self,
        spine: &Spine,
        table: &Table<JoinRow>,
        arrival: Arrival<'_>,
        completion: &Emission,
        keep_days: i64,
    ) -> Result<Joined, Failure> {
        let mut last = arrival.usually_last;
        // A guess is corrected by the row; only parts that arrive in between can make the correction wrong again.
        for _ in 0..=self.0.len() {
            let expires_at = spine.ambient().expires_in_days(keep_days);
            let write = table.update(Key::of(arrival.join_id)).set("expiresAt", expires_at);
            let refused_by = if last {
                let now_ms = spine.ambient().now().as_millisecond();
                let completed =
                    Transition::guarded_by(self.last(write, &arrival, now_ms)).emit(completion.clone());
                match spine.commit(completed).await? {
                    Outcome::Applied => return Ok(Joined::Completed),
                    Outcome::Duplicate(row) => row,
                }
            } else {
                match spine.write(self.part(write, &arrival)).await? {
                    Written::Applied(_) => return Ok(Joined::Waiting),
                    Written::Refused(row) => row,
                }
            };
            last = match refused_by {
                Some(row) if row.parts.contains_key(arrival.part) => return Ok(Joined::Duplicate),
                Some(row) => self.complete_with(&row, arrival.part),
                None => false,
            };
        }
        Err(Failure::transient("the join kept changing"))
    }
}
