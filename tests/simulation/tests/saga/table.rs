//! The orchestrated saga, task by task: whatever fails, and whatever it had done by then, exactly what may have happened is
//! undone.

use simulation::campaign::planted;
use simulation::execution::Status;
use simulation::{Kind, LostTask, Options, Planted, Story, Worth};

use super::simulator;

/// How an order ends: head, reservation, payment, shipment; whether it was charged, and refunded; the execution.
type Expected = (&'static str, &'static str, &'static str, &'static str, bool, bool, Status);

fn cancelled(charged: bool) -> Expected {
    ("cancelled", "released", "undone", "closed", charged, charged, Status::Succeeded)
}

fn confirmed(execution: Status) -> Expected {
    ("confirmed", "reserved", "charged", "shipped", true, false, execution)
}

fn assert_ends(story: Story, lost: &[LostTask], expected: &Expected) {
    let what = format!("{story:?} {lost:?}");
    let options = Options { unheard: lost.to_vec(), ..Options::calm(1, 2, story, Worth::High) };
    let outcome = simulator().run(&Options { traced: true, ..options }).unwrap();
    assert_eq!(outcome.violations, [], "{what}\n{}", outcome.trace);
    assert_eq!(outcome.ends.len(), 2, "{what}");
    for end in outcome.ends {
        let (order, reservation, payment, shipment) =
            (end.order.as_str(), end.reservation.as_str(), end.payment.as_str(), end.shipment.as_str());
        let refunded = end.refunded > 0;
        assert!(!refunded || end.refunded == end.charged, "{what}: {end:?}");
        let found =
            (order, reservation, payment, shipment, end.charged > 0, refunded, end.execution.unwrap());
        assert_eq!(found, *expected, "{what}\n{}", outcome.trace);
    }
}

fn lost(state: &str, done: bool) -> LostTask {
    LostTask { state: state.to_owned(), done }
}

#[test]
fn where_all_goes_well_an_order_is_confirmed() {
    assert_ends(Story::Standard, &[], &confirmed(Status::Succeeded));
}

#[test]
fn a_refusal_undoes_what_was_done_before_it_and_nothing_else() {
    for story in [Story::OutOfStock, Story::Declined, Story::NotChargeable, Story::Unserved] {
        assert_ends(story, &[], &cancelled(false));
    }
}

#[test]
fn a_task_that_never_ran_is_not_undone_and_all_before_it_are() {
    let checks =
        ["ValidateInventory", "CheckCredit", "CalculateShipping", "Join"].map(|check| (check, false));
    for (state, charged) in checks.into_iter().chain([("Reserve", false), ("Pay", false), ("Ship", true)]) {
        assert_ends(Story::Standard, &[lost(state, false)], &cancelled(charged));
    }
}

#[test]
fn a_task_of_which_nobody_heard_is_undone_as_far_as_it_went() {
    for (state, charged) in [("CheckCredit", false), ("Join", false), ("Reserve", false), ("Pay", true)] {
        assert_ends(Story::Standard, &[lost(state, true)], &cancelled(charged));
    }
}

#[test]
fn an_order_that_shipped_though_nobody_heard_of_it_is_confirmed_and_nothing_is_undone() {
    assert_ends(Story::Standard, &[lost("Ship", true)], &confirmed(Status::Succeeded));
}

#[test]
fn an_order_that_could_not_be_confirmed_is_never_compensated_but_pushed_on() {
    let failed = |error: &str| Status::Failed(error.to_owned());
    for done in [false, true] {
        let options = Options {
            unheard: vec![lost("Confirm", done)],
            ..Options::calm(1, 1, Story::Standard, Worth::High)
        };
        let outcome = simulator().run(&options).unwrap();
        assert_eq!(outcome.violations, []);
        let end = &outcome.ends[0];
        assert_eq!((end.order.as_str(), end.shipment.as_str(), end.refunded), ("confirmed", "shipped", 0));
        assert_ne!(end.execution, Some(Status::Succeeded));
        assert_ne!(end.execution, Some(failed("CompensationFailed")));
    }
}

#[test]
fn a_compensation_that_keeps_failing_is_for_a_person_and_the_order_ends_all_the_same() {
    for state in ["Close", "Refund", "Release", "Cancel"] {
        for done in [false, true] {
            let failed = Status::Failed("CompensationFailed".to_owned());
            let (order, reservation, payment, shipment, charged, refunded, _) = cancelled(true);
            let expected = (order, reservation, payment, shipment, charged, refunded, failed);
            // Paid, and never shipped: there is something to undo at every step.
            assert_ends(Story::Standard, &[lost("Ship", false), lost(state, done)], &expected);
        }
    }
}

#[test]
fn undoing_without_asking_the_pivot_or_whatever_it_says_is_noticed() {
    for mistake in [Planted::CatchWithoutClose, Planted::AlwaysRefunds] {
        // It has shipped, and nobody heard of it.
        let options = Options {
            unheard: vec![lost("Ship", true)],
            planted: Some(mistake),
            ..Options::calm(1, 1, Story::Standard, Worth::High)
        };
        assert_ne!(simulator().run(&options).unwrap().violations, [], "nobody noticed {mistake}");
    }
}

#[test]
fn a_saga_that_is_started_under_no_name_is_noticed() {
    let faults = vec![Kind::Duplicate, Kind::Reorder, Kind::KillAfter];
    let options = Options { faults, worth: Some(Worth::High), ..Options::new(1, 4) };
    let caught = planted(&simulator(), &options, Planted::StartWithoutName, 20).unwrap();
    assert_eq!(caught.violation.unwrap().promise, "an order has one execution");
}

#[test]
fn an_order_of_high_value_takes_as_many_transitions_as_the_readme_says() {
    let orders = 3;
    let outcome = simulator().run(&Options::calm(1, orders, Story::Standard, Worth::High)).unwrap();
    let each = outcome.transitions / u64::try_from(orders).unwrap();
    assert_eq!(outcome.transitions % 3, 0);
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let said = format!("{each} state transitions, ${} per million orders", each * 25);
    assert!(readme.split_whitespace().collect::<Vec<_>>().join(" ").contains(&said), "README lacks: {said}");
    let standard = simulator().run(&Options::calm(1, 1, Story::Standard, Worth::Standard)).unwrap();
    assert_eq!(standard.transitions, 0, "standard orders run no state machine");
}
