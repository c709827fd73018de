use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::policy::WindowPolicy;
use super::progress::{Progress, Shards};
use super::row::{FactRow, Measures, Totals, WindowRow, WindowState};
use crate::Failure;
use crate::aws::Aws;
use crate::batch::{CONCURRENCY, Deadline, FailedAt};
use crate::event::{Cause, Contract, SagaStyle};
use crate::outbox::OutboxRow;
use crate::row::Table;
use crate::spine::Spine;
use crate::transition::{MAX_ACTIONS, Outcome, Transition};
use crate::write::{Condition, ConditionalWrite, STATUS, Write};

/// How often a window that keeps changing is followed.
const ATTEMPTS: usize = 10;

/// What is summed up, and what its windows say.
pub trait Series: Send + Sync + 'static {
    /// What it is called.
    const NAME: &'static str;
    /// The event of a window that is closed.
    type Closed: Contract + Send;
    /// The event of a window that is corrected.
    type Corrected: Contract + Send;

    /// A window is closed and holds this.
    fn closed(totals: &Totals) -> Self::Closed;

    /// A window that was closed changes by this, and holds this now.
    fn corrected(totals: &Totals, difference: &Measures) -> Self::Corrected;
}

/// A fact that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its identity, the same for all copies.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What it adds.
    pub measures: Measures,
}

/// The tables of a series.
#[derive(Clone, Debug)]
pub struct WindowsConfig {
    /// One row per window.
    pub windows: Table<WindowRow>,
    /// One row per fact.
    pub facts: Table<FactRow>,
    /// One row per shard.
    pub progress: Table<Progress>,
    /// Events to publish.
    pub outbox: Table<OutboxRow>,
    /// How long rows are kept, in days.
    pub keep_days: i64,
}

/// The windows of a series.
pub struct Windows<S> {
    pub(super) spine: Spine,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) shards: Shards,
    pub(super) config: WindowsConfig,
    pub(super) policy: WindowPolicy,
    series: PhantomData<S>,
}

/// What became of facts of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Added to an open window.
    pub counted: usize,
    /// Added to a closed window, which says so.
    pub corrected: usize,
    /// Too late, and kept aside.
    pub too_late: usize,
    /// Counted before.
    pub known: usize,
}

/// What became of a batch of facts.
pub type Absorbed = Folded;

impl std::ops::AddAssign for Folded {
    fn add_assign(&mut self, other: Self) {
        self.counted += other.counted;
        self.corrected += other.corrected;
        self.too_late += other.too_late;
        self.known += other.known;
    }
}

/// Where a window is believed to stand.
enum Standing {
    Open,
    Closed(WindowRow),
    TooLate,
}

/// What became of a transaction.
enum Committed {
    Applied,
    /// The window stands elsewhere.
    Elsewhere(Option<WindowRow>),
    /// These facts, by their positions, were counted before.
    Known(BTreeSet<usize>),
}

impl<S: Series> Windows<S> {
    /// Over these tables.
    #[must_use]
    pub fn new(aws: &Aws, config: WindowsConfig, policy: WindowPolicy) -> Self {
        let dynamodb = aws.dynamodb();
        Self {
            spine: Spine::new(dynamodb.clone(), config.outbox.clone(), aws.ambient()),
            shards: Shards::new(dynamodb.clone(), config.progress.clone(), config.keep_days),
            dynamodb,
            config,
            policy,
            series: PhantomData,
        }
    }

