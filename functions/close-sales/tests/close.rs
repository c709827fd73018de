//! The schedule that closes windows, against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use close_sales::CloseSales;
use eda::serve::{Task, Tick};
use eda::testing::TestCloud;
use eda::window::{Closing, Measures, WindowRow, WindowState, day_of};
use serde_json::json;

/// Where the cloud's clock starts.
const START: i64 = 1_768_473_000;

/// A window of one sale that is open.
fn open_window(cloud: &TestCloud) {
    let row = WindowRow {
        series_day: day_of("sales", START),
        start: START,
        status: WindowState::Open,
        revision: 1,
        too_late: 0,
        open_series: Some("sales".into()),
        end: START + 300,
        expires_at: START + 1_000_000,
        measures: Measures::from([("sales".to_owned(), 1), ("USD".to_owned(), 9_900)]),
    };
    cloud.put("SalesWindowsTable", &row);
}

async fn tick(cloud: &TestCloud) -> Closing {
    cloud.start::<CloseSales>().await.run(Tick, cloud.deadline()).await.unwrap()
}

#[tokio::test]
async fn a_window_says_what_was_taken_in_it_though_nothing_is_sold_any_more() {
    let cloud = TestCloud::of("close-sales");
    open_window(&cloud);
    assert_eq!(tick(&cloud).await.closed, 0);
    cloud.advance(Duration::from_secs(480));
    assert_eq!(tick(&cloud).await, Closing { closed: 1, watermark_lag_ms: 180_000, ..Closing::default() });
    let [(name, told)] = cloud.announced().try_into().unwrap();
    assert_eq!(name, "SalesWindowClosed");
    assert_eq!((&told["sales"], &told["windowStart"]), (&json!(1), &json!("2026-01-15T10:30:00Z")));
    assert_eq!(told["revenue"], json!([{ "currency": "USD", "amount": 99 }]));
}

#[tokio::test]
async fn while_nothing_is_due_a_tick_costs_two_queries() {
    let cloud = TestCloud::of("close-sales");
    tick(&cloud).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"; 2]);
}

#[tokio::test]
async fn a_window_is_closed_once() {
    let cloud = TestCloud::of("close-sales");
    open_window(&cloud);
    cloud.advance(Duration::from_secs(3_600));
    assert_eq!([tick(&cloud).await.closed, tick(&cloud).await.closed], [1, 0]);
    assert_eq!(cloud.announced().len(), 1);
}
