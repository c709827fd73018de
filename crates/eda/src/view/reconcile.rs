use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use futures::StreamExt;
use futures::stream;
use serde::{Deserialize, Serialize};

use super::projector::is_current;
use super::{Current, Projector, View};
use crate::Failure;
use crate::batch::{CONCURRENCY, Deadline};
use crate::event_store::{Head, Standing, heads};
use crate::failure::Kind;
use crate::row::{Key, Row, Table};
use crate::rows::Rows;
use crate::write::Condition;

/// Items of the store that are looked at between two looks at the clock.
const PAGE: i32 = 100;

/// Finds rows of a view that are behind their aggregates though nobody rang, and brings them up to date.
///
/// A run looks at a bounded part of the store and remembers where it stopped, so that all of it comes up in turn.
pub struct Reconciliation<V, H> {
    dynamodb: Client,
    rows: Rows,
    projector: Projector<V, H>,
    event_store: Table<H>,
    views: Table<V>,
    places: Table<Place>,
    current: Current,
    name: String,
}

/// Where the next run goes on. There is none where it begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    projection: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<String>,
}

impl Row for Place {
    const NAME: &'static str = "place of a reconciliation";
    const PARTITION_KEY: &'static str = "projection";
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// Aggregates that were looked at.
    pub checked: u64,
    /// Rows that were behind: their doorbell was lost, or is still on its way.
    pub repaired: u64,
    /// Aggregates with an event that nobody can read.
    pub unreadable: u64,
    /// Whether the end of the store was reached: the next run begins anew.
    pub complete: bool,
}

impl<V: View, H: Head> Reconciliation<V, H> {
    /// Of the view that `current` is about.
    #[must_use]
    pub fn new(
        dynamodb: Client,
        event_store: Table<H>,
        views: Table<V>,
        places: Table<Place>,
        current: Current,
    ) -> Self {
        let projector = Projector::new(dynamodb.clone(), event_store.clone(), views.clone());
        let name = format!("{}/reconciliation", current.view());
        let rows = Rows::new(dynamodb.clone());
        Self { rows, dynamodb, projector, event_store, views, places, current, name }
    }

    /// Looks at so many pages of the store at most.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; the next run begins where this one did.
    pub async fn run(&self, pages: u32, deadline: Deadline) -> Result<Reconciled, Failure> {
        let begun = self.rows.read(&self.places, Key::of(&self.name)).await?.and_then(|place| place.position);
        let (mut position, mut report) = (begun.clone(), Reconciled::default());
        for _ in 0..pages {
            if deadline.passed() {
                break;
            }
            let page =
                heads::<H>(&self.dynamodb, &self.event_store, position.as_deref(), PAGE, false).await?;
            self.look(page.heads, &mut report).await?;
            position = page.next;
            if position.is_none() {
                report.complete = true;
                break;
            }
        }
        if position != begun {
            let next = self.places.put(&Place { projection: self.name.clone(), position })?;
            let unmoved = match begun {
                Some(position) => Condition::equals("position", position),
                None => Condition::absent("position"),
            };
            // Where another run was faster, its place is as good.
            self.rows.write(next.only_if(unmoved)).await?;
        }
        Ok(report)
    }

    async fn look(&self, heads: Vec<Standing>, report: &mut Reconciled) -> Result<(), Failure> {
        let generations = &self.current.get().await?.maintained();
        let bring = |head: Standing| async move {
            let behind = self.projector.project(&head.aggregate_id, head.version, generations).await;
            (head.aggregate_id, behind)
        };
        report.checked += heads.len() as u64;
        let behind = self.behind(heads, generations).await?;
        let mut brought = stream::iter(behind).map(bring).buffer_unordered(CONCURRENCY);
        while let Some((aggregate_id, behind)) = brought.next().await {
            match behind {
                Ok(0) => {}
                Ok(behind) => {
                    tracing::warn!(aggregateId = aggregate_id, "a view was behind and is repaired");
                    report.repaired += behind;
                }
                Err(failure) if failure.kind() == Kind::Permanent => {
                    // Only the outer frame: inner ones may quote the event, and events hold personal data.
                    tracing::error!(aggregateId = aggregate_id, %failure, "cannot be projected; its events stay in the store");
                    report.unreadable += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The aggregates of which a row seems to be behind. The rows are read together, as they were moments ago: they only
    /// move on, so none that is behind seems current.
    async fn behind(&self, mut heads: Vec<Standing>, generations: &[u64]) -> Result<Vec<Standing>, Failure> {
        let ids = heads.iter().flat_map(|head| generations.iter().map(|of| V::id(&head.aggregate_id, *of)));
        let rows = self.rows.read_many(&self.views, ids.collect::<BTreeSet<_>>()).await?;
        heads.retain(|head| {
            let current = |generation: &u64| {
                let row = rows.get(&V::id(&head.aggregate_id, *generation)).ok().flatten();
                row.is_some_and(|row| is_current(&row, head.version, *generation))
            };
            !generations.iter().all(current)
        });
        Ok(heads)
    }
}
