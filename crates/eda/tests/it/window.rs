use std::collections::BTreeMap;
use std::time::Duration;

use eda::batch::{Deadline, FailedAt};
use eda::testing::Fault;
use eda::window::{
    Absorbed, Fact, FactRow, Measures, Progress, Series, Totals, WindowPolicy, WindowRow, WindowState,
    Windows, WindowsConfig, between,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A window of visits has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counted {
    start: i64,
    visits: i64,
    revision: u64,
}

/// A window that had ended has to be corrected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recounted {
    start: i64,
    difference: i64,
    visits: i64,
    revision: u64,
}

macro_rules! told {
    ($event:ident) => {
        impl Version for $event {
            const VERSION: &'static str = "1.0";
            type Before = First;
        }

        impl Contract for $event {
            const SOURCE: &'static str = "doors";
            const DETAIL_TYPE: &'static str = stringify!($event);

            fn ordering_key(&self) -> &str {
                "visits"
            }
        }
    };
}
told!(Counted);
told!(Recounted);

enum Visits {}

fn visits(measures: &Measures) -> i64 {
    measures.get("visits").copied().unwrap_or_default()
}

impl Series for Visits {
    const NAME: &'static str = "visits";
    type Closed = Counted;
    type Corrected = Recounted;

    fn closed(totals: &Totals) -> Counted {
        let visits = visits(&totals.measures);
        Counted { start: totals.start.as_second(), visits, revision: totals.revision }
    }

    fn corrected(totals: &Totals, difference: &Measures) -> Recounted {
        let Counted { start, visits: now, revision } = Self::closed(totals);
        Recounted { start, difference: visits(difference), visits: now, revision }
    }
}

/// Windows of five minutes; a minute of disorder, an hour of lateness, three minutes until a shard is idle.
const POLICY: WindowPolicy = WindowPolicy { size: 300, disorder: 60, lateness: 3_600, idle: 180 };

/// When the cloud's clock starts: a full five minutes.
const START: i64 = 1_768_473_000;

fn windows(cloud: &TestCloud, policy: WindowPolicy) -> Windows<Visits> {
    let config = WindowsConfig {
        windows: Table::named("WindowsTable"),
        facts: Table::named("FactsTable"),
        progress: Table::named("ProgressTable"),
        outbox: Table::named("OutboxTable"),
        keep_days: 395,
    };
    Windows::new(&cloud.aws(), config, policy)
}

/// Somebody came, so many seconds after the start.
fn visit(id: &str, after: i64) -> Fact {
    let measures = Measures::from([("visits".to_owned(), 1)]);
    Fact { id: id.to_owned(), at: Timestamp::from_second(START + after).unwrap(), measures }
}

async fn absorb(cloud: &TestCloud, windows: &Windows<Visits>, facts: &[Fact]) -> Absorbed {
    let facts = facts.iter().cloned().map(Some).collect();
    windows.absorb("shard-1", facts, cloud.deadline()).await.unwrap()
}

fn window(cloud: &TestCloud, after: i64) -> Option<WindowRow> {
    cloud.get("WindowsTable", WindowRow::key("visits", START + after))
}

/// Visits, state and number of those that came too late, of the window that starts so many seconds after the start.
fn holds(cloud: &TestCloud, after: i64) -> Option<(i64, WindowState, u64)> {
    window(cloud, after).map(|row| (visits(&row.measures), row.status, row.too_late))
}

#[tokio::test]
async fn a_window_and_99_facts_are_one_transaction() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    let facts: Vec<_> = (0..99).map(|index| visit(&format!("f{index}"), index)).collect();
    let absorbed = absorb(&cloud, &windows, &facts).await;
    assert_eq!(absorbed, Absorbed { counted: 99, ..Absorbed::default() });
    // And once a minute the shard says how far it has come.
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems", "dynamodb:UpdateItem"]);
    absorb(&cloud, &windows, &[visit("another", 1)]).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(holds(&cloud, 0), Some((100, WindowState::Open, 0)));
}

#[tokio::test]
async fn a_fact_counts_once_however_often_and_by_whichever_shard_it_comes() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    let facts = [visit("a", 1), visit("b", 2), visit("a", 1)];
    assert_eq!(absorb(&cloud, &windows, &facts).await.known, 1);
    let other = [visit("c", 3), visit("b", 2), visit("a", 1)].map(Some).to_vec();
    let absorbed = windows.absorb("shard-2", other, cloud.deadline()).await.unwrap();
    assert_eq!((absorbed.counted, absorbed.known), (1, 2));
    assert_eq!(holds(&cloud, 0), Some((3, WindowState::Open, 0)));
}

