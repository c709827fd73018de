//! One atomic transition per event: guard, state and outbox in a single `TransactWriteItems`.

use std::convert::Infallible;

use crate::event::Emission;
use crate::row::Row;
use crate::write::{Action, Condition, ConditionalWrite, Write};

/// The most actions one transaction may hold.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html#limits-api>
pub const MAX_ACTIONS: usize = 100;

/// A state change that takes effect once and cannot take effect without announcing itself.
///
/// It starts from its guard, so a transition without one does not compile. The guard is the row whose condition lets
/// it happen once, usually the state row whose identity already says so. `G` is the kind of that row, `R` names
/// the business conditions that may refuse it.
#[derive(Debug)]
pub struct Transition<G, R = Infallible> {
    pub(crate) guard: ConditionalWrite<G>,
    pub(crate) requirements: Vec<(Untyped, R)>,
    pub(crate) writes: Vec<Untyped>,
    pub(crate) emissions: Vec<Emission>,
}

/// A write whose row type no longer matters.
#[derive(Debug)]
pub(crate) struct Untyped {
    pub(crate) table: String,
    pub(crate) action: crate::write::Action,
    pub(crate) condition: Option<crate::write::Condition>,
}

impl<T> From<Write<T>> for Untyped {
    fn from(write: Write<T>) -> Self {
        Self { table: write.table, action: write.action, condition: None }
    }
}

impl<T> From<ConditionalWrite<T>> for Untyped {
    fn from(ConditionalWrite { write, condition }: ConditionalWrite<T>) -> Self {
        Self { table: write.table, action: write.action, condition: Some(condition) }
    }
}

impl<G: Row> Transition<G> {
    /// Starts from the guard.
    #[must_use]
    pub fn guarded_by(guard: ConditionalWrite<G>) -> Self {
        Self { guard, requirements: Vec::new(), writes: Vec::new(), emissions: Vec::new() }
    }

    /// Adds writes whose conditions are business rules; where one does not hold, the outcome is its rejection.
    #[must_use]
    pub fn requiring<T, R>(
        self,
        requirements: impl IntoIterator<Item = (ConditionalWrite<T>, R)>,
    ) -> Transition<G, R> {
        let requirements =
            requirements.into_iter().map(|(write, rejection)| (write.into(), rejection)).collect();
        let Self { guard, writes, emissions, .. } = self;
        Transition { guard, requirements, writes, emissions }
    }
}

impl<G: Row, R> Transition<G, R> {
    /// Adds a write that the guard alone makes safe.
    #[must_use]
    pub fn also<T>(mut self, write: Write<T>) -> Self {
        self.writes.push(write.into());
        self
    }

    /// Adds an event to the outbox.
    #[must_use]
    pub fn emit(mut self, emission: Emission) -> Self {
        self.emissions.push(emission);
        self
    }

    /// Its writes in the order of the outcome's reasons, the guard first: physical table, action, and condition where
    /// there is one. For whoever executes them elsewhere than in DynamoDB; the outbox rows are not among them.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Action, Option<&Condition>)> {
        let guard = (self.guard.write.table.as_str(), &self.guard.write.action, Some(&self.guard.condition));
        let required = self.requirements.iter().map(|(write, _)| write);
        let rest = required.chain(&self.writes);
        let rest = rest.map(|write| (write.table.as_str(), &write.action, write.condition.as_ref()));
        std::iter::once(guard).chain(rest)
    }
}

/// What became of a transition.
#[derive(Debug)]
pub enum Outcome<G, R = Infallible> {
    /// It took effect, now.
    Applied,
    /// The guard refused: it took effect before, or the row has moved on. Holds the row that refused, or `None` where
    /// there is none.
    Duplicate(Option<G>),
    /// These business conditions, one at least, did not hold; nothing changed.
    Rejected(R, Vec<R>),
}

/// What became of a single conditional write.
#[derive(Debug)]
pub enum Written<G> {
    /// It took effect, now. Holds the row as it was before, or `None` where there was none.
    Applied(Option<G>),
    /// The condition did not hold. Holds the row that refused, or `None` where there is none.
    Refused(Option<G>),
}
