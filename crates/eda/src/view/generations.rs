use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{FIRST_GENERATION, place};
use crate::Failure;
use crate::ambient::Ambient;
use crate::row::{Key, Row, Table};
use crate::rows::Rows;
use crate::write::{Condition, ConditionalWrite};

/// Which generations of a view there are, and how the latest build stands. Everybody who reads or writes the view goes by
/// this one row, so that to change it is to switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generations {
    /// The view.
    pub projection: String,
    /// Counts the changes of this row; each is made only if nobody else made one meanwhile.
    pub revision: u64,
    /// The generation that readers see.
    pub live: u64,
    /// The one they saw before. It is kept up to date, so that going back loses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    /// Epoch seconds when readers were last sent to another generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_at: Option<i64>,
    /// The latest build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// A generation's way from nothing to a whole view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The generation that is built.
    pub generation: u64,
    /// How it stands.
    pub state: BuildState,
    /// Epoch seconds when it began.
    pub started_at: i64,
    /// Aggregates per second, at most.
    pub rate: u32,
    /// Items that the store held when it began, about.
    pub total: u64,
    /// Items that have been walked over.
    pub walked: u64,
    /// Aggregates that have been projected.
    pub projected: u64,
    /// Aggregates with an event that nobody can read.
    pub unreadable: u64,
    /// Where the walk over the store goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// How a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildState {
    /// Under way: what is appended meanwhile goes into it as well.
    Building,
    /// Whole, and readers were sent to it.
    Switched,
    /// Readers were sent back.
    RolledBack,
    /// Given up by a person.
    Cancelled,
    /// Walked to the end and not whole: readers stay where they are.
    Incomplete,
}

/// Why the row does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is a build under way.
    #[error("a build is under way")]
    Building,
    /// There is none.
    #[error("no build is under way")]
    NotBuilding,
    /// There is no generation to go back to.
    #[error("there is no generation to go back to")]
    NoPrevious,
    /// Some readers may not know yet where they were sent last.
    #[error("readers were sent to another generation moments ago")]
    TooSoon,
}

/// What a stretch of the walk came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Items.
    pub walked: u64,
    /// Aggregates that were projected.
    pub projected: u64,
    /// Aggregates with an event that nobody can read.
    pub unreadable: u64,
    /// Where it goes on; nowhere, at the end.
    pub position: Option<String>,
}

impl Row for Generations {
    const NAME: &'static str = "view's generations";
    const PARTITION_KEY: &'static str = "projection";
}

/// How old the row may be that a reader or writer goes by.
pub const WRITERS_LAG: SignedDuration = SignedDuration::from_secs(5);
/// A reader's may be older: the generation that it was sent to before is kept up to date for longer.
pub const READERS_LAG: SignedDuration = SignedDuration::from_secs(60);
/// How long the generation that readers saw before is kept up to date: a day, to notice that the new one is wrong.
pub const KEEP_PREVIOUS: SignedDuration = SignedDuration::from_hours(24);

impl Generations {
    /// A view that was never built anew.
    #[must_use]
    pub fn first(view: &str) -> Self {
        Self {
            projection: view.to_owned(),
            revision: 0,
            live: FIRST_GENERATION,
            previous: None,
            switched_at: None,
            build: None,
        }
    }

    /// The key of a view's row.
    #[must_use]
    pub fn key(view: &str) -> Key<Self> {
        Key::of(view)
    }

    /// The build that is under way.
    #[must_use]
    pub fn building(&self) -> Option<&Build> {
        self.build.as_ref().filter(|build| build.state == BuildState::Building)
    }

    /// The generations that are kept up to date, all together: so wherever readers are sent next, nothing there is older
    /// than what they have seen.
    #[must_use]
    pub fn maintained(&self) -> Vec<u64> {
        let building = self.building().map(|build| build.generation);
        building.into_iter().chain(self.previous).chain([self.live]).collect()
    }

