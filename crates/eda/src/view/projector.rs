use aws_sdk_dynamodb::Client;

use super::{CHECKPOINT, GENERATION, View};
use crate::Failure;
use crate::event_store::{Fold, load};
use crate::row::Table;
use crate::rows::Rows;
use crate::transition::Written;
use crate::write::{Condition, ConditionalWrite};

/// How often a row is tried again that others move at the same time.
const ATTEMPTS: usize = 4;

/// When a row was brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projected {
    /// Now.
    Now,
    /// Before, or there is nothing that it could hold.
    Before,
}

/// Brings rows of a view up to date: three calls for an aggregate, however many of its events are missing.
///
/// What is missing is read from the store, after the row's own checkpoint, and row and checkpoint are written under one
/// condition. So it does not matter who asks, how often, in which order, and with which version.
pub struct Projector<V, H> {
    dynamodb: Client,
    rows: Rows,
    event_store: Table<H>,
    views: Table<V>,
}

impl<V: View, H> Projector<V, H> {
    /// Projects aggregates of this store into this table.
    #[must_use]
    pub fn new(dynamodb: Client, event_store: Table<H>, views: Table<V>) -> Self {
        Self { rows: Rows::new(dynamodb.clone()), dynamodb, event_store, views }
    }

    /// Brings an aggregate's row of this generation up to `version` at least.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer, an event is missing, or others kept moving the row;
    /// permanent where an event is unreadable.
    pub async fn project(
        &self,
        aggregate_id: &str,
        version: u64,
        generation: u64,
    ) -> Result<Projected, Failure> {
        let mut stored = self.rows.read(&self.views, V::key(aggregate_id, generation)).await?;
        for _ in 0..ATTEMPTS {
            if stored.as_ref().is_some_and(|row| is_current(row, version, generation)) {
                return Ok(Projected::Before);
            }
            let Some(next) = self.next(aggregate_id, stored.as_ref(), generation).await? else {
                tracing::warn!(
                    aggregateId = aggregate_id,
                    version,
                    "the store has no event for this doorbell"
                );
                return Ok(Projected::Before);
            };
            match self.rows.write(replacing(&self.views, &next, stored.as_ref())?).await? {
                Written::Applied(_) => return Ok(Projected::Now),
                Written::Refused(other) => stored = other,
            }
        }
        Err(Failure::transient("the view is being moved by others"))
    }

    /// The row after the events that `stored` does not hold yet; `None` where the store has none.
    async fn next(
        &self,
        aggregate_id: &str,
        stored: Option<&V>,
        generation: u64,
    ) -> Result<Option<V>, Failure> {
        // A row of another generation, or that an earlier release wrote in another form, is folded anew: only the events
        // count.
        let state = stored.filter(|row| row.generation() == generation).and_then(View::state);
        let checkpoint = state.as_ref().map_or(0, Fold::version);
        let events = load(&self.dynamodb, &self.event_store, aggregate_id, checkpoint).await?;
        if events.is_empty() {
            return Ok(None);
        }
        V::State::fold(state, &events)?.map(|state| V::of(&state, generation)).transpose()
    }
}

/// Whether nothing is to be done about a row: it is up to date, or a newer generation has taken its place.
pub(super) fn is_current<V: View>(row: &V, version: u64, generation: u64) -> bool {
    row.generation() > generation || (row.generation() == generation && row.checkpoint() >= version)
}

/// `next` takes the place of the row that was seen, or of none, if nobody has moved it meanwhile.
fn replacing<V: View>(table: &Table<V>, next: &V, seen: Option<&V>) -> Result<ConditionalWrite<V>, Failure> {
    let write = table.put(next)?;
    Ok(match seen {
        Some(row) => {
            let unmoved = Condition::equals(CHECKPOINT, row.checkpoint());
            write.only_if(Condition::equals(GENERATION, row.generation()).and(unmoved))
        }
        None => write.if_absent(),
    })
}
