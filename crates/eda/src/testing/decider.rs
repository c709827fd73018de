//! Deciders, tested as they are told: given what happened, when something is asked, then this happens.
//!
//! ```
//! use eda::testing::decider::{Decider, given};
//!
//! #[derive(Debug, Default)]
//! struct Door;
//! #[derive(Debug, PartialEq)]
//! enum Event { Opened, Closed }
//!
//! impl Decider for Door {
//!     type Command = Event;
//!     type State = bool;
//!     type Event = Event;
//!     type Rejection = &'static str;
//!
//!     fn decide(open: bool, wanted: Event) -> Result<Event, &'static str> {
//!         if open == (wanted == Event::Opened) { Err("it is so already") } else { Ok(wanted) }
//!     }
//!
//!     fn evolve(_open: bool, event: &Event) -> bool {
//!         *event == Event::Opened
//!     }
//! }
//!
//! given::<Door>([Event::Opened]).when(Event::Closed).then(Event::Closed);
//! given::<Door>([]).when(Event::Closed).then_rejected("it is so already");
//! given::<Door>([]).when(Event::Closed).then_nothing_happened();
//! ```

use std::fmt::Debug;
use std::marker::PhantomData;

use crate::step::{Standing, State, Step};

/// Pure decisions: what follows from a command in a state, and which state follows from an event.
pub trait Decider {
    /// What can be asked.
    type Command;
    /// What decisions need to know; the default is where everything starts.
    type State: Default;
    /// What can happen.
    type Event: Debug + PartialEq;
    /// Why nothing happens.
    type Rejection: Debug + PartialEq;

    /// Decides.
    ///
    /// # Errors
    /// Why nothing happens.
    fn decide(state: Self::State, command: Self::Command) -> Result<Self::Event, Self::Rejection>;

    /// The state after an event.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// The state after these events.
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self::State
    where
        Self::Event: 'a,
    {
        events.into_iter().fold(Self::State::default(), Self::evolve)
    }
}

/// What happened before.
#[must_use = "nothing is tested before `then`"]
pub struct Given<D: Decider> {
    state: D::State,
}

/// What was decided.
#[must_use = "nothing is tested before `then`"]
pub struct When<D: Decider> {
    decision: Result<D::Event, D::Rejection>,
}

/// Starts with what happened before.
pub fn given<D: Decider>(history: impl IntoIterator<Item = D::Event>) -> Given<D> {
    let state = history.into_iter().fold(D::State::default(), |state, event| D::evolve(state, &event));
    Given { state }
}

impl<D: Decider> Given<D> {
    /// Asks for something.
    pub fn when(self, command: D::Command) -> When<D> {
        When { decision: D::decide(self.state, command) }
    }
}

#[allow(clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]
impl<D: Decider> When<D> {
    /// This happens.
    #[track_caller]
    pub fn then(self, event: D::Event) {
        assert_eq!(self.decision, Ok(event), "left: what was decided, right: what was expected");
    }

    /// It is rejected, for this reason.
    #[track_caller]
    pub fn then_rejected(self, rejection: D::Rejection) {
        assert_eq!(self.decision, Err(rejection), "left: what was decided, right: what was expected");
    }

    /// It is rejected, whatever the reason.
    #[track_caller]
    pub fn then_nothing_happened(self) {
        if let Ok(event) = self.decision {
            panic!("{event:?} happened");
        }
    }
}

/// The state machine of a row with states `S` as a decider: commands and events are its steps.
pub struct Steps<S>(PhantomData<S>);

impl<S: State + Debug> Decider for Steps<S> {
    type Command = Step<S>;
    type State = Standing<S>;
    type Event = Step<S>;
    type Rejection = Standing<S>;

    fn decide(standing: Standing<S>, step: Step<S>) -> Result<Step<S>, Standing<S>> {
        if step.allowed(standing) { Ok(step) } else { Err(standing) }
    }

    fn evolve(_standing: Standing<S>, step: &Step<S>) -> Standing<S> {
        Some(step.to())
    }
}