#[tokio::test]
async fn a_fact_whose_reply_was_lost_counts_once() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    cloud.inject("dynamodb:TransactWriteItems", Fault::ReplyLost);
    absorb(&cloud, &windows, &[visit("a", 1)]).await;
    absorb(&cloud, &windows, &[visit("a", 1)]).await;
    assert_eq!(holds(&cloud, 0), Some((1, WindowState::Open, 0)));
}

#[tokio::test]
async fn a_window_says_what_it_holds_once_the_watermark_has_passed_it() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    cloud.advance(Duration::from_secs(359));
    absorb(&cloud, &windows, &[visit("a", 1), visit("b", 359)]).await;
    assert_eq!(
        windows.close_due(cloud.deadline()).await.unwrap().closed,
        0,
        "a minute of disorder is waited for"
    );
    cloud.advance(Duration::from_secs(1));
    absorb(&cloud, &windows, &[visit("c", 360)]).await;
    cloud.take_calls();
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 1);
    let calls = ["dynamodb:Query", "dynamodb:Query", "dynamodb:GetItem", "dynamodb:TransactWriteItems"];
    assert_eq!(cloud.take_call_names(), calls);
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 0);
    let [(name, told)] = cloud.announced().try_into().unwrap();
    assert_eq!((name.as_str(), &told["start"], &told["visits"]), ("Counted", &json!(START), &json!(1)));
    assert_eq!(holds(&cloud, 0), Some((1, WindowState::Closed, 0)));
    assert_eq!(holds(&cloud, 300), Some((2, WindowState::Open, 0)));
}

#[tokio::test]
async fn a_window_is_closed_although_nothing_comes_any_more() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    absorb(&cloud, &windows, &[visit("a", 0)]).await;
    cloud.advance(Duration::from_secs(479));
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 0);
    cloud.advance(Duration::from_secs(1));
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 1);
}

#[tokio::test]
async fn a_shard_that_lags_behind_holds_windows_open() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    cloud.advance(Duration::from_secs(7_200));
    for (shard, id, after) in [("slow", "a", 10), ("quick", "b", 7_200)] {
        windows.absorb(shard, vec![Some(visit(id, after))], cloud.deadline()).await.unwrap();
    }
    let closing = windows.close_due(cloud.deadline()).await.unwrap();
    assert_eq!((closing.closed, closing.window_lag_ms), (0, 6_900_000));
    windows.absorb("slow", vec![Some(visit("c", 7_190))], cloud.deadline()).await.unwrap();
    let closing = windows.close_due(cloud.deadline()).await.unwrap();
    assert_eq!((closing.closed, closing.window_lag_ms), (1, 0), "the next window is not over yet");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_cannot_be_closed_is_told_by_how_long_it_has_been_over() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    absorb(&cloud, &windows, &[visit("a", 1)]).await;
    cloud.advance(Duration::from_secs(1_000));
    for _ in 0..3 {
        cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let closing = windows.close_due(cloud.deadline()).await.unwrap();
    assert_eq!((closing.closed, closing.left, closing.window_lag_ms), (0, 1, 700_000));
    let closing = windows.close_due(cloud.deadline()).await.unwrap();
    assert_eq!((closing.closed, closing.left, closing.window_lag_ms), (1, 0, 0));
}

/// The window of the first five minutes, closed with one visit.
async fn closed() -> (TestCloud, Windows<Visits>) {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    absorb(&cloud, &windows, &[visit("a", 1)]).await;
    cloud.advance(Duration::from_secs(1_000));
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 1);
    cloud.take_calls();
    (cloud, windows)
}

#[tokio::test]
async fn a_late_fact_corrects_its_window_and_says_by_how_much() {
    let (cloud, windows) = closed().await;
    let absorbed = absorb(&cloud, &windows, &[visit("b", 2), visit("c", 3)]).await;
    assert_eq!(absorbed, Absorbed { corrected: 2, ..Absorbed::default() });
    // The guess that it is open is corrected by the row that refuses.
    let calls = ["dynamodb:TransactWriteItems", "dynamodb:TransactWriteItems", "dynamodb:UpdateItem"];
    assert_eq!(cloud.take_call_names(), calls);
    let told = cloud.announced();
    assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["Counted", "Recounted"]);
    assert_eq!((&told[1].1["difference"], &told[1].1["visits"]), (&json!(2), &json!(3)));
    assert_eq!(window(&cloud, 0).unwrap().revision, told[1].1["revision"].as_u64().unwrap());
}

