//! What is explored: each model as it is, and each without one of its rules.

use std::time::Instant;

use serde_json::{Value, json};

use crate::bounds::Bounds;
use crate::breaker::{self, Breaker};
use crate::graph::{Explored, Progress, Violation, explore_telling};
use crate::rules::Rule;
use crate::saga::Saga;
use crate::{CONFIGURATIONS, SMALL};

/// The configuration of the circuit breaker's model.
const ENVIRONMENTS: &str = "three environments";

/// One exploration, or one after the other until something is found.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// An order in one of its configurations.
    Order(&'static Bounds),
    /// The circuit breaker of three environments.
    Breaker,
    /// An order without a rule, in growing configurations.
    OrderWithout(Rule),
    /// The circuit breaker without a rule.
    BreakerWithout(breaker::Rule),
}

/// What an exploration came to.
pub struct Found {
    /// The configuration that it ended with.
    pub configuration: &'static str,
    /// States, steps, and what was broken.
    pub explored: Explored,
    /// How long it took.
    pub seconds: f64,
}

impl Subject {
    /// All of them: what must hold comes first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let whole = CONFIGURATIONS.iter().map(Self::Order).chain([Self::Breaker]);
        let order = Rule::ALL.iter().map(|rule| Self::OrderWithout(*rule));
        let breaker = breaker::Rule::ALL.iter().map(|rule| Self::BreakerWithout(*rule));
        whole.chain(order).chain(breaker).collect()
    }

    /// Whether it is a model as it is: nothing may be broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Order(_) | Self::Breaker)
    }

    /// `order` or `breaker`.
    #[must_use]
    pub fn model(&self) -> &'static str {
        match self {
            Self::Order(_) | Self::OrderWithout(_) => "order",
            Self::Breaker | Self::BreakerWithout(_) => "breaker",
        }
    }

    /// The configuration's name, or the rule's.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Order(bounds) => bounds.name.to_owned(),
            Self::Breaker => ENVIRONMENTS.to_owned(),
            Self::OrderWithout(rule) => format!("{rule:?}"),
            Self::BreakerWithout(rule) => format!("{rule:?}"),
        }
    }

    /// What the rule demands that is left out; of a whole model, what is special about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Order(bounds) => bounds.help,
            Self::Breaker => "Looks come late, calls take any time and fail, environments die anywhere.",
            Self::OrderWithout(rule) => rule.help(),
            Self::BreakerWithout(rule) => rule.help(),
        }
    }

    /// Explores it: a whole model completely, another until a promise is broken.
    ///
    /// # Errors
    /// Where the rows cannot be worked out.
    pub fn explore(&self, progress: Progress<'_>) -> anyhow::Result<Found> {
        let begun = Instant::now();
        let (configuration, explored) = match self {
            Self::Order(bounds) => (bounds.name, explore_telling(&Saga::new(**bounds, None)?, progress)),
            Self::Breaker => (ENVIRONMENTS, explore_telling(&Breaker::new(None), progress)),
            Self::BreakerWithout(rule) => {
                (ENVIRONMENTS, explore_telling(&Breaker::new(Some(*rule)), progress))
            }
            Self::OrderWithout(rule) => {
                let [first, others @ ..] = &SMALL;
                let explore = |bounds: &'static Bounds| -> anyhow::Result<_> {
                    Ok((bounds.name, explore_telling(&Saga::new(*bounds, Some(*rule))?, progress)))
                };
                let mut found = explore(first)?;
                for bounds in others {
                    if found.1.violation.is_some() {
                        break;
                    }
                    found = explore(bounds)?;
                }
                found
            }
        };
        Ok(Found { configuration, explored, seconds: begun.elapsed().as_secs_f64() })
    }

    /// Whether what was found is as it must be: nothing broken in a whole model, something without a rule.
    #[must_use]
    pub fn is_as_it_must_be(&self, found: &Found) -> bool {
        self.is_whole() == found.explored.violation.is_none()
    }

    /// What was found, as one JSON object.
    #[must_use]
    pub fn json(&self, found: &Found) -> Value {
        let Found { configuration, explored: Explored { states, steps, depth, violation }, seconds } = found;
        let broken = violation
            .as_ref()
            .map(|Violation { promise, story }| json!({ "promise": promise, "story": story }));
        let (model, name) = (self.model(), self.name());
        if self.is_whole() {
            json!({
                "model": model, "name": name, "states": states, "steps": steps, "depth": depth,
                "seconds": seconds, "violation": broken,
            })
        } else {
            json!({
                "model": model, "rule": name, "demands": self.help(), "caught": broken.is_some(),
                "configuration": configuration, "violation": broken,
            })
        }
    }
}