    /// A new build begins, in the place that readers do not see. The generation that they saw before gives way.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn started(self, now: Timestamp, rate: u32, total: u64) -> Result<Self, Refused> {
        if self.building().is_some() {
            return Err(Refused::Building);
        }
        if self.switched_at.is_some_and(|at| now.as_second() < at.saturating_add(READERS_LAG.as_secs())) {
            return Err(Refused::TooSoon);
        }
        let newest = self.build.as_ref().map_or(self.live, |build| build.generation.max(self.live));
        let mut generation = newest.saturating_add(1);
        if place(generation) == place(self.live) {
            generation = generation.saturating_add(1);
        }
        let build = Build {
            generation,
            state: BuildState::Building,
            started_at: now.as_second(),
            rate,
            total,
            walked: 0,
            projected: 0,
            unreadable: 0,
            position: None,
        };
        Ok(Self { previous: None, build: Some(build), ..self })
    }

    /// The walk has come further. At its end the new generation goes live, if it is whole.
    ///
    /// # Errors
    /// [`Refused::NotBuilding`].
    pub fn advanced(self, now: Timestamp, stretch: Stretch) -> Result<Self, Refused> {
        let mut build = self.building().cloned().ok_or(Refused::NotBuilding)?;
        build.walked = build.walked.saturating_add(stretch.walked);
        build.projected = build.projected.saturating_add(stretch.projected);
        build.unreadable = build.unreadable.saturating_add(stretch.unreadable);
        build.position = stretch.position;
        if build.position.is_some() {
            return Ok(Self { build: Some(build), ..self });
        }
        if build.unreadable > 0 {
            build.state = BuildState::Incomplete;
            return Ok(Self { build: Some(build), ..self });
        }
        build.state = BuildState::Switched;
        let live = build.generation;
        Ok(Self { live, previous: Some(self.live), ..self.switched(now, build) })
    }

    /// The build is given up. Readers notice nothing.
    ///
    /// # Errors
    /// [`Refused::NotBuilding`].
    pub fn cancelled(self) -> Result<Self, Refused> {
        let build = self.building().cloned().ok_or(Refused::NotBuilding)?;
        Ok(Self { build: Some(Build { state: BuildState::Cancelled, ..build }), ..self })
    }

    /// Readers are sent back to the generation that they saw before; a second time, forth again.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn rolled_back(self, now: Timestamp) -> Result<Self, Refused> {
        if self.building().is_some() {
            return Err(Refused::Building);
        }
        let (Some(previous), Some(mut build)) = (self.previous, self.build.clone()) else {
            return Err(Refused::NoPrevious);
        };
        let forth = build.state == BuildState::RolledBack;
        build.state = if forth { BuildState::Switched } else { BuildState::RolledBack };
        Ok(Self { live: previous, previous: Some(self.live), ..self.switched(now, build) })
    }

    fn switched(self, now: Timestamp, build: Build) -> Self {
        Self { switched_at: Some(now.as_second()), build: Some(build), ..self }
    }

    /// The generation that readers saw before is given up, if its time is over.
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Self {
        let until = self.switched_at.map_or(0, |at| at.saturating_add(KEEP_PREVIOUS.as_secs()));
        let over = self.building().is_none() && now.as_second() >= until;
        Self { previous: self.previous.filter(|_| !over), ..self }
    }

    /// As it stands once this change of it is written.
    pub(super) fn revised(self) -> Self {
        Self { revision: self.revision.saturating_add(1), ..self }
    }

    /// The row in its new form, if nobody else has changed it since it was `seen`.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn replacing(
        &self,
        table: &Table<Self>,
        seen: Option<&Self>,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let revision = seen.map_or(0, |seen| seen.revision);
        let write = table.put(&Self { revision, ..self.clone() }.revised())?;
        Ok(match seen {
            Some(_) => write.only_if(Condition::equals("revision", revision)),
            None => write.if_absent(),
        })
    }
}

/// A view's row as somebody knows it who reads or writes the view: read again when it is too old.
pub struct Current {
    rows: Rows,
    table: Table<Generations>,
    view: &'static str,
    ambient: Ambient,
    lag: SignedDuration,
    known: Mutex<Option<(Timestamp, Generations)>>,
}

impl Current {
    /// For somebody who may lag so far behind: [`READERS_LAG`] or [`WRITERS_LAG`].
    #[must_use]
    pub fn new(
        dynamodb: Client,
        table: Table<Generations>,
        view: &'static str,
        ambient: Ambient,
        lag: SignedDuration,
    ) -> Self {
        Self { rows: Rows::new(dynamodb), table, view, ambient, lag, known: Mutex::default() }
    }

