use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fingerprint::{Fingerprint, cause};
use super::letter::{About, Diagnosis, Letter, Source};
use crate::Failure;
use crate::batch::PLACE;
use crate::row::{Key, Row, Table};
use crate::states;
use crate::step::Step;
use crate::write::{Condition, ConditionalWrite};

states! {
    /// Where a failure stands.
    pub enum FailureState {
        /// It waits for somebody to decide.
        Failed = "failed",
        /// It is being sent again; whoever does it may have died.
        Retrying = "retrying",
        /// It was sent again. If it fails again it comes back.
        Retried = "retried",
        /// An edited copy was made, and is retried in its place.
        Replaced = "replaced",
        /// Nothing is to be done about it.
        Archived = "archived",
    }
}

use FailureState::{Archived, Failed, Replaced, Retried, Retrying};

/// It failed again, or another copy of it did.
pub const FAIL: Step<FailureState> =
    Step::new(&[None, Some(Failed), Some(Retrying), Some(Retried), Some(Replaced), Some(Archived)], Failed);
/// It is sent again; who finds it so does it anew.
pub const CLAIM: Step<FailureState> = Step::new(&[Some(Failed), Some(Retrying)], Retrying);
/// It was sent again.
pub const SENT: Step<FailureState> = Step::new(&[Some(Retrying)], Retried);
/// An edited copy takes its place.
pub const REPLACE: Step<FailureState> = Step::new(&[Some(Failed), Some(Retrying)], Replaced);
/// It is put away.
pub const ARCHIVE: Step<FailureState> = Step::new(&[Some(Failed), Some(Retrying), Some(Retried)], Archived);

/// Name of the index of failures by group, the newest last.
pub const GROUP_INDEX: &str = "groups";

/// How long a failure is kept after it was last touched, in days.
pub const KEEP_DAYS: i64 = 90;

/// How many entries of a history are kept; the first stays.
const LONGEST_HISTORY: usize = 50;

/// How many ids of letters are kept: a letter is delivered again within minutes, or not at all.
const MOST_LETTERS: usize = 50;

/// Something that happened to a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// Epoch milliseconds.
    pub at: i64,
    /// Where it then stood.
    pub status: FailureState,
    /// Why it failed, or what was done.
    pub note: String,
}

/// A message, an invocation or a batch of records that failed, with everything needed to understand and to retry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedMessage {
    /// Identity, the same for all copies of what failed.
    pub failure_id: String,
    /// Where it stands.
    pub status: FailureState,
    /// Counts the changes of this row: each is made to the version that was read.
    pub revision: u64,
    /// What it shares with other failures of the same cause. Partition key of the index.
    pub group: Fingerprint,
    /// The reason without its particulars.
    pub cause: String,
    /// Why it failed last.
    pub reason: String,
    /// What failed.
    pub source: Source,
    /// Where it happened, by a name for people.
    pub place: String,
    /// ARN of the dead-letter queue that it came from.
    pub dead_letter_queue: String,
    /// What is to be retried; absent where it is too large for a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where what is to be retried lies, where it is too large for a row: a key in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_key: Option<String>,
    /// The message's own attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The message group of a FIFO queue: its messages are retried in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_group: Option<String>,
    /// Its place among the messages of its group or queue.
    pub sequence: String,
    /// The event that it is about, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<About>,
    /// How often it was tried, in all.
    pub attempts: u32,
    /// How often it came into a dead-letter queue.
    pub failures: u32,
    /// Epoch milliseconds of its first failure.
    pub first_failed_at: i64,
    /// Epoch milliseconds of its last failure. Sort key of the index.
    pub last_failed_at: i64,
    /// What happened to it, oldest first.
    pub history: Vec<Happening>,
    /// Ids of the newest letters that told of it, the oldest first: one that is delivered again changes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<String>,
    /// The failure that this one is an edited copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_of: Option<String>,
    /// The edited copy that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for FailedMessage {
    const NAME: &'static str = "failed message";
    const PARTITION_KEY: &'static str = "failureId";
}

/// Where the body of a failure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In the row.
    Inline(String),
    /// In the bucket, under this key.
    Stored(String),
}

impl FailedMessage {
    /// Whether its message group waits for it.
    #[must_use]
    pub fn holds_its_group(&self) -> bool {
        self.message_group.is_some() && self.attributes.contains_key(PLACE)
    }

    /// The key of a failure.
    #[must_use]
    pub fn key(failure_id: &str) -> Key<Self> {
        Key::of(failure_id)
    }

