//! The circuit breaker, explored completely.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use saga_model::breaker::{Breaker, Rule};
use saga_model::graph::{check, explore};

#[test]
fn every_promise_holds_whatever_three_environments_do_and_the_circuit_can_always_close() {
    let explored = explore(&Breaker::new(None));
    if let Some(broken) = explored.violation {
        panic!("{}\n{}", broken.promise, broken.story.join("\n"));
    }
    let (states, broken) = check(Breaker::new(None));
    assert_eq!((states, broken), (explored.states, Vec::new()));
    println!("{states} states, {} steps, depth {}", explored.steps, explored.depth);
}

#[test]
fn no_rule_can_be_left_out() {
    for rule in Rule::ALL {
        let explored = explore(&Breaker::new(Some(*rule)));
        let Some(broken) = explored.violation else { panic!("{rule:?} is not needed") };
        println!("without {rule:?}: {}\n  {}", broken.promise, broken.story.join("\n  "));
    }
}
