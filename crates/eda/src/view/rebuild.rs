use std::time::Duration;

use aws_sdk_dynamodb::Client;
use futures::StreamExt;
use futures::stream;
use jiff::SignedDuration;

use super::generations::{Generations, Refused, Stretch, WRITERS_LAG};
use super::{Projector, View};
use crate::ambient::Ambient;
use crate::batch::{CONCURRENCY, Deadline};
use crate::event_store::{Head, Standing, heads, item_count};
use crate::failure::Kind;
use crate::row::Table;
use crate::rows::Rows;
use crate::transition::Written;
use crate::{Failure, telemetry};

/// Items of the store that one stretch walks over.
const STRETCH: i32 = 100;

/// How often the row is tried again that others change at the same time.
const ATTEMPTS: usize = 4;

/// Builds the next generation of a view from the store, beside the one that readers see, and sends them to it.
///
/// Nothing is lost between the old and the new: the projection, which learns of a build within [`WRITERS_LAG`], keeps both up
/// to date from then on, and the walk over the store begins when the last invocation has ended that knew nothing of it. A
/// stretch that is walked twice, by a run that was killed or by two at once, changes nothing.
pub struct Rebuild<V, H> {
    dynamodb: Client,
    rows: Rows,
    projector: Projector<V, H>,
    event_store: Table<H>,
    generations: Table<Generations>,
    view: &'static str,
    function: &'static str,
    ambient: Ambient,
    pause: SignedDuration,
}

/// What is rebuilt, by whom.
pub struct Settings<V, H> {
    /// The view.
    pub view: &'static str,
    /// The function, for its metrics.
    pub function: &'static str,
    /// The aggregates.
    pub event_store: Table<H>,
    /// The view's rows.
    pub views: Table<V>,
    /// The view's generations.
    pub generations: Table<Generations>,
    /// How long an invocation of the view's projection may take.
    pub projection_timeout: Duration,
}

impl<V: View, H: Head> Rebuild<V, H> {
    /// As these settings say.
    #[must_use]
    pub fn new(dynamodb: Client, ambient: Ambient, settings: Settings<V, H>) -> Self {
        let Settings { view, function, event_store, views, generations, projection_timeout } = settings;
        let projector = Projector::new(dynamodb.clone(), event_store.clone(), views);
        let timeout = SignedDuration::try_from(projection_timeout).unwrap_or(SignedDuration::MAX);
        let pause = WRITERS_LAG.saturating_add(timeout);
        let rows = Rows::new(dynamodb.clone());
        Self { dynamodb, rows, projector, event_store, generations, view, function, ambient, pause }
    }

    /// How things stand.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer.
    pub async fn status(&self) -> Result<Generations, Failure> {
        Ok(self.read().await?.unwrap_or_else(|| Generations::first(self.view)))
    }

    /// Begins a build that projects at most `rate` aggregates per second.
    ///
    /// # Errors
    /// `Ok(Err(_))`: why not. [`Failure`]: transient where DynamoDB did not answer.
    pub async fn start(&self, rate: u32) -> Result<Result<Generations, Refused>, Failure> {
        let total = item_count(&self.dynamodb, &self.event_store).await?;
        self.change(|seen| seen.started(self.ambient.now(), rate, total)).await
    }

    /// Gives a build up.
    ///
    /// # Errors
    /// As [`Rebuild::start`].
    pub async fn cancel(&self) -> Result<Result<Generations, Refused>, Failure> {
        self.change(Generations::cancelled).await
    }

    /// Sends readers back.
    ///
    /// # Errors
    /// As [`Rebuild::start`].
    pub async fn roll_back(&self) -> Result<Result<Generations, Refused>, Failure> {
        self.change(|seen| seen.rolled_back(self.ambient.now())).await
    }

    /// Goes on with a build that is under way, until it ends or the deadline comes; the next run goes on from there.
    /// Gives up the generation that readers saw before when its time is over.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; what was done until then stays done.
    pub async fn run(&self, deadline: Deadline) -> Result<Generations, Failure> {
        loop {
            let Some(seen) = self.read().await? else { return Ok(Generations::first(self.view)) };
            let now = self.ambient.now();
            let Some(build) = seen.building() else {
                let settled = seen.clone().settled(now);
                if settled == seen {
                    return Ok(seen);
                }
                self.rows.write(settled.replacing(&self.generations, Some(&seen))?).await?;
                return Ok(settled.revised());
            };
            let begins = build.started_at.saturating_add(self.pause.as_secs());
            if now.as_second() <= begins || deadline.passed() {
                return Ok(seen);
            }
            let (generation, rate) = (build.generation, build.rate);
            let paced = tokio::time::Instant::now();
            let stretch = self.walk(build.position.as_deref(), &seen.maintained()).await?;
            let projected = stretch.projected;
            let Ok(next) = seen.clone().advanced(self.ambient.now(), stretch) else { continue };
            if let Written::Applied(_) =
                self.rows.write(next.replacing(&self.generations, Some(&seen))?).await?
                && next.building().is_none()
            {
                tracing::info!(view = self.view, generation, live = next.live, "the build has ended");
                return Ok(next.revised());
            }
            let pause = Duration::from_secs(projected).checked_div(rate.max(1)).unwrap_or_default();
            let until = deadline.instant().min(paced + pause);
            tokio::time::sleep_until(until).await;
        }
    }

    /// Projects the aggregates of the next stretch. Reads consistently: what was there when the pause ended is seen. What readers
    /// see comes along, so that it is no older than what they are sent to, and they can be sent back.
    async fn walk(&self, position: Option<&str>, generations: &[u64]) -> Result<Stretch, Failure> {
        let page = heads::<H>(&self.dynamodb, &self.event_store, position, STRETCH, true).await?;
        let mut stretch = Stretch { walked: page.walked, position: page.next, ..Stretch::default() };
        let project = |Standing { aggregate_id, version }: Standing| async move {
            let projected = self.projector.project(&aggregate_id, version, generations).await;
            (aggregate_id, projected)
        };
        let mut projected = stream::iter(page.heads).map(project).buffer_unordered(CONCURRENCY);
        while let Some((aggregate_id, projected)) = projected.next().await {
            match projected {
                Ok(_) => stretch.projected += 1,
                Err(failure) if failure.kind() == Kind::Permanent => {
                    // Only the outer frame: inner ones may quote the event, and events hold personal data.
                    tracing::error!(aggregateId = aggregate_id, %failure, "cannot be projected; its events stay in the store");
                    telemetry::report(self.function, "Unprojectable", 1);
                    stretch.unreadable += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(stretch)
    }

    async fn read(&self) -> Result<Option<Generations>, Failure> {
        self.rows.read(&self.generations, Generations::key(self.view)).await
    }

    /// Decides on the row as it stands, and again where another was faster.
    async fn change(
        &self,
        decide: impl Fn(Generations) -> Result<Generations, Refused>,
    ) -> Result<Result<Generations, Refused>, Failure> {
        for _ in 0..ATTEMPTS {
            let seen = self.read().await?;
            let next = match decide(seen.clone().unwrap_or_else(|| Generations::first(self.view))) {
                Ok(next) => next,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Written::Applied(_) =
                self.rows.write(next.replacing(&self.generations, seen.as_ref())?).await?
            {
                return Ok(Ok(next.revised()));
            }
        }
        Err(Failure::transient("the view's generations are being changed by others"))
    }
}
