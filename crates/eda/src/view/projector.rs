use aws_sdk_dynamodb::Client;
use futures::future::try_join_all;

use super::{CHECKPOINT, GENERATION, View};
use crate::Failure;
use crate::event_store::{Fold, load};
use crate::row::Table;
use crate::rows::Rows;
use crate::transition::Written;
use crate::write::{Condition, ConditionalWrite};

/// How often rows are tried again that others move at the same time.
const ATTEMPTS: usize = 4;

/// Brings rows of a view up to date: three calls for an aggregate, however many of its events are missing, and a read more
/// for a second generation.
///
/// What is missing is read from the store, after the rows' own checkpoints, and rows and checkpoints are written under their
/// conditions. So it does not matter who asks, how often, in which order, and with which version. An aggregate's rows of
/// several generations move together, so that none of them ever holds more than another.
pub struct Projector<V, H> {
    dynamodb: Client,
    rows: Rows,
    event_store: Table<H>,
    views: Table<V>,
}

/// A generation's row of an aggregate as it was seen.
struct Seen<V> {
    generation: u64,
    row: Option<V>,
}

impl<V: View, H> Projector<V, H> {
    /// Projects aggregates of this store into this table.
    #[must_use]
    pub fn new(dynamodb: Client, event_store: Table<H>, views: Table<V>) -> Self {
        Self { rows: Rows::new(dynamodb.clone()), dynamodb, event_store, views }
    }

    /// Brings an aggregate's rows of these generations up to `version` at least, and tells how many it has written: none
    /// where they were there before, or where there is nothing that they could hold.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer, an event is missing, or others kept moving the rows;
    /// permanent where an event is unreadable.
    pub async fn project(
        &self,
        aggregate_id: &str,
        version: u64,
        generations: &[u64],
    ) -> Result<u64, Failure> {
        let mut seen = self.seen(aggregate_id, generations).await?;
        for _ in 0..ATTEMPTS {
            if seen.iter().all(|Seen { generation, row }| {
                row.as_ref().is_some_and(|row| is_current(row, version, *generation))
            }) {
                return Ok(0);
            }
            let mut next = self.next(aggregate_id, &seen).await?;
            let written = next.len() as u64;
            match next.pop() {
                None => {
                    tracing::warn!(
                        aggregateId = aggregate_id,
                        version,
                        "the store has no event for this doorbell"
                    );
                    return Ok(0);
                }
                Some((index, only)) if next.is_empty() => match self.rows.write(only).await? {
                    Written::Applied(_) => return Ok(written),
                    Written::Refused(other) => {
                        if let Some(seen) = seen.get_mut(index) {
                            seen.row = other;
                        }
                    }
                },
                last => {
                    let writes = next.into_iter().chain(last).map(|(_, write)| write).collect();
                    if self.rows.write_together(writes).await? {
                        return Ok(written);
                    }
                    seen = self.seen(aggregate_id, generations).await?;
                }
            }
        }
        Err(Failure::transient("the view is being moved by others"))
    }

    async fn seen(&self, aggregate_id: &str, generations: &[u64]) -> Result<Vec<Seen<V>>, Failure> {
        let read = generations.iter().map(|generation| async move {
            let row = self.rows.read(&self.views, V::key(aggregate_id, *generation)).await?;
            Ok(Seen { generation: *generation, row })
        });
        try_join_all(read).await
    }

    /// The rows that the store has events for which they do not hold yet, with those events, by their places among those seen.
    async fn next(
        &self,
        aggregate_id: &str,
        seen: &[Seen<V>],
    ) -> Result<Vec<(usize, ConditionalWrite<V>)>, Failure> {
        // Where a newer generation has taken a row's place, nothing is to be done.
        let wanted = seen.iter().enumerate().filter(|(_, Seen { generation, row })| {
            row.as_ref().is_none_or(|row| row.generation() <= *generation)
        });
        let wanted = wanted.map(|(index, seen)| {
            // A row of another generation, or that an earlier release wrote in another form, is folded anew: only the
            // events count.
            let same = seen.row.as_ref().filter(|row| row.generation() == seen.generation);
            let state = same.and_then(View::state);
            let checkpoint = state.as_ref().map_or(0, Fold::version);
            (index, seen, state, checkpoint)
        });
        let wanted: Vec<_> = wanted.collect();
        let oldest = wanted.iter().map(|(.., checkpoint)| *checkpoint).min().unwrap_or_default();
        let events = load(&self.dynamodb, &self.event_store, aggregate_id, oldest).await?;
        let mut next = Vec::with_capacity(wanted.len());
        for (index, Seen { generation, row }, state, checkpoint) in wanted {
            let held = events.partition_point(|event| event.version <= checkpoint);
            let missing = events.get(held..).filter(|missing| !missing.is_empty());
            let Some(missing) = missing else { continue };
            if let Some(state) = V::State::fold(state, missing)? {
                let row = replacing(&self.views, &V::of(&state, *generation)?, row.as_ref())?;
                next.push((index, row));
            }
        }
        Ok(next)
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
