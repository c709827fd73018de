//! One order's rows and messages, explored completely.
//!
//! The writes, their conditions and the deciders are the shop's own ([`rows`]); what a handler does between two calls is
//! told again in [`saga`]. Messages are redelivered for ever in any order, handlers die anywhere, the gateway loses
//! replies, saves errors and forgets keys ([`gateway`]), and one message may be lost for good. Every rule of the saga
//! can be removed ([`rules`]), and each removal breaks a promise. What holds in every state is checked by `stateright`;
//! that a settled end stays reachable from every state, on the graph ([`graph`]).
//!
//! ```sh
//! cargo run -p saga-model            # figures, then the story of every rule's removal
//! cargo run -p saga-model -- --json
//! ```

pub mod bounds;
pub mod gateway;
pub mod graph;
pub mod promises;
pub mod rows;
pub mod rules;
pub mod saga;
mod story;

use bounds::Bounds;

const WHOLE: Bounds = Bounds {
    name: "whole",
    pays: 1,
    refunds: 1,
    releases: true,
    contended: false,
    losses: true,
    forgetful: true,
};

/// The configurations, each explored completely.
pub const CONFIGURATIONS: &[Bounds] = &[
    Bounds { name: "a message lost", forgetful: false, ..WHOLE },
    Bounds { name: "keys forgotten", losses: false, ..WHOLE },
    Bounds { name: "contended stock", contended: true, losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "two payments at once", pays: 2, releases: false, losses: false, ..WHOLE },
    Bounds { name: "two refunds at once", refunds: 2, releases: false, losses: false, ..WHOLE },
];

/// The configurations that look for what goes wrong without a rule, smallest first.
const SMALL: &[Bounds] = &[
    Bounds { name: "alone", releases: false, losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "slow release", losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "contended stock", contended: true, losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "a message lost", releases: false, forgetful: false, ..WHOLE },
    Bounds { name: "two payments at once", pays: 2, releases: false, losses: false, ..WHOLE },
];

/// What goes wrong without this rule, and in which configuration; `None` if nothing does.
///
/// # Errors
/// Where the rows cannot be worked out.
pub fn counterexample(rule: rules::Rule) -> anyhow::Result<Option<(&'static str, graph::Violation)>> {
    for bounds in SMALL {
        let explored = graph::explore(&saga::Saga::new(*bounds, Some(rule))?);
        if let Some(violation) = explored.violation {
            return Ok(Some((bounds.name, violation)));
        }
    }
    Ok(None)
}
