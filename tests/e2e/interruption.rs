//! However a command ends, nothing that it started lives on.

use rustix::process::Signal;

use super::clouds::run;
use super::xtask::Place;

/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: Option<i32> = Some(130);

#[test]
fn a_demo_interrupted_while_it_builds_leaves_nothing_behind() {
    assert_eq!(ended_when("building the functions", Signal::INT), INTERRUPTED);
}

#[test]
fn a_demo_interrupted_while_orders_run_leaves_nothing_behind() {
    assert_eq!(ended_when("orders …", Signal::INT), INTERRUPTED);
}

#[test]
fn a_demo_killed_while_orders_run_leaves_nothing_behind() {
    assert_eq!(ended_when("orders …", Signal::KILL), None);
}

fn ended_when(step: &str, signal: Signal) -> Option<i32> {
    run(async {
        let place = Place::new();
        let mut demo = place.start(&["demo", "--orders", "10"]).await;
        demo.says(step).await;
        let code = demo.end(signal).await;
        place.is_left().await;
        code
    })
}