#[tokio::test]
async fn a_late_fact_that_comes_again_corrects_nothing() {
    let (cloud, windows) = closed().await;
    for _ in 0..2 {
        absorb(&cloud, &windows, &[visit("a", 1), visit("b", 2)]).await;
    }
    assert_eq!(holds(&cloud, 0), Some((2, WindowState::Closed, 0)));
    assert_eq!(cloud.announced_names(), ["Counted", "Recounted"]);
}

#[tokio::test]
async fn a_fact_that_comes_too_late_changes_no_sum_is_kept_aside_and_counted_once() {
    let (cloud, windows) = closed().await;
    cloud.advance(Duration::from_secs(86_400));
    for _ in 0..2 {
        absorb(&cloud, &windows, &[visit("b", 2), visit("c", 3)]).await;
    }
    assert_eq!(holds(&cloud, 0), Some((1, WindowState::Closed, 2)));
    let aside: FactRow = cloud.get("FactsTable", Key::of("b")).unwrap();
    assert_eq!((aside.too_late_for, visits(&aside.measures)), (Some(START), 1));
    assert_eq!(cloud.announced_names(), ["Counted"]);
}

#[tokio::test]
async fn a_fact_from_the_future_closes_nothing() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    absorb(&cloud, &windows, &[visit("a", 1), visit("b", 1_000_000)]).await;
    assert_eq!(windows.close_due(cloud.deadline()).await.unwrap().closed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_cannot_be_written_is_named_by_its_first_fact_and_the_others_are_done() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    absorb(&cloud, &windows, &[visit("z", 600)]).await;
    cloud.take_calls();
    // One window meets three of them, which are too many, the other two.
    for _ in 0..5 {
        cloud.inject("dynamodb:TransactWriteItems", Fault::Refused(500, "InternalServerError", json!({})));
    }
    let facts = vec![None, Some(visit("a", 1)), Some(visit("b", 301)), Some(visit("c", 2))];
    let FailedAt { position, .. } = windows.absorb("shard-1", facts, cloud.deadline()).await.unwrap_err();
    // Either window may have met the faults.
    let (first, second) = (holds(&cloud, 0), holds(&cloud, 300));
    match position {
        1 => assert_eq!((first, second), (None, Some((1, WindowState::Open, 0)))),
        2 => assert_eq!((first, second), (Some((2, WindowState::Open, 0)), None)),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn windows_of_a_span_of_time_are_read_in_order() {
    let cloud = cloud();
    let windows = windows(&cloud, POLICY);
    let facts = [visit("a", 0), visit("b", 300), visit("c", 86_400), visit("d", 600)];
    absorb(&cloud, &windows, &facts).await;
    let read = async |from, to| {
        let table = Table::named("WindowsTable");
        let rows =
            between(&cloud.aws().dynamodb(), &table, "visits", START + from, START + to).await.unwrap();
        rows.iter().map(|row| row.start - START).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 600).await, [0, 300]);
    assert_eq!(read(1, 90_000).await, [300, 600, 86_400]);
}

/// What happens to windows.
#[derive(Clone, Debug)]
enum Step {
    /// These of the facts arrive, by a shard.
    Arrive(Vec<prop::sample::Index>, bool),
    /// So many seconds go by.
    Wait(u64),
    /// The schedule comes round.
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let some = prop::collection::vec(any::<prop::sample::Index>(), 1..6);
    prop_oneof![
        4 => (some, any::<bool>()).prop_map(|(some, shard)| Step::Arrive(some, shard)),
        2 => (1..900_u64).prop_map(Step::Wait),
        2 => Just(Step::Tick),
    ]
}

/// Facts, each with its moment and what it adds.
fn facts() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0..2_000_i64, -3..5_i64), 1..20)
}

