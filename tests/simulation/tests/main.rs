//! The simulation's own suite: it holds for a fixed number of seeds, it is reproducible, and it can fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use simulation::campaign::{Step, measure, planted, random, systematic};
use simulation::fault::Faults;
use simulation::{KillPoint, Kind, Options, Planted, Simulator, Story, Worth};

#[path = "correlation/chain.rs"]
mod correlation;
#[path = "saga/table.rs"]
mod saga;

fn simulator() -> Simulator {
    Simulator::of_workspace().unwrap()
}

fn quiet(_: Step) {}

fn nothing(_: &str) -> bool {
    false
}

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
fn a_run_is_the_same_when_the_kinds_of_faults_are_named_that_it_takes() {
    for seed in [3, 7] {
        let all = Options { traced: true, ..Options::new(seed, 4) };
        let named = Options { faults: Faults::taken(seed, &all.faults), ..all.clone() };
        let (all, named) = (simulator().run(&all).unwrap(), simulator().run(&named).unwrap());
        assert!(!all.faults.is_empty());
        assert_eq!(all.trace, named.trace, "seed {seed}");
    }
}

#[test]
fn as_many_runs_at_a_time_come_to_the_same() {
    let of = |jobs| {
        let report = random(&simulator().with_jobs(jobs), &Options::new(1, 1), 3, &quiet).unwrap();
        assert_unbroken(&report);
        (report.seeds, report.orders, report.steps, report.aws_calls, report.faults)
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn runs_that_fail_at_a_time_are_told_of_by_their_seeds_until_enough_is_known() {
    let faults = vec![Kind::Duplicate];
    let options = Options { faults, times: 5, ..Options::new(1, 1) };
    let options = Options { planted: Some(Planted::Unguarded), ..options };
    let report = random(&simulator().with_jobs(3), &options, 1_000, &quiet).unwrap();
    let seeds: Vec<_> = report.failures.iter().map(|failure| failure.options.seed).collect();
    assert!(seeds.len() == 3 && seeds.is_sorted(), "{seeds:?}");
    assert!(report.seeds < 100, "{} runs went on", report.seeds);
}

#[test]
fn where_all_goes_well_each_order_ends_as_its_story_says() {
    for (story, worth) in
        Story::ALL.iter().flat_map(|story| Worth::ALL.iter().map(move |worth| (story, worth)))
    {
        let outcome = simulator().run(&Options::calm(1, 3, *story, *worth)).unwrap();
        assert_eq!(outcome.violations, [], "{story:?} {worth:?}");
    }
}

#[test]
fn where_all_goes_well_nothing_runs_short_that_one_order_would_take_from_another() {
    // Whose mixtures of stories asked for more than there was.
    for seed in [11, 36] {
        let outcome =
            simulator().run(&Options { faults: Vec::new(), most_faults: 0, ..Options::new(seed, 20) });
        assert_eq!(outcome.unwrap().violations, [], "seed {seed}");
    }
}

#[test]
fn a_function_may_die_before_and_after_every_call_of_each_compensation() {
    let stories = [
        Story::OutOfStock,
        Story::Declined,
        Story::NotChargeable,
        Story::Unserved,
        Story::NeedsAuthentication,
    ];
    let report = systematic(&simulator(), &Options::new(1, 1), &stories, &nothing, &quiet).unwrap();
    assert_unbroken(&report);
}

#[test]
fn a_function_may_die_before_and_after_every_call_of_a_standard_order_also_of_one_that_expires() {
    // Nothing reserved yet; reserved; charged.
    let steps = ["ReserveInventoryQueue", "ProcessPaymentQueue", "ShipOrderQueue"];
    let loses = |queue: &str| steps.contains(&queue);
    let report = systematic(&simulator(), &Options::new(1, 1), &[Story::Standard], &loses, &quiet).unwrap();
    assert!(report.seeds > 150, "every call is tried: {}", report.seeds);
    assert_unbroken(&report);
}

#[test]
fn a_function_may_die_before_and_after_every_call_of_an_orchestrated_order_and_its_compensations() {
    // A card that is declined has something to undo.
    let options = Options { worth: Some(Worth::High), ..Options::new(1, 1) };
    let report =
        systematic(&simulator(), &options, &[Story::Standard, Story::Declined], &|_| false, &quiet).unwrap();
    assert!(report.seeds > 100, "every call is tried: {}", report.seeds);
    assert_unbroken(&report);
}

#[test]
fn no_order_of_high_value_breaks_a_promise_whatever_the_scheduler_does() {
    let options = Options { worth: Some(Worth::High), ..Options::new(1_000, 4) };
    let report = random(&simulator(), &options, 30, &quiet).unwrap();
    assert_unbroken(&report);
    assert!(report.faults.contains_key(&Kind::LostTask) && report.faults.contains_key(&Kind::ExecutionStop));
}

#[test]
fn replaying_everything_under_traffic_changes_nothing() {
    let faults = vec![Kind::Replay, Kind::Duplicate, Kind::Reorder, Kind::Delay, Kind::KillAfter];
    let report = random(&simulator(), &Options { faults, ..Options::new(1, 6) }, 30, &quiet).unwrap();
    assert_unbroken(&report);
    assert!(report.faults[&Kind::Replay] > 5, "{:?}", report.faults);
}

#[test]
fn each_order_has_one_receipt_whoever_dies_and_whatever_comes_twice() {
    let rough = [
        Kind::Duplicate,
        Kind::Reorder,
        Kind::Throttle,
        Kind::LostReply,
        Kind::SlowCall,
        Kind::KillBefore,
        Kind::KillAfter,
        Kind::LateTimeout,
        Kind::ClockSkew,
        Kind::Replay,
    ];
    let options = Options { faults: rough.to_vec(), story: Some(Story::Standard), ..Options::new(2_000, 6) };
    let report = random(&simulator(), &options, 15, &quiet).unwrap();
    assert_unbroken(&report);
}

#[test]
fn an_import_may_die_before_and_after_every_call_of_a_file_that_comes_twice() {
    let options = Options { imported: 55, ..Options::new(1, 0) };
    let report = systematic(&simulator(), &options, &[Story::Standard], &nothing, &quiet).unwrap();
    assert!(report.seeds > 50, "every call is tried: {}", report.seeds);
    assert_unbroken(&report);
}

/// Two windows of lines and more, by a function that has no time for them all.
fn long_file() -> Options {
    let faults = vec![
        Kind::Reorder,
        Kind::Duplicate,
        Kind::SlowCall,
        Kind::Throttle,
        Kind::KillBefore,
        Kind::KillAfter,
    ];
    let parameters = vec![("FunctionTimeoutSeconds".to_owned(), 3)];
    Options { faults, parameters, imported: 120, ..Options::new(1, 0) }
}

#[test]
fn an_import_that_runs_out_of_time_goes_on_from_where_it_was() {
    let report = random(&simulator(), &long_file(), 15, &quiet).unwrap();
    assert_unbroken(&report);
}

#[test]
fn an_import_that_forgets_what_was_wrong_is_noticed() {
    let caught = planted(&simulator(), &long_file(), Planted::ImportForgets, 15).unwrap();
    assert!(caught.seed.is_some(), "nobody noticed {}", caught.planted);
}

#[test]
fn a_person_who_sends_dead_letters_again_makes_nothing_happen_twice() {
    let rough = [
        Kind::SpentReceives,
        Kind::Operator,
        Kind::Poison,
        Kind::Duplicate,
        Kind::Reorder,
        Kind::Delay,
        Kind::Throttle,
        Kind::LostReply,
        Kind::KillBefore,
        Kind::KillAfter,
    ];
    let options = Options { faults: rough.to_vec(), ..Options::new(3_000, 5) };
    let report = random(&simulator(), &options, 15, &quiet).unwrap();
    assert_unbroken(&report);
    let times = |kind| report.faults.get(&kind).copied().unwrap_or_default();
    assert!(times(Kind::SpentReceives) > 0 && times(Kind::Operator) > 0, "{:?}", report.faults);
}

#[test]
fn whoever_takes_dead_letters_in_may_die_before_and_after_every_call() {
    // By mappings, and on demand.
    for (seed, queue) in [(1, "CancelOrderQueue"), (2, "RecordActivityQueue")] {
        let options = Options { poisoned: vec![queue.to_owned()], ..Options::new(seed, 0) };
        let report = systematic(&simulator(), &options, &[Story::Standard], &nothing, &quiet).unwrap();
        assert!(report.seeds > 50, "every call is tried: {}", report.seeds);
        assert_unbroken(&report);
    }
}

#[test]
fn nothing_comes_of_an_outage_of_the_gateway_but_delay() {
    let rough = [
        Kind::GatewayOutage,
        Kind::Duplicate,
        Kind::Reorder,
        Kind::Delay,
        Kind::Redeliver,
        Kind::Throttle,
        Kind::Conflict,
        Kind::KillBefore,
        Kind::KillAfter,
        Kind::LostReply,
        Kind::ClockSkew,
    ];
    let parameters = vec![("OrderDeadlineSeconds".to_owned(), 43_200)];
    let options =
        Options { faults: rough.to_vec(), story: Some(Story::Standard), parameters, ..Options::new(1, 8) };
    let report = random(&simulator(), &options, 40, &quiet).unwrap();
    assert_unbroken(&report);
    assert!(report.faults[&Kind::GatewayOutage] > 5, "{:?}", report.faults);
}

#[test]
fn mistakes_made_on_purpose_are_noticed() {
    for mistake in [
        Planted::IgnoresFailed,
        Planted::NoPivot,
        Planted::SweeperOff,
        Planted::ExpiringRows,
        Planted::NeverHalfOpen,
        Planted::BusFirst,
        Planted::Overtaking,
        Planted::CountedTwice,
        Planted::TransformerWithoutId,
        Planted::LettersDeletedFirst,
    ] {
        let caught = planted(&simulator(), &Options::new(1, 6), mistake, 60).unwrap();
        assert!(caught.seed.is_some(), "nobody noticed {mistake}");
    }
}

#[test]
fn mistakes_about_a_gateway_that_is_out_of_order_are_noticed() {
    let outages =
        Options { faults: vec![Kind::GatewayOutage, Kind::Reorder], times: 20, ..Options::new(1, 2) };
    let few = Options { story: Some(Story::Standard), worth: Some(Worth::Standard), ..outages };
    let many = Options { orders: 12, ..few.clone() };
    for (options, mistake) in [(few, Planted::NoPostponing), (many, Planted::TwoProbers)] {
        let caught = planted(&simulator(), &options, mistake, 100).unwrap();
        assert!(caught.seed.is_some(), "nobody noticed {mistake}");
    }
}

#[test]
fn a_record_that_anybody_changes_is_noticed() {
    // It takes a request that arrives when its sender has long given up.
    let slow = Options { faults: vec![Kind::SlowCall], times: 10, ..Options::new(1, 4) };
    let options = Options { story: Some(Story::Standard), worth: Some(Worth::Standard), ..slow };
    let caught = planted(&simulator(), &options, Planted::UnfencedCompletion, 30).unwrap();
    assert!(caught.seed.is_some(), "nobody noticed {}", caught.planted);
}

#[test]
fn what_the_template_says_is_what_runs() {
    // A step dies before its call: the message comes again when it is visible again.
    let lasts = |call, visibility| {
        let options = Options {
            kill: Some(KillPoint { call, after: false }),
            parameters: vec![("VisibilityTimeoutSeconds".into(), visibility)],
            traced: true,
            ..Options::calm(1, 1, Story::Standard, Worth::Standard)
        };
        let trace = simulator().run(&options).unwrap().trace;
        let confirmed = trace.lines().find(|line| line.contains("confirm-order")).unwrap();
        let time = confirmed.trim_start().split(' ').next().unwrap();
        time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
    };
    let times: Vec<_> = (0..20).map(|call| (lasts(call, 100), lasts(call, 1_000))).collect();
    assert!(times.iter().any(|(short, long)| *long >= short + 800.0), "{times:?}");
}

#[test]
fn a_standard_order_of_two_products_costs_at_most_55_write_units() {
    let cost = measure(&simulator()).unwrap();
    assert!((40.0..=55.0).contains(&cost.write_units), "{cost:?}");
}
