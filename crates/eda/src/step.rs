//! Row state machines: a step names the states it may start from and the state it ends in.
//!
//! The condition of the write is generated from the step, and the domain's deciders and any model of the system ask
//! the same value, so the rule that is tested is the rule that DynamoDB enforces.

use crate::row::IntoValue;
use crate::write::{Condition, STATUS};

/// The states of one kind of row.
pub trait State: Copy + Eq + 'static {
    /// The value of the attribute `status`.
    fn name(self) -> &'static str;
}

/// Where a row stands: in a state, or not there at all (`None`).
pub type Standing<S> = Option<S>;

/// A step from one of several standings to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<S: 'static> {
    from: &'static [Standing<S>],
    to: S,
}

impl<S: State> Step<S> {
    /// From any of `from` to `to`.
    #[must_use]
    pub const fn new(from: &'static [Standing<S>], to: S) -> Self {
        Self { from, to }
    }

    /// Whether it may start here.
    #[must_use]
    pub fn allowed(&self, standing: Standing<S>) -> bool {
        self.from.contains(&standing)
    }

    /// Where it ends.
    #[must_use]
    pub const fn to(&self) -> S {
        self.to
    }

    /// Where it may start.
    #[must_use]
    pub const fn from(&self) -> &'static [Standing<S>] {
        self.from
    }

    pub(crate) fn condition(&self, partition_key: &str) -> Condition {
        condition(self.from, partition_key)
    }
}

/// The row stands in one of these.
pub(crate) fn condition<S: State>(from: &[Standing<S>], partition_key: &str) -> Condition {
    let mut one_of: Vec<_> = from
        .iter()
        .map(|standing| match standing {
            None => Condition::absent(partition_key),
            Some(state) => Condition::equals(STATUS, state.name().into_value()),
        })
        .collect();
    match (one_of.len(), one_of.pop()) {
        (1, Some(only)) => only,
        (_, last) => Condition::Any(one_of.into_iter().chain(last).collect()),
    }
}

/// Declares the states of a row: an enum whose names are the values of its `status` attribute.
#[macro_export]
macro_rules! states {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$state_meta:meta])* $state:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name { $($(#[$state_meta])* #[serde(rename = $text)] $state),+ }

        impl $crate::step::State for $name {
            fn name(self) -> &'static str {
                match self { $(Self::$state => $text),+ }
            }
        }
    };
}
