use std::collections::HashMap;
use std::future::Future;

use futures::StreamExt;
use futures::stream;
use serde::Deserialize;

use super::{CONCURRENCY, Deadline, FailedAt};
use crate::failure::Kind;
use crate::serve::Function;
use crate::{Failure, telemetry};

/// A new item in the event store's stream: it says that the aggregate has moved, and no more. What happened is read from
/// the store, so a doorbell may ring twice, late or out of order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Doorbell {
    /// The aggregate.
    pub aggregate_id: String,
    /// The version it has reached at least.
    pub version: u64,
}

/// Brings what is derived from aggregates up to date.
pub trait Projection: Function {
    /// Brings one aggregate's up to `version` at least, whatever has been applied before.
    fn project(&self, aggregate_id: &str, version: u64) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Answers the doorbells of a batch: each aggregate once, up to the newest of its versions, aggregates side by side.
///
/// An aggregate that no repetition can project is logged, counted (`Unprojectable`) and passed over: its
/// events stay in the store, and its shard's neighbours do not wait for it. Anything else that is not done when the
/// deadline comes is delivered again.
///
/// # Errors
/// [`FailedAt`] the first doorbell of an aggregate that is to be delivered again.
pub async fn project_each<P: Projection>(
    projection: &P,
    doorbells: Vec<Doorbell>,
    deadline: Deadline,
) -> Result<(), FailedAt> {
    let mut rings = rings(&doorbells);
    let work: Vec<_> = rings.iter().map(|ring| Box::pin(answer_one(projection, ring, deadline))).collect();
    let mut answers = stream::iter(work).buffer_unordered(CONCURRENCY);
    let mut failures = HashMap::new();
    while let Ok(Some((position, answered))) =
        tokio::time::timeout_at(deadline.instant(), answers.next()).await
    {
        failures.insert(position, answered.err());
    }
    drop(answers);
    rings.sort_by_key(|ring| ring.position);
    for Ring { position, .. } in rings {
        match failures.remove(&position) {
            Some(None) => {}
            Some(Some(failure)) => return Err(FailedAt { position, failure }),
            None => {
                let failure = Failure::transient("the deadline came first");
                return Err(FailedAt { position, failure });
            }
        }
    }
    Ok(())
}

async fn answer_one<P: Projection>(
    projection: &P,
    ring: &Ring<'_>,
    deadline: Deadline,
) -> (usize, Result<(), Failure>) {
    if deadline.passed() {
        return (ring.position, Err(Failure::transient("the deadline came first")));
    }
    let answered = match projection.project(ring.aggregate_id, ring.newest).await {
        Err(failure) if failure.kind() == Kind::Permanent => {
            // Only the outer frame: inner ones may quote the event, and events hold personal data.
            tracing::error!(aggregateId = ring.aggregate_id, %failure, "cannot be projected; its events stay in the store");
            telemetry::report(P::NAME, "Unprojectable", 1);
            Ok(())
        }
        answered => answered,
    };
    (ring.position, answered)
}

/// The doorbells of one aggregate.
#[derive(Debug, PartialEq, Eq)]
struct Ring<'a> {
    aggregate_id: &'a str,
    /// The newest version that was rung for.
    newest: u64,
    /// Position of its first doorbell.
    position: usize,
}

/// One ring per aggregate, in the order of their first doorbells.
fn rings(doorbells: &[Doorbell]) -> Vec<Ring<'_>> {
    let mut rings: Vec<Ring<'_>> = Vec::new();
    let mut index_of: HashMap<&str, usize> = HashMap::new();
    for (position, Doorbell { aggregate_id, version }) in doorbells.iter().enumerate() {
        let index = *index_of.entry(aggregate_id).or_insert(rings.len());
        match rings.get_mut(index) {
            Some(ring) => ring.newest = ring.newest.max(*version),
            None => rings.push(Ring { aggregate_id, newest: *version, position }),
        }
    }
    rings
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use envconfig::Envconfig;

    use super::*;
    use crate::aws::Aws;
    use crate::serve::StartError;

    #[derive(Envconfig)]
    struct Nothing {}

    /// Projects what is asked for, unless the aggregate's name says otherwise.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<(String, u64)>>);

    impl Function for Recorder {
        const NAME: &'static str = "recorder";
        type Config = Nothing;

        async fn start(_aws: &Aws, Nothing {}: Nothing) -> Result<Self, StartError> {
            Ok(Self::default())
        }
    }

    impl Projection for Recorder {
        async fn project(&self, aggregate_id: &str, version: u64) -> Result<(), Failure> {
            match aggregate_id {
                "unreadable" => return Err(Failure::permanent("an event is unreadable")),
                "throttled" => return Err(Failure::transient("throttled")),
                "endless" => std::future::pending().await,
                _ => self.0.lock().unwrap().push((aggregate_id.to_owned(), version)),
            }
            Ok(())
        }
    }

    async fn ring(doorbells: &[(&str, u64)]) -> (Vec<(String, u64)>, Result<(), usize>) {
        let recorder = Recorder::default();
        let bell = |(id, version): &(&str, u64)| Doorbell { aggregate_id: (*id).into(), version: *version };
        let deadline = Deadline::after(Duration::from_secs(1) + Deadline::MARGIN);
        let answered = project_each(&recorder, doorbells.iter().map(bell).collect(), deadline).await;
        (recorder.0.into_inner().unwrap(), answered.map_err(|failed| failed.position))
    }

    #[tokio::test]
    async fn an_aggregate_is_projected_once_to_the_newest_version_that_rang() {
        let (projected, answered) = ring(&[("a", 1), ("b", 1), ("a", 3), ("a", 2)]).await;
        assert_eq!(projected, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
        assert_eq!(answered, Ok(()));
    }

    #[tokio::test]
    async fn the_stream_stops_at_the_first_doorbell_of_what_failed_and_the_rest_is_done() {
        let (projected, answered) = ring(&[("a", 1), ("throttled", 1), ("throttled", 2), ("b", 1)]).await;
        assert_eq!(projected.len(), 2);
        assert_eq!(answered, Err(1));
    }

    #[tokio::test]
    async fn what_can_never_be_projected_does_not_hold_up_the_shard() {
        let (projected, answered) = ring(&[("unreadable", 1), ("a", 1)]).await;
        assert_eq!(projected, [("a".to_owned(), 1)]);
        assert_eq!(answered, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_deadline_cuts_off_is_delivered_again() {
        let (projected, answered) = ring(&[("a", 1), ("endless", 1), ("b", 1)]).await;
        assert_eq!(projected.len(), 2);
        assert_eq!(answered, Err(1));
    }

    #[tokio::test]
    async fn nothing_rings() {
        assert_eq!(ring(&[]).await, (vec![], Ok(())));
    }
}
