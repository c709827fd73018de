//! Joins: named parts arrive in any order and any number of times; the last one completes the join, once.
//!
//! Each part is an attribute of one row. A part that is not the last is a plain conditional write; the last one
//! completes the row and emits the completion event in one transition. Which one is last is guessed, and the row
//! itself corrects a wrong guess.
//!
//! A join waits until the deadline that its first part has set. Whoever finds it due ends it as timed out and says which parts
//! are missing. The row decides between its last part and its time-out: one of them ends it, and once. A part that comes after
//! the time-out is recorded and completes nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Emission;
use crate::row::{Key, Row, Table};
use crate::spine::Spine;
use crate::transition::{Outcome, Transition, Written};
use crate::write::{Condition, ConditionalWrite, Write};
use crate::{Failure, telemetry};

const COMPLETED: &str = "completedAt";
const TIMED_OUT: &str = "timedOutAt";
const DEADLINE: &str = "deadline";

/// A join in progress, complete or timed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRow {
    /// What is joined.
    pub join_id: String,
    /// Epoch milliseconds of the last part's arrival; absent while parts are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<i64>,
    /// Epoch milliseconds of the time-out of a join that was not complete by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out_at: Option<i64>,
    /// Epoch seconds up to which it waits, as its first part set it; without, it waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
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

impl JoinRow {
    /// Whether it still waits although its deadline has passed.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let waits = self.completed_at.is_none() && self.timed_out_at.is_none();
        waits && self.deadline.is_some_and(|deadline| deadline <= now.as_second())
    }
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
    /// Epoch seconds up to which the join waits, if this is its first part.
    pub deadline: i64,
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
    /// Recorded, but the join has timed out.
    TooLate,
}

impl Parts {
    /// A join of these parts. Their names are attribute names.
    #[must_use]
    pub const fn new(parts: &'static [&'static str]) -> Self {
        Self(parts)
    }

    /// The parts that are not there, in their order: complete is a join that lacks none.
    pub fn missing<'a>(
        &'a self,
        there: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'static str> + 'a {
        self.0.iter().copied().filter(move |part| !there(part))
    }

    fn others_present(&self, part: &str) -> Condition {
        let others = self.0.iter().filter(|other| **other != part);
        Condition::All(others.map(|other| Condition::present(*other)).collect())
    }

    fn complete_with(&self, row: &JoinRow, part: &str) -> bool {
        row.timed_out_at.is_none()
            && self.missing(|name| name == part || row.parts.contains_key(name)).next().is_none()
    }

    /// This part, while others are missing or nobody waits any more: sets it if it is absent and not the last.
    #[must_use]
    pub fn part(&self, write: Write<JoinRow>, arrival: &Arrival<'_>) -> ConditionalWrite<JoinRow> {
        let absent = Condition::absent(arrival.part);
        let incomplete = self.others_present(arrival.part).negated();
        let not_last = Condition::Any(vec![incomplete, Condition::present(TIMED_OUT)]);
        arrived(write, arrival).only_if(absent.and(not_last))
    }

    /// This part as the last: sets it and completes the join if it is absent, all others are present and the join has not
    /// timed out.
    #[must_use]
    pub fn last(
        &self,
        write: Write<JoinRow>,
        arrival: &Arrival<'_>,
        now_ms: i64,
    ) -> ConditionalWrite<JoinRow> {
        let waits = Condition::absent(arrival.part).and(Condition::absent(TIMED_OUT));
        let present = self.others_present(arrival.part);
        arrived(write, arrival).set(COMPLETED, now_ms).only_if(waits.and(present))
    }

    /// The time-out: ends the join if it waits, its deadline has passed, and it lacks all of these parts.
    #[must_use]
    pub fn timed_out(
        &self,
        write: Write<JoinRow>,
        missing: &[&'static str],
        now: Timestamp,
    ) -> ConditionalWrite<JoinRow> {
        let waits = [COMPLETED, TIMED_OUT].iter().chain(missing).copied().map(Condition::absent);
        let due = Condition::at_most(DEADLINE, now.as_second());
        write.set(TIMED_OUT, now.as_millisecond()).only_if(Condition::All(waits.chain([due]).collect()))
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
                match spine.try_commit(completed).await? {
                    Outcome::Applied => return Ok(Joined::Completed),
                    Outcome::Duplicate(row) => row,
                }
            } else {
                match spine.write(self.part(write, &arrival)).await? {
                    Written::Applied(Some(row)) if row.timed_out_at.is_some() => return Ok(Joined::TooLate),
                    Written::Applied(_) => return Ok(Joined::Waiting),
                    Written::Refused(row) => row,
                }
            };
            last = match refused_by {
                Some(row) if row.parts.contains_key(arrival.part) => {
                    telemetry::duplicate();
                    return Ok(Joined::Duplicate);
                }
                Some(row) => self.complete_with(&row, arrival.part),
                None => false,
            };
            telemetry::wrong_guess();
        }
        Err(changing())
    }

    /// Ends a join that is overdue as timed out, and emits what `say` makes of the parts that are missing; answers them. None
    /// where nothing waits, or not that long.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide, or parts kept arriving at the same time; or that of `say`.
    pub async fn time_out(
        &self,
        spine: &Spine,
        table: &Table<JoinRow>,
        join_id: &str,
        say: impl Fn(&[&'static str]) -> Result<Emission, Failure>,
    ) -> Result<Option<Vec<&'static str>>, Failure> {
        let mut found = spine.read(table, Key::of(join_id)).await?;
        // Only a part that arrives in between can make what was said to be missing wrong.
        for _ in 0..=self.0.len() {
            let now = spine.ambient().now();
            let Some(row) = found.filter(|row: &JoinRow| row.is_overdue(now)) else { return Ok(None) };
            let missing: Vec<_> = self.missing(|part| row.parts.contains_key(part)).collect();
            let ended = self.timed_out(table.update(Key::of(join_id)), &missing, now);
            match spine.try_commit(Transition::guarded_by(ended).emit(say(&missing)?)).await? {
                Outcome::Applied => return Ok(Some(missing)),
                Outcome::Duplicate(row) => found = row,
            }
        }
        Err(changing())
    }
}

fn arrived(write: Write<JoinRow>, arrival: &Arrival<'_>) -> Write<JoinRow> {
    write.set(arrival.part, arrival.event_id).set_once(DEADLINE, arrival.deadline)
}

fn changing() -> Failure {
    Failure::transient("the join kept changing")
}