/// Lives through the steps; in the end everything has arrived, and all windows are closed.
async fn live(cloud: &TestCloud, policy: WindowPolicy, facts: &[(i64, i64)], steps: &[Step]) {
    let windows = windows(cloud, policy);
    let fact = |index: usize| {
        let (after, by) = facts[index];
        let measures = Measures::from([("visits".to_owned(), by)]);
        Some(Fact { measures, ..visit(&index.to_string(), after) })
    };
    let deadline = || Deadline::after(Duration::from_secs(60));
    for step in steps {
        match step {
            Step::Arrive(some, shard) => {
                let some = some.iter().map(|index| fact(index.index(facts.len()))).collect();
                windows.absorb(if *shard { "one" } else { "other" }, some, deadline()).await.unwrap();
            }
            Step::Wait(seconds) => cloud.advance(Duration::from_secs(*seconds)),
            Step::Tick => {
                windows.close_due(deadline()).await.unwrap();
            }
        }
    }
    windows.absorb("one", (0..facts.len()).map(fact).collect(), deadline()).await.unwrap();
    cloud.advance(Duration::from_secs(4_000));
    let closing = windows.close_due(deadline()).await.unwrap();
    assert_eq!(closing.left, 0);
}

/// What a computation over all facts at once gives, by window.
fn at_once(facts: &[(i64, i64)]) -> BTreeMap<i64, i64> {
    let mut sums = BTreeMap::new();
    for (after, by) in facts {
        *sums.entry(START + after.div_euclid(300) * 300).or_default() += by;
    }
    sums
}

/// What the events say of each window: what it held when it was closed, and all corrections.
fn announced(cloud: &TestCloud) -> BTreeMap<i64, i64> {
    let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
    let number = |told: &Value, field: &str| told[field].as_i64().unwrap();
    let mut events = cloud.announced();
    // By their ids events of one millisecond are in no order; by their revisions they are.
    events.sort_by_key(|(_, told)| number(told, "revision"));
    for (name, told) in events {
        let start = number(&told, "start");
        if name == "Counted" {
            assert_eq!(sums.insert(start, number(&told, "visits")), None, "a window is closed once");
        } else {
            let Some(sum) = sums.get_mut(&start) else { panic!("{start} is corrected and was never closed") };
            *sum += number(&told, "difference");
            assert_eq!(*sum, number(&told, "visits"), "corrections add up");
        }
    }
    sums
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_facts_arrive_within_the_lateness_windows_hold_what_all_facts_at_once_give(
        facts in facts(),
        steps in prop::collection::vec(step(), 0..16),
    ) {
        run(async {
            let cloud = cloud();
            live(&cloud, WindowPolicy { lateness: 1_000_000, ..POLICY }, &facts, &steps).await;
            let rows: Vec<WindowRow> = cloud.rows("WindowsTable");
            let held: BTreeMap<_, _> = rows.iter().map(|row| (row.start, visits(&row.measures))).collect();
            assert_eq!(held, at_once(&facts));
            assert_eq!(announced(&cloud), at_once(&facts));
            assert!(rows.iter().all(|row| row.status == WindowState::Closed && row.too_late == 0));
        });
    }

    #[test]
    fn whatever_comes_too_late_is_counted_as_that_and_nothing_is_lost_or_counted_twice(
        facts in facts(),
        steps in prop::collection::vec(step(), 0..16),
    ) {
        run(async {
            let cloud = cloud();
            live(&cloud, WindowPolicy { lateness: 300, ..POLICY }, &facts, &steps).await;
            let rows: Vec<WindowRow> = cloud.rows("WindowsTable");
            let aside: Vec<FactRow> = cloud.rows("FactsTable");
            assert_eq!(aside.len(), facts.len(), "each fact is known once");
            let mut all: BTreeMap<_, _> = rows.iter().map(|row| (row.start, visits(&row.measures))).collect();
            for row in aside.iter().filter(|row| row.too_late_for.is_some()) {
                *all.get_mut(&row.too_late_for.unwrap()).unwrap() += visits(&row.measures);
            }
            assert_eq!(all, at_once(&facts));
            let too_late = aside.iter().filter(|row| row.too_late_for.is_some()).count() as u64;
            assert_eq!(rows.iter().map(|row| row.too_late).sum::<u64>(), too_late);
        });
    }
}

#[test]
fn progress_has_a_row_per_shard() {
    run(async {
        let cloud = cloud();
        let windows = windows(&cloud, POLICY);
        for shard in ["one", "other"] {
            windows.absorb(shard, vec![Some(visit(shard, 90))], cloud.deadline()).await.unwrap();
        }
        let rows: Vec<Progress> = cloud.rows("ProgressTable");
        assert_eq!(rows.len(), 2);
        // A fact from the future says no more than one of now.
        assert!(rows.iter().all(|row| row.reached == START - 60), "{rows:?}");
    });
}
