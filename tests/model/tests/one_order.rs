//! One order, explored completely.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use saga_model::graph::explore;
use saga_model::rules::Rule;
use saga_model::saga::Saga;
use saga_model::{CONFIGURATIONS, counterexample};

#[test]
fn every_promise_holds_in_every_state_and_a_settled_end_stays_reachable() {
    for bounds in CONFIGURATIONS {
        let explored = explore(&Saga::new(*bounds, None).unwrap());
        if let Some(broken) = explored.violation {
            panic!("{}: {}\n{}", bounds.name, broken.promise, broken.story.join("\n"));
        }
        assert!(explored.states > 1_000, "{}: {} states", bounds.name, explored.states);
    }
}

#[test]
fn no_rule_can_be_left_out() {
    for rule in Rule::ALL {
        assert!(counterexample(*rule).unwrap().is_some(), "{rule:?} is not needed");
    }
}