    /// The first failure of a message.
    #[must_use]
    pub fn first(letter: &Letter, diagnosis: &Diagnosis, body: Body, now: Timestamp) -> Self {
        let cause = cause(&diagnosis.reason);
        let place = diagnosis.source.place(&letter.queue).to_owned();
        let system = |name: &str| letter.system.get(name).cloned();
        let sequence = system("SequenceNumber").or_else(|| system("SentTimestamp")).unwrap_or_default();
        let (body, body_key) = match body {
            Body::Inline(text) => (Some(text), None),
            Body::Stored(key) => (None, Some(key)),
        };
        Self {
            failure_id: diagnosis.failure_id.clone(),
            status: FAIL.to(),
            revision: 1,
            group: Fingerprint::of(&place, &cause),
            cause,
            reason: diagnosis.reason.clone(),
            source: diagnosis.source.clone(),
            place,
            dead_letter_queue: letter.queue.clone(),
            body,
            body_key,
            attributes: diagnosis.attributes.clone(),
            message_group: system("MessageGroupId"),
            sequence,
            event: diagnosis.event.clone(),
            attempts: diagnosis.attempts,
            failures: 1,
            first_failed_at: now.as_millisecond(),
            last_failed_at: now.as_millisecond(),
            history: vec![Happening {
                at: now.as_millisecond(),
                status: FAIL.to(),
                note: diagnosis.reason.clone(),
            }],
            letters: vec![letter.id.clone()],
            edit_of: None,
            replaced_by: None,
            expires_at: expiry(now),
        }
    }

    /// The row after a further letter about it, or `None` where this letter is known. What is to be retried stays as it
    /// was, or as it was edited; the group follows the newest reason.
    #[must_use]
    pub fn again(&self, letter: &Letter, diagnosis: &Diagnosis, now: Timestamp) -> Option<Self> {
        if self.letters.contains(&letter.id) {
            return None;
        }
        let mut next = self.moved(FAIL, diagnosis.reason.clone(), now)?;
        next.cause = cause(&diagnosis.reason);
        next.group = Fingerprint::of(&next.place, &next.cause);
        next.reason = diagnosis.reason.clone();
        next.attempts = self.attempts.saturating_add(diagnosis.attempts);
        next.failures = self.failures.saturating_add(1);
        next.last_failed_at = now.as_millisecond();
        if next.letters.len() >= MOST_LETTERS {
            next.letters.remove(0);
        }
        next.letters.push(letter.id.clone());
        Some(next)
    }

    /// The row after an attempt that failed before the eyes of whoever made it.
    #[must_use]
    pub fn failed_again(&self, reason: String, now: Timestamp) -> Option<Self> {
        let mut next = self.moved(FAIL, reason.clone(), now)?;
        next.cause = cause(&reason);
        next.group = Fingerprint::of(&next.place, &next.cause);
        next.reason = reason;
        next.attempts = self.attempts.saturating_add(1);
        next.failures = self.failures.saturating_add(1);
        next.last_failed_at = now.as_millisecond();
        Some(next)
    }

    /// The row after this step, or `None` where it may not start from where the row stands.
    #[must_use]
    pub fn moved(&self, step: Step<FailureState>, note: String, now: Timestamp) -> Option<Self> {
        if !step.allowed(Some(self.status)) {
            return None;
        }
        let mut next = self.clone();
        next.status = step.to();
        next.revision = self.revision.saturating_add(1);
        next.history.push(Happening { at: now.as_millisecond(), status: step.to(), note });
        if next.history.len() > LONGEST_HISTORY {
            next.history.remove(1);
        }
        next.expires_at = expiry(now);
        Some(next)
    }

    /// An edited copy under an id of its own, which waits to be retried.
    #[must_use]
    pub fn edited(&self, failure_id: String, body: Body, now: Timestamp) -> Self {
        let (body, body_key) = match body {
            Body::Inline(text) => (Some(text), None),
            Body::Stored(key) => (None, Some(key)),
        };
        let note = format!("an edited copy of {}", self.failure_id);
        let happening = Happening { at: now.as_millisecond(), status: FAIL.to(), note };
        Self {
            failure_id,
            status: FAIL.to(),
            revision: 1,
            body,
            body_key,
            history: vec![happening],
            letters: Vec::new(),
            edit_of: Some(self.failure_id.clone()),
            replaced_by: None,
            expires_at: expiry(now),
            ..self.clone()
        }
    }

    /// Writes the row if it is new.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn create(&self, table: &Table<Self>) -> Result<ConditionalWrite<Self>, Failure> {
        Ok(table.put(self)?.if_absent())
    }

    /// Writes the row if it is still as it was before this one change.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn replace(&self, table: &Table<Self>) -> Result<ConditionalWrite<Self>, Failure> {
        let before = self.revision.saturating_sub(1);
        Ok(table.put(self)?.only_if(Condition::equals("revision", before)))
    }
}

fn expiry(now: Timestamp) -> i64 {
    now.as_second().saturating_add(KEEP_DAYS * 86_400)
}