    /// Takes a batch of a shard's facts into account, `None` standing for what counts for nothing: one transaction per window and 99 facts, windows side by side. Facts
    /// that were counted before, and windows that are closed already, cost another.
    ///
    /// # Errors
    /// [`FailedAt`] the first fact, by its position, whose window could not be written; those before it are done.
    pub async fn absorb(
        &self,
        shard: &str,
        facts: Vec<Option<Fact>>,
        deadline: Deadline,
    ) -> Result<Absorbed, FailedAt> {
        let newest = facts.iter().flatten().map(|fact| fact.at).max();
        let Some(newest) = newest else { return Ok(Absorbed::default()) };
        let now = self.spine.ambient().now();
        let reached = self.policy.reached(newest, now);
        let failed = |position: usize, failure: Failure| FailedAt { position, failure };
        let mut windows: BTreeMap<i64, (usize, Vec<Fact>)> = BTreeMap::new();
        for (position, fact) in facts.into_iter().enumerate().filter_map(|(at, fact)| Some((at, fact?))) {
            let start = self.policy.start_of(fact.at);
            windows.entry(start).or_insert((position, Vec::new())).1.push(fact);
        }
        // Only what is old by the clock can be old by the watermark, which is never ahead of it.
        let old =
            windows.first_key_value().filter(|(start, _)| self.policy.is_too_late(**start, now.as_second()));
        let watermark = match old {
            Some(_) => {
                let read = self.shards.watermark(S::NAME, Some((shard, reached)), now, &self.policy).await;
                read.map_err(|failure| failed(0, failure))?
            }
            None => i64::MIN,
        };
        let work = windows.into_iter().map(|(start, (position, facts))| {
            Box::pin(async move { (position, self.fold(start, facts, watermark).await) })
        });
        let work: Vec<_> = work.collect();
        let mut absorbed = Absorbed::default();
        let mut first: Option<FailedAt> = None;
        let total = work.len();
        let mut results = stream::iter(work).buffer_unordered(CONCURRENCY);
        let mut done = 0;
        while let Ok(Some((position, folded))) =
            tokio::time::timeout_at(deadline.instant(), results.next()).await
        {
            done += 1;
            match folded {
                Ok(folded) => absorbed += folded,
                Err(failure) => {
                    if first.as_ref().is_none_or(|first| position < first.position) {
                        first = Some(failed(position, failure));
                    }
                }
            }
        }
        drop(results);
        if done < total {
            // Nobody knows which windows were cut off: all come again, and what is counted stays so.
            return Err(failed(0, Failure::transient("the deadline came first")));
        }
        if let Some(first) = first {
            return Err(first);
        }
        let noted = self.shards.advance(S::NAME, shard, reached, now, &self.policy).await;
        noted.map_err(|failure| failed(0, failure))?;
        Ok(absorbed)
    }

    /// Up to when all facts are believed to have arrived, in epoch seconds.
    ///
    /// # Errors
    /// [`Failure`] (transient) where progress cannot be read.
    pub async fn watermark(&self, now: Timestamp) -> Result<i64, Failure> {
        self.shards.watermark(S::NAME, None, now, &self.policy).await
    }

    /// Adds facts of one window to it, each once.
    async fn fold(&self, start: i64, facts: Vec<Fact>, watermark: i64) -> Result<Folded, Failure> {
        let mut folded = Folded::default();
        let mut left = once_each(facts, &mut folded);
        let mut standing = match self.policy.is_too_late(start, watermark) {
            true => Standing::TooLate,
            false => Standing::Open,
        };
        let mut attempts = ATTEMPTS;
        while !left.is_empty() {
            let most = match standing {
                Standing::Closed(_) => MAX_ACTIONS - 2,
                Standing::Open | Standing::TooLate => MAX_ACTIONS - 1,
            };
            let chunk = left.get(..most.min(left.len())).unwrap_or_default();
            match self.commit(start, &standing, chunk).await? {
                Committed::Applied => {
                    let (added, sums) = (chunk.len(), sums(chunk));
                    match &mut standing {
                        Standing::Open => folded.counted += added,
                        Standing::TooLate => folded.too_late += added,
                        Standing::Closed(row) => {
                            folded.corrected += added;
                            *row = after(row, &sums);
                        }
                    }
                    left.drain(..added);
                    continue;
                }
                Committed::Known(positions) => {
                    folded.known += positions.len();
                    let mut position = 0;
                    left.retain(|_| {
                        position += 1;
                        !positions.contains(&(position - 1))
                    });
                }
                Committed::Elsewhere(row) => {
                    standing = match row {
                        Some(row) if row.status == WindowState::Closed => Standing::Closed(row),
                        _ => Standing::Open,
                    };
                }
            }
            attempts -= 1;
            if attempts == 0 {
                return Err(Failure::transient("the window keeps changing"));
            }
        }
        Ok(folded)
    }

