//! One order, explored completely.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use saga_model::CONFIGURATIONS;
use saga_model::graph::{check, explore};
use saga_model::rules::Rule;
use saga_model::saga::Saga;
use saga_model::subject::Subject;

#[test]
fn every_promise_holds_in_every_state_and_a_settled_end_stays_reachable() {
    for bounds in CONFIGURATIONS {
        let explored = explore(&Saga::new(*bounds, None).unwrap());
        if let Some(broken) = explored.violation {
            panic!("{}: {}\n{}", bounds.name, broken.promise, broken.story.join("\n"));
        }
        let (states, broken) = check(Saga::new(*bounds, None).unwrap());
        assert_eq!(broken, Vec::<&str>::new(), "{}", bounds.name);
        assert_eq!(states, explored.states, "{}", bounds.name);
    }
}

#[test]
fn no_rule_can_be_left_out() {
    for rule in Rule::ALL {
        let found = Subject::OrderWithout(*rule).explore(&|_| {}).unwrap();
        assert!(found.explored.violation.is_some(), "{rule:?} is not needed");
    }
}
