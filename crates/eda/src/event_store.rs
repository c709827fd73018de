//! Event store: an aggregate's events are its truth, kept in one partition.
//!
//! Item 0 of the partition is the head: the current version, and whatever the domain needs to decide without loading
//! (status, hash of the command). Items 1, 2, … are the events. An append is a transition guarded by the head, so
//! versions are contiguous and a lost race is seen.

mod heads;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::event::{Contract, Emission};
use crate::row::{Item, Key, Row, Table, from_item};
use crate::spine::Spine;
use crate::transition::{Outcome, Transition};
use crate::write::{Condition, ConditionalWrite, Write};
use crate::{Failure, telemetry};

pub use heads::{Heads, Standing, heads, item_count};

/// Version of the head item. Events count from 1.
pub const HEAD: u64 = 0;

/// Sort key of the table, and the head's current version.
const VERSION: &str = "version";

/// How often an append follows a head that keeps moving.
const ATTEMPTS: usize = 4;

/// How often a load reads again what it found missing.
const REREADS: usize = 2;

/// Name of the head's attribute that holds the aggregate's version: item 0's sort key is taken by its place.
pub const CURRENT: &str = "currentVersion";

/// An event as stored. What is stored is never rewritten: older versions are upcast when they are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredEvent {
    /// The aggregate.
    pub aggregate_id: String,
    /// Position in the aggregate's history, from 1.
    pub version: u64,
    /// The contract's `detail-type`.
    pub event_type: String,
    /// Identity of the event.
    pub event_id: String,
    /// The payload with `version` and `metadata`, as published, as JSON.
    pub detail: String,
}

impl Row for StoredEvent {
    const NAME: &'static str = "stored event";
    const PARTITION_KEY: &'static str = "aggregateId";
}

/// A state that is the fold of an aggregate's events.
pub trait Fold: Sized + Send {
    /// Version of the last event in it.
    fn version(&self) -> u64;

    /// The state after more events, the first of which follows on its version; `None` while there is no event.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where an event is unreadable, or the aggregate cannot have it.
    fn fold(state: Option<Self>, events: &[StoredEvent]) -> Result<Option<Self>, Failure>;
}

/// The head row of an aggregate, as the domain defines it. Its attributes `version` (always 0) and `currentVersion`
/// belong to the store.
pub trait Head: Row {
    /// The aggregate's version: that of its newest event.
    fn current_version(&self) -> u64;
}

/// Key of an aggregate's head.
#[must_use]
pub fn head_key<H: Head>(aggregate_id: &str) -> Key<H> {
    Key::of(aggregate_id).sorted_by(VERSION, HEAD)
}

/// Starts an aggregate: the transition's guard is that there is no head yet.
///
/// # Errors
/// [`Failure`] (permanent) where a row cannot be represented.
pub fn start<H: Head>(
    table: &Table<H>,
    aggregate_id: &str,
    head: &H,
    events: &[Emission],
) -> Result<Transition<H>, Failure> {
    let current = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let guard = table.put(head)?.set(VERSION, HEAD).set(CURRENT, current).if_absent();
    with_events(Transition::guarded_by(guard), table, aggregate_id, HEAD, events)
}

/// Appends to an aggregate that stands at `expected`: `change` adds the domain's own changes and conditions on
/// the head. Where the guard refuses, the outcome's row tells whether the version or the condition was the cause.
///
/// # Errors
/// [`Failure`] (permanent) where a row cannot be represented.
pub fn append<H: Head>(
    table: &Table<H>,
    aggregate_id: &str,
    expected: u64,
    events: &[Emission],
    change: impl FnOnce(Write<H>) -> ConditionalWrite<H>,
) -> Result<Transition<H>, Failure> {
    let next = expected.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
    let guard = change(table.update(head_key(aggregate_id)).set(CURRENT, next));
    let guard = guard.and(Condition::equals(CURRENT, expected));
    with_events(Transition::guarded_by(guard), table, aggregate_id, expected, events)
}

/// An event that is appended to an aggregate where its head allows it. Its ordering key is the aggregate's id.
pub trait Appendable<H: Head>: Contract {
    /// Why the head does not allow it.
    type Rejection;

    /// The version at which it usually finds the aggregate.
    const USUALLY_AT: u64;