    async fn commit(&self, start: i64, standing: &Standing, facts: &[Fact]) -> Result<Committed, Failure> {
        let sums = sums(facts);
        let too_late = matches!(standing, Standing::TooLate);
        let guard = match standing {
            Standing::Open => {
                let write = self.added(start, &sums).set("openSeries", S::NAME).set(STATUS, "open");
                write.only_if(is_open_or_new())
            }
            Standing::Closed(row) => {
                self.added(start, &sums).only_if(stands(WindowState::Closed, row.revision))
            }
            Standing::TooLate => self.late(start, facts.len()),
        };
        let rows = facts.iter().enumerate().map(|(position, fact)| {
            let row = FactRow {
                fact_id: fact.id.clone(),
                too_late_for: too_late.then_some(start),
                measures: if too_late { fact.measures.clone() } else { Measures::new() },
                expires_at: self.expires_at(),
            };
            Ok((self.config.facts.put(&row)?.if_absent(), position))
        });
        let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
        let mut transition = Transition::guarded_by(guard).requiring(rows);
        if let Standing::Closed(row) = standing {
            let totals = after(row, &sums).totals(row.revision + 1);
            let cause = Cause::root(SagaStyle::Choreographed, None);
            transition = transition.emit(self.spine.event(&cause, &S::corrected(&totals, &sums))?);
        }
        Ok(match self.spine.try_commit(transition).await? {
            Outcome::Applied => Committed::Applied,
            Outcome::Duplicate(row) => Committed::Elsewhere(row),
            Outcome::Rejected(first, others) => {
                Committed::Known(std::iter::once(first).chain(others).collect())
            }
        })
    }

    /// The window with these sums added.
    fn added(&self, start: i64, sums: &Measures) -> Write<WindowRow> {
        let write = self.config.windows.update(WindowRow::key(S::NAME, start));
        let write = write.set("end", self.policy.end_of(start)).set("expiresAt", self.expires_at());
        sums.iter().fold(write.add("revision", 1), |write, (name, by)| write.add(name, *by))
    }

    /// The window with so many facts more that came too late for it.
    fn late(&self, start: i64, facts: usize) -> ConditionalWrite<WindowRow> {
        let write = self.config.windows.update(WindowRow::key(S::NAME, start));
        let write = write.set("end", self.policy.end_of(start)).set("expiresAt", self.expires_at());
        let write = write.add("tooLate", i64::try_from(facts).unwrap_or(i64::MAX));
        // One that is still open, though it should not be, takes what is too late for others.
        write.only_if(Condition::equals(STATUS, "open").negated())
    }

    pub(super) fn expires_at(&self) -> i64 {
        self.spine.ambient().expires_in_days(self.config.keep_days)
    }
}

/// A window stands so, and has not changed since.
pub(super) fn stands(state: WindowState, revision: u64) -> Condition {
    use crate::step::State as _;
    Condition::equals(STATUS, state.name()).and(Condition::equals("revision", revision))
}

/// A window of which nothing is known, or only that facts came too late for it, has no state yet.
fn is_open_or_new() -> Condition {
    Condition::Any(vec![Condition::absent(STATUS), Condition::equals(STATUS, "open")])
}

fn sums(facts: &[Fact]) -> Measures {
    let mut sums = Measures::new();
    for (name, by) in facts.iter().flat_map(|fact| &fact.measures) {
        let sum = sums.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*by);
    }
    sums
}

/// The row as it is when these sums are added.
fn after(row: &WindowRow, sums: &Measures) -> WindowRow {
    let mut next = row.clone();
    next.revision += 1;
    for (name, by) in sums {
        let sum = next.measures.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*by);
    }
    next
}

/// A transaction takes no item twice, and a fact counts once.
fn once_each(facts: Vec<Fact>, folded: &mut Folded) -> Vec<Fact> {
    let mut seen = BTreeSet::new();
    let total = facts.len();
    let left: Vec<_> = facts.into_iter().filter(|fact| seen.insert(fact.id.clone())).collect();
    folded.known += total - left.len();
    left
}
