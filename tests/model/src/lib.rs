//! One order's rows and messages, explored completely; and the circuit breaker's row ([`breaker`]).
//!
//! The writes, their conditions and the deciders are the shop's own ([`rows`]); what a handler does between two calls is
//! told again in [`handlers`]. Messages are redelivered for ever in any order, handlers die anywhere, the gateway loses
//! replies, saves errors and forgets keys ([`gateway`]), and one message may be lost for good. Every rule of the saga
//! can be removed ([`rules`]), and each removal breaks a promise. What holds in every state is checked by `stateright`;
//! that a settled end stays reachable from every state, on the graph ([`graph`]).
//!
//! ```sh
//! cargo xtask model                  # figures, then the story of every rule's removal
//! cargo xtask model --json
//! ```

pub mod bounds;
pub mod breaker;
pub mod gateway;
pub mod graph;
pub mod handlers;
pub mod message;
pub mod promises;
pub mod rows;
pub mod rules;
pub mod saga;
mod story;
pub mod subject;

use bounds::Bounds;

const WHOLE: Bounds = Bounds {
    name: "whole",
    help: "Everything that may happen to one order.",
    pays: 1,
    refunds: 1,
    releases: true,
    contended: false,
    losses: true,
    forgetful: true,
};

/// The configurations, each explored completely.
pub const CONFIGURATIONS: &[Bounds] = &[
    Bounds { name: "a message lost", help: "One message is lost for good.", forgetful: false, ..WHOLE },
    Bounds { name: "keys forgotten", help: "The gateway forgets idempotency keys.", losses: false, ..WHOLE },
    Bounds {
        name: "contended stock",
        help: "Another order takes the last piece, or puts it back.",
        contended: true,
        losses: false,
        forgetful: false,
        ..WHOLE
    },
    Bounds {
        name: "two payments at once",
        help: "Two runs of process-payment at once; the gateway forgets keys.",
        pays: 2,
        releases: false,
        losses: false,
        ..WHOLE
    },
    Bounds {
        name: "two refunds at once",
        help: "Two runs of refund-payment at once; the gateway forgets keys.",
        refunds: 2,
        releases: false,
        losses: false,
        ..WHOLE
    },
];

/// The configurations that look for what goes wrong without a rule, smallest first.
const SMALL: [Bounds; 5] = [
    Bounds { name: "alone", releases: false, losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "slow release", losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "contended stock", contended: true, losses: false, forgetful: false, ..WHOLE },
    Bounds { name: "a message lost", releases: false, forgetful: false, ..WHOLE },
    Bounds { name: "two payments at once", pays: 2, releases: false, losses: false, ..WHOLE },
];