    /// What it changes in the head, and under which condition.
    fn change(&self, head: Write<H>) -> ConditionalWrite<H>;

    /// The same condition, judged on the head as it stands; `None` where there is no such aggregate.
    ///
    /// # Errors
    /// Why it does not hold.
    fn decide(&self, head: Option<&H>) -> Result<(), Self::Rejection>;
}

/// Appends an event, and announces it as `emission`, at a guessed version, reading nothing first: one call where the
/// guess is right.
///
/// A head that refuses is judged as it stands: where it still allows the event, only the version was wrong, and the
/// append is made at the head's.
///
/// # Errors
/// `Ok(Err(_))` is the head's rejection: nothing was appended. [`Failure`]: transient where DynamoDB could not
/// decide or the aggregate kept moving; permanent where a row cannot be represented.
pub async fn append_guessing<H: Head, E: Appendable<H>>(
    spine: &Spine,
    table: &Table<H>,
    event: &E,
    emission: &Emission,
) -> Result<Result<(), E::Rejection>, Failure> {
    let mut expected = E::USUALLY_AT;
    for _ in 0..ATTEMPTS {
        let transition =
            append(table, event.ordering_key(), expected, std::slice::from_ref(emission), |head| {
                event.change(head)
            })?;
        let head = match spine.try_commit(transition).await? {
            Outcome::Applied => return Ok(Ok(())),
            Outcome::Duplicate(head) => head,
        };
        if let Err(rejection) = event.decide(head.as_ref()) {
            return Ok(Err(rejection));
        }
        telemetry::wrong_guess();
        expected = head.map_or(HEAD, |head| head.current_version());
    }
    Err(Failure::transient("the aggregate kept moving"))
}

fn with_events<H: Head>(
    mut transition: Transition<H>,
    table: &Table<H>,
    aggregate_id: &str,
    after: u64,
    events: &[Emission],
) -> Result<Transition<H>, Failure> {
    for (version, event) in (after.saturating_add(1)..).zip(events) {
        let stored = StoredEvent {
            aggregate_id: aggregate_id.to_owned(),
            version,
            event_type: event.detail_type.to_owned(),
            event_id: event.event_id.to_string(),
            detail: event.detail.clone(),
        };
        transition = transition.also(table.holding::<StoredEvent>().put(&stored)?).emit(event.clone());
    }
    Ok(transition)
}

/// Loads the events after a version, strongly consistent, through all pages, and checks that none is missing.
///
/// A query is not isolated from a transaction that appends several events meanwhile, so it may see a later one of them only:
/// what is missing is read again. <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>
///
/// # Errors
/// [`Failure`]: transient where DynamoDB did not answer or a version stayed missing (it may be seen when read later);
/// permanent where an event is unreadable.
pub async fn load<H>(
    dynamodb: &Client,
    table: &Table<H>,
    aggregate_id: &str,
    after: u64,
) -> Result<Vec<StoredEvent>, Failure> {
    let mut events: Vec<StoredEvent> = Vec::new();
    let (mut behind, mut rereads) = (after, 0);
    let mut from: Option<Item> = None;
    loop {
        let page = dynamodb
            .query()
            .table_name(table.name())
            .key_condition_expression("#aggregateId = :id AND #version > :after")
            .expression_attribute_names("#aggregateId", "aggregateId")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":id", AttributeValue::S(aggregate_id.to_owned()))
            .expression_attribute_values(":after", AttributeValue::N(behind.to_string()))
            .set_exclusive_start_key(from.take())
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Failure::transient("the event store could not be read").because(error))?;
        let mut gap = None;
        for item in page.items.unwrap_or_default() {
            let event: StoredEvent = from_item(item)?;
            let expected = events.last().map_or(after, |last| last.version).saturating_add(1);
            if event.version != expected {
                gap = Some((expected, event.version));
                break;
            }
            events.push(event);
        }
        match gap {
            Some((expected, found)) if rereads == REREADS => {
                return Err(Failure::transient(format!("version {expected} is missing: found {found}")));
            }
            Some((expected, _)) => {
                rereads += 1;
                behind = expected.saturating_sub(1);
            }
            None => {
                from = page.last_evaluated_key.filter(|key| !key.is_empty());
                if from.is_none() {
                    return Ok(events);
                }
            }
        }
    }
}