    /// The view.
    #[must_use]
    pub fn view(&self) -> &'static str {
        self.view
    }

    /// The row, no older than the lag.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; permanent where the row is unreadable.
    pub async fn get(&self) -> Result<Generations, Failure> {
        let now = self.ambient.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, generations)) =
            known.filter(|(at, _)| (*at..at.saturating_add(self.lag).unwrap_or(*at)).contains(&now))
        {
            return Ok(generations);
        }
        let read = self.rows.read(&self.table, Generations::key(self.view)).await?;
        let read = read.unwrap_or_else(|| Generations::first(self.view));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, read.clone()));
        Ok(read)
    }

    /// Reads the row again, however young it is.
    ///
    /// # Errors
    /// As [`Current::get`].
    pub async fn refreshed(&self) -> Result<Generations, Failure> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.get().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn end() -> Stretch {
        Stretch { walked: 3, projected: 1, ..Stretch::default() }
    }

    fn built(generations: Generations, second: i64) -> Generations {
        generations.started(at(second), 100, 3).unwrap().advanced(at(second), end()).unwrap()
    }

    #[test]
    fn a_build_goes_live_at_the_end_of_its_walk_and_not_before() {
        let building = Generations::first("doors").started(at(0), 100, 6).unwrap();
        assert_eq!((building.live, building.maintained()), (1, vec![2, 1]));
        let more = Stretch { position: Some("p".into()), ..end() };
        let building = building.advanced(at(1), more).unwrap();
        assert_eq!((building.live, building.building().unwrap().walked), (1, 3));
        let switched = building.advanced(at(2), end()).unwrap();
        assert_eq!((switched.live, switched.previous, switched.switched_at), (2, Some(1), Some(2)));
        assert_eq!(switched.build.as_ref().unwrap().state, BuildState::Switched);
        assert_eq!(switched.maintained(), [1, 2]);
    }

    #[test]
    fn what_lacks_an_aggregate_never_goes_live() {
        let building = Generations::first("doors").started(at(0), 100, 3).unwrap();
        let unreadable = Stretch { unreadable: 1, ..end() };
        let ended = building.advanced(at(1), unreadable).unwrap();
        assert_eq!((ended.live, ended.build.as_ref().unwrap().state), (1, BuildState::Incomplete));
        assert_eq!(ended.maintained(), [1]);
    }

    #[test]
    fn readers_are_sent_back_and_forth() {
        let switched = built(Generations::first("doors"), 0);
        let back = switched.rolled_back(at(10)).unwrap();
        assert_eq!((back.live, back.previous), (1, Some(2)));
        let forth = back.rolled_back(at(20)).unwrap();
        assert_eq!((forth.live, forth.previous), (2, Some(1)));
        assert_eq!(Generations::first("doors").rolled_back(at(0)), Err(Refused::NoPrevious));
    }

    #[test]
    fn a_build_never_takes_the_place_that_readers_see_nor_an_old_number() {
        let mut generations = Generations::first("doors");
        let mut numbers = vec![generations.live];
        for round in 1..6 {
            generations = generations.started(at(round * 1_000), 1, 1).unwrap();
            let build = generations.building().unwrap().generation;
            assert_ne!(place(build), place(generations.live));
            assert!(numbers.iter().all(|number| *number < build), "{numbers:?}, {build}");
            numbers.push(build);
            generations = match round % 3 {
                0 => generations.cancelled().unwrap(),
                1 => generations.advanced(at(round * 1_000), end()).unwrap(),
                _ => {
                    let switched = generations.advanced(at(round * 1_000), end()).unwrap();
                    switched.rolled_back(at(round * 1_000)).unwrap()
                }
            };
        }
    }

    #[test]
    fn one_build_at_a_time_and_none_while_readers_may_be_elsewhere() {
        let building = Generations::first("doors").started(at(0), 1, 1).unwrap();
        assert_eq!(building.clone().started(at(1), 1, 1), Err(Refused::Building));
        assert_eq!(building.clone().rolled_back(at(1)), Err(Refused::Building));
        let switched = building.advanced(at(1), end()).unwrap();
        assert_eq!(switched.clone().started(at(60), 1, 1), Err(Refused::TooSoon));
        assert_eq!(switched.clone().cancelled(), Err(Refused::NotBuilding));
        assert_eq!(switched.clone().advanced(at(60), end()), Err(Refused::NotBuilding));
        assert!(switched.started(at(61), 1, 1).is_ok());
    }

    #[test]
    fn the_generation_before_is_kept_for_a_day() {
        let switched = built(Generations::first("doors"), 0);
        assert_eq!(switched.clone().settled(at(86_399)).previous, Some(1));
        assert_eq!(switched.settled(at(86_400)).previous, None);
    }
}
