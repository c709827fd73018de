//! The simulation's own suite: it holds for a fixed number of seeds, it is reproducible, and it can fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use simulation::campaign::{measure, planted, random, systematic};
use simulation::planted::Planted;
use simulation::{KillPoint, Options, Simulator, Story};

fn simulator() -> Simulator {
    Simulator::of_workspace().unwrap()
}

fn quiet(_: u64, _: u64) {}

/// Every failure with its story, and the command that shows it again.
fn assert_unbroken(report: &simulation::campaign::Report) {
    let Some(failure) = report.failures.first() else { return };
    panic!("{}\n{:#?}\nagain: {}", failure.trace, failure.violations, failure.command());
}

#[test]
fn no_promise_is_broken_whatever_the_scheduler_does() {
    let report = random(&simulator(), &Options::new(1, 4), 200, &quiet).unwrap();
    assert_unbroken(&report);
    assert!(report.faults.len() > 20, "most kinds of faults strike: {:?}", report.faults);
}

#[test]
fn a_seed_gives_the_same_story_to_the_byte() {
    for seed in [3, 7, 20] {
        let options = Options { traced: true, ..Options::new(seed, 4) };
        let (one, other) = (simulator().run(&options).unwrap(), simulator().run(&options).unwrap());
        assert!(!one.trace.is_empty());
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}

#[test]
fn where_all_goes_well_each_order_ends_as_its_story_says() {
    for story in Story::ALL {
        let outcome = simulator().run(&Options::calm(1, 3, story)).unwrap();
        assert_eq!(outcome.violations, [], "{story:?}");
    }
}

#[test]
fn a_function_may_die_before_and_after_every_call_of_a_standard_order() {
    let report = systematic(&simulator(), &Options::new(1, 1), &[Story::Standard], &quiet).unwrap();
    assert!(report.seeds > 50, "every call is tried: {}", report.seeds);
    assert_unbroken(&report);
}

#[test]
fn a_function_may_die_before_and_after_every_call_of_each_compensation() {
    let stories = [Story::OutOfStock, Story::Declined, Story::NotChargeable, Story::Unserved];
    let report = systematic(&simulator(), &Options::new(1, 1), &stories, &quiet).unwrap();
    assert_unbroken(&report);
}

#[test]
fn mistakes_made_on_purpose_are_noticed() {
    for mistake in [Planted::IgnoresFailed, Planted::NoPivot, Planted::SweeperOff, Planted::ExpiringRows] {
        let caught = planted(&simulator(), &Options::new(1, 6), mistake, 60).unwrap();
        assert!(caught.seed.is_some(), "nobody noticed {mistake}");
    }
}

#[test]
fn what_the_template_says_is_what_runs() {
    // The function dies before it has reserved: the message comes again when it is visible again.
    let dies =
        Options { kill: Some(KillPoint { call: 6, after: false }), ..Options::calm(1, 1, Story::Standard) };
    let lasts = |visibility| {
        let options =
            Options { parameters: vec![("VisibilityTimeoutSeconds".into(), visibility)], ..dies.clone() };
        simulator().run(&options).unwrap().elapsed.as_secs()
    };
    let (short, long) = (lasts(100), lasts(1_000));
    assert!(long >= short + 800, "{short} s and {long} s");
}

#[test]
fn a_standard_order_of_two_products_costs_at_most_55_write_units() {
    let cost = measure(&simulator()).unwrap();
    assert!((40.0..=55.0).contains(&cost.write_units), "{cost:?}");
}
