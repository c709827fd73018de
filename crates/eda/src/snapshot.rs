//! Snapshots: what an aggregate's events came to at some version, kept so that loading reads only those that followed.
//!
//! They are no truth. To delete all of them changes no result, only what it costs; one that was written in another form of
//! the state is passed by.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::num::NonZeroU64;
use std::str::FromStr;

use aws_sdk_dynamodb::Client;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::event_store::{Fold, load};
use crate::row::{Key, Row, Table};
use crate::rows::Rows;
use crate::transition::Written;
use crate::write::{Condition, ConditionalWrite};

/// A state of which snapshots are kept.
pub trait Snapshotted: Fold + Serialize + DeserializeOwned {
    /// Number of its form. Whoever changes what its fields hold or mean raises it: older snapshots are then passed by.
    const SCHEMA: u32;
}

/// A snapshot as stored: one per aggregate, the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The aggregate.
    pub aggregate_id: String,
    /// Version of the last event in it.
    pub version: u64,
    /// Number of the form in which the state was written.
    pub schema: u32,
    /// The state as JSON.
    pub state: String,
}

impl Row for Snapshot {
    const NAME: &'static str = "snapshot";
    const PARTITION_KEY: &'static str = "aggregateId";
}

impl Snapshot {
    /// The key of an aggregate's snapshot.
    #[must_use]
    pub fn key(aggregate_id: &str) -> Key<Self> {
        Key::of(aggregate_id)
    }

    /// The snapshot of this state.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the state has no JSON form.
    pub fn of<S: Snapshotted>(aggregate_id: &str, state: &S) -> Result<Self, Failure> {
        let text = serde_json::to_string(state)
            .map_err(|error| Failure::permanent("the state has no JSON form").because(error))?;
        let aggregate_id = aggregate_id.to_owned();
        Ok(Self { aggregate_id, version: state.version(), schema: S::SCHEMA, state: text })
    }

    /// The state, if it was written in the form that this release reads.
    #[must_use]
    pub fn state<S: Snapshotted>(&self) -> Option<S> {
        let state = (self.schema == S::SCHEMA).then(|| serde_json::from_str(&self.state).ok()).flatten();
        state.filter(|state: &S| state.version() == self.version)
    }

    fn replacing(&self, table: &Table<Self>, seen: Option<&Self>) -> Result<ConditionalWrite<Self>, Failure> {
        let write = table.put(self)?;
        Ok(match seen {
            Some(seen) => {
                let unmoved = Condition::equals("version", seen.version);
                write.only_if(unmoved.and(Condition::equals("schema", seen.schema)))
            }
            None => write.if_absent(),
        })
    }
}

/// Which events are followed by a snapshot: every so many versions, after events of some types, or both.
///
/// As a text: `100`, `OrderCancelled`, or `100,OrderCancelled`; `none` for never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    every: Option<NonZeroU64>,
    after: BTreeSet<String>,
}

impl Policy {
    /// Whether an event of this type and version is followed by a snapshot.
    #[must_use]
    pub fn is_due(&self, version: u64, event_type: &str) -> bool {
        self.every.is_some_and(|every| version.is_multiple_of(every.get())) || self.after.contains(event_type)
    }
}

impl FromStr for Policy {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let mut policy = Self::default();
        for term in text.split(',').map(str::trim).filter(|term| !term.is_empty() && *term != "none") {
            match term.parse() {
                Ok(every) => policy.every = Some(every),
                Err(_) => {
                    policy.after.insert(term.to_owned());
                }
            }
        }
        Ok(policy)
    }
}

/// Loads aggregates from their snapshots, and takes new ones.
#[derive(Clone)]
pub struct Snapshots<H> {
    dynamodb: Client,
    rows: Rows,
    event_store: Table<H>,
    snapshots: Table<Snapshot>,
}

impl<H> Snapshots<H> {
    /// Snapshots, in this table, of the aggregates of this store.
    #[must_use]
    pub fn new(dynamodb: Client, event_store: Table<H>, snapshots: Table<Snapshot>) -> Self {
        Self { rows: Rows::new(dynamodb.clone()), dynamodb, event_store, snapshots }
    }

    /// What an aggregate's events come to; `None` where it has none. Two calls, if what followed the snapshot fits a page.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer or an event is missing; permanent where one is unreadable.
    pub async fn load<S: Snapshotted>(&self, aggregate_id: &str) -> Result<Option<S>, Failure> {
        let seen = self.rows.read(&self.snapshots, Snapshot::key(aggregate_id)).await?;
        self.resume(aggregate_id, seen.as_ref()).await
    }

    /// Takes a snapshot that holds `version` at least, unless there is one.
    ///
    /// # Errors
    /// As [`Snapshots::load`].
    pub async fn take<S: Snapshotted>(&self, aggregate_id: &str, version: u64) -> Result<(), Failure> {
        let seen = self.rows.read(&self.snapshots, Snapshot::key(aggregate_id)).await?;
        if seen.as_ref().is_some_and(|seen| seen.schema == S::SCHEMA && seen.version >= version) {
            return Ok(());
        }
        let Some(state) = self.resume::<S>(aggregate_id, seen.as_ref()).await? else { return Ok(()) };
        let snapshot = Snapshot::of(aggregate_id, &state)?;
        match self.rows.write(snapshot.replacing(&self.snapshots, seen.as_ref())?).await? {
            // Where another was faster there is a snapshot: which of two it is matters to nobody.
            Written::Applied(_) | Written::Refused(_) => Ok(()),
        }
    }

    async fn resume<S: Snapshotted>(
        &self,
        aggregate_id: &str,
        seen: Option<&Snapshot>,
    ) -> Result<Option<S>, Failure> {
        let state = seen.and_then(Snapshot::state::<S>);
        let after = state.as_ref().map_or(0, Fold::version);
        let events = load(&self.dynamodb, &self.event_store, aggregate_id, after).await?;
        S::fold(state, &events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(policy: &str, version: u64, event_type: &str) -> bool {
        policy.parse::<Policy>().unwrap().is_due(version, event_type)
    }

    #[test]
    fn snapshots_follow_every_so_many_versions_or_some_events_or_both() {
        assert_eq!(
            [99, 100, 101, 200].map(|version| due("100", version, "Opened")),
            [false, true, false, true]
        );
        assert_eq!(["Opened", "Closed"].map(|event| due("Closed", 100, event)), [false, true]);
        assert!(due("100, Closed", 100, "Opened") && due("100, Closed", 7, "Closed"));
        assert!(!due("none", 100, "none") && !due("", 100, ""));
    }
}
