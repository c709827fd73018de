//! The rebuild against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::event::{Cause, Emission, SagaStyle};
use eda::serve::perform;
use eda::testing::TestCloud;
use eda::view::{Generations, View};
use rebuild_orders_view::RebuildOrdersView;
use serde_json::{Value, json};
use shop::order::OrderViewRow;
use shop::testing::{open_order, order_placed};

fn place(cloud: &TestCloud, id: &str) {
    let placed = order_placed(id, &[("keyboard", 2)]);
    let event =
        Emission::new(&Cause::root(SagaStyle::Choreographed, None), &placed, &cloud.ambient()).unwrap();
    cloud.put_aggregate("EventStoreTable", id, &open_order(id), &[event]);
}

fn with_orders(count: usize) -> TestCloud {
    let cloud = TestCloud::of("rebuild-orders-view");
    (0..count).for_each(|index| place(&cloud, &format!("o{index}")));
    cloud
}

async fn ask(cloud: &TestCloud, input: Value) -> Result<Value, String> {
    let function = cloud.start::<RebuildOrdersView>().await;
    let input = serde_json::value::to_raw_value(&input).unwrap();
    let answered = perform(&function, &input, cloud.deadline()).await;
    answered.map(|report| serde_json::to_value(report).unwrap()).map_err(|failure| failure.chain())
}

async fn sample(cloud: &TestCloud, sample: &str) -> Value {
    ask(cloud, serde_json::from_str(sample).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_samples_tell_a_rebuild_from_its_start_to_the_switch() {
    let cloud = with_orders(3);
    let started = sample(&cloud, include_str!("../events/start.json")).await;
    assert_eq!((&started["live"], &started["build"]["state"]), (&json!(1), &json!("building")));
    cloud.advance(Duration::from_secs(60));
    let done = sample(&cloud, include_str!("../events/schedule.json")).await;
    assert_eq!((&done["live"], &done["build"]["state"]), (&json!(2), &json!("switched")));
    let status = sample(&cloud, include_str!("../events/status.json")).await;
    assert_eq!(status["build"]["projected"], 3);
    assert_eq!(status, done, "what is answered is what is written");
    for index in 0..3 {
        let row = cloud.get("OrderViewsTable", OrderViewRow::key(&format!("o{index}"), 2)).unwrap();
        assert_eq!((row.generation, row.view().unwrap().version), (2, 1));
    }
    let back = ask(&cloud, json!({ "action": "rollback" })).await.unwrap();
    assert_eq!((&back["live"], &back["build"]["state"]), (&json!(1), &json!("rolledBack")));
}

#[tokio::test(start_paused = true)]
async fn an_order_costs_four_calls_and_nothing_is_announced() {
    let cloud = with_orders(2);
    sample(&cloud, include_str!("../events/start.json")).await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"]);
    cloud.advance(Duration::from_secs(60));
    sample(&cloud, include_str!("../events/schedule.json")).await;
    let mut calls = cloud.take_call_names();
    calls.sort();
    let (get, query, both) = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:TransactWriteItems");
    let ends = ["dynamodb:PutItem", query, query, "dynamodb:Scan", both, both];
    assert_eq!(
        calls,
        [&[get; 5][..], &ends].concat(),
        "the generations, and two orders' rows in two generations"
    );
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let cloud = with_orders(1);
    for (action, reason) in
        [("cancel", "no build is under way"), ("rollback", "there is no generation to go back to")]
    {
        let answer = ask(&cloud, json!({ "action": action })).await.unwrap();
        assert_eq!(answer["refused"], reason);
    }
    assert_eq!(cloud.get("ProjectionsTable", Generations::key("orders")), None);
    sample(&cloud, include_str!("../events/start.json")).await;
    let again = sample(&cloud, include_str!("../events/start.json")).await;
    assert_eq!(again["refused"], "a build is under way");
    let cancelled = sample(&cloud, include_str!("../events/cancel.json")).await;
    assert_eq!(cancelled["build"]["state"], "cancelled");
}

#[tokio::test]
async fn what_is_asked_for_must_be_understood() {
    let cloud = with_orders(0);
    for (input, expected) in [
        (json!({ "action": "begin" }), "action: unknown variant `begin`"),
        (json!({ "action": "start", "rate": 0 }), "rate: "),
        (json!({ "acton": "start" }), "action is required: start, continue, status, cancel or rollback"),
        (json!([]), "the input of rebuild-orders-view is not understood"),
    ] {
        let failure = ask(&cloud, input.clone()).await.unwrap_err();
        assert!(failure.contains(expected), "{input}: {failure}");
    }
    assert!(cloud.take_calls().is_empty());
}
