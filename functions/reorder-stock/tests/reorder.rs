//! The step against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use eda::row::Key;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use reorder_stock::ReorderStock;
use serde_json::json;
use shop::events::StockUpdate;
use shop::replenishment::{Replenishment, ReplenishmentState};
use shop::testing::stock_update;

fn cloud() -> TestCloud {
    TestCloud::of("reorder-stock")
}

fn low(version: u32) -> StockUpdate {
    stock_update("keyboard", 9, 10, version)
}

fn recovery(version: u32) -> StockUpdate {
    stock_update("keyboard", 10, 9, version)
}

async fn deliver(cloud: &TestCloud, updates: &[StockUpdate]) -> usize {
    let worker = cloud.worker::<ReorderStock>().await;
    let events: Vec<_> = updates.iter().map(|update| bus_event(cloud, update)).collect();
    worker.handle(queue_batch(&events), cloud.deadline()).await.batch_item_failures.len()
}

/// The versions of the stock at which a reorder was requested.
fn requested(cloud: &TestCloud) -> Vec<u64> {
    let announced = cloud.announced().into_iter();
    announced
        .map(|(name, detail)| {
            assert_eq!(name, "StockReorderRequested");
            detail["stockVersion"].as_u64().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn a_product_that_runs_short_is_reordered_in_one_call() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, &[low(5)]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    let (_, request) = cloud.announced().remove(0);
    assert_eq!((&request["productId"], &request["quantity"]), (&json!("keyboard"), &json!(9)));
    assert_eq!((&request["warehouseId"], &request["stockVersion"]), (&json!("warehouse-1"), &json!(5)));
}

#[tokio::test]
async fn a_duplicate_changes_nothing_and_costs_one_refused_call() {
    let cloud = cloud();
    deliver(&cloud, &[low(5)]).await;
    cloud.take_calls();
    assert_eq!(deliver(&cloud, &[low(5)]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert_eq!(requested(&cloud), [5]);
}

#[tokio::test]
async fn a_shortage_that_lasts_is_reordered_once() {
    let cloud = cloud();
    assert_eq!(deliver(&cloud, &[low(5), low(6), low(7), low(8)]).await, 0);
    assert_eq!(requested(&cloud), [5]);
}

#[tokio::test]
async fn a_recovery_re_arms_for_one_write_and_the_next_shortage_is_a_new_one() {
    let cloud = cloud();
    deliver(&cloud, &[low(5)]).await;
    cloud.take_calls();
    assert_eq!(deliver(&cloud, &[recovery(6)]).await, 0);
    assert_eq!(cloud.take_call_names(), ["dynamodb:PutItem"]);
    assert_eq!(deliver(&cloud, &[low(7)]).await, 0);
    assert_eq!(requested(&cloud), [5, 7]);
}

#[tokio::test]
async fn an_older_update_never_overwrites_a_newer() {
    let cloud = cloud();
    deliver(&cloud, &[recovery(8)]).await;
    deliver(&cloud, &[low(5), recovery(6), low(7)]).await;
    assert!(requested(&cloud).is_empty(), "these shortages are over");
    deliver(&cloud, &[low(9)]).await;
    deliver(&cloud, &[recovery(8), low(5)]).await;
    assert_eq!(requested(&cloud), [9]);
    let row: Replenishment = cloud.get("ReplenishmentsTable", Key::of("keyboard")).unwrap();
    assert_eq!((row.status, row.version), (ReplenishmentState::Requested, 9));
}

#[tokio::test]
async fn a_shortage_that_was_seen_before_the_recovery_it_came_after_is_not_forgotten() {
    let cloud = cloud();
    deliver(&cloud, &[low(5), low(9), recovery(7)]).await;
    assert_eq!(requested(&cloud), [5, 9]);
}

/// Two shortages with a recovery between them, and a third that lasts.
const STORY: [(bool, u32); 6] = [(true, 1), (true, 2), (false, 3), (true, 4), (false, 5), (true, 6)];

#[tokio::test]
async fn in_whatever_order_updates_arrive_no_shortage_is_reordered_twice_and_the_last_one_is() {
    let cloud = cloud();
    let worker = cloud.worker::<ReorderStock>().await;
    for order in orders(&[0, 1, 2, 3, 4, 5]) {
        // Each order of arrival has a product of its own.
        let product = format!("{order:?}");
        for (is_low, version) in order.iter().map(|index| STORY[*index]) {
            let (now, before) = if is_low { (9, 10) } else { (10, 9) };
            let update = bus_event(&cloud, &stock_update(&product, now, before, version));
            let answer = worker.handle(queue_batch(&[update.clone(), update]), cloud.deadline()).await;
            assert!(answer.batch_item_failures.is_empty());
        }
    }
    let mut requested: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, request) in cloud.announced() {
        let shortage = match request["stockVersion"].as_u64().unwrap() {
            1 | 2 => 1,
            4 => 2,
            _ => 3,
        };
        requested.entry(request["productId"].as_str().unwrap().into()).or_default().push(shortage);
    }
    assert_eq!(requested.len(), 720);
    for (order, shortages) in requested {
        assert_eq!(BTreeSet::from_iter(&shortages).len(), shortages.len(), "{order}: {shortages:?}");
        assert!(shortages.contains(&3), "{order}: {shortages:?}");
    }
}

/// All orders of these.
fn orders(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    of.iter()
        .flat_map(|first| {
            let rest: Vec<_> = of.iter().copied().filter(|other| other != first).collect();
            orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat())
        })
        .collect()
}

#[tokio::test]
async fn products_are_apart() {
    let cloud = cloud();
    deliver(&cloud, &[low(5), stock_update("mouse", 0, 3, 2)]).await;
    assert_eq!(requested(&cloud).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([2, 5]));
}

#[tokio::test]
async fn two_deliveries_at_once_request_once() {
    let cloud = cloud();
    let (one, other) = ([low(5)], [low(6)]);
    let answers = tokio::join!(deliver(&cloud, &one), deliver(&cloud, &other));
    assert_eq!(answers, (0, 0));
    assert_eq!(requested(&cloud).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = cloud();
    cloud.inject("dynamodb:TransactWriteItems", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[low(5)]).await, 0);
    cloud.inject("dynamodb:PutItem", Fault::ReplyLost);
    assert_eq!(deliver(&cloud, &[recovery(6)]).await, 0);
    deliver(&cloud, &[low(7)]).await;
    assert_eq!(requested(&cloud), [5, 7]);
}

#[tokio::test]
async fn the_samples_are_understood() {
    let cloud = cloud();
    let worker = cloud.worker::<ReorderStock>().await;
    let samples = [include_str!("../events/stock-low.json"), include_str!("../events/stock-recovered.json")];
    for sample in samples {
        let batch = serde_json::from_str(sample).unwrap();
        assert!(worker.handle(batch, cloud.deadline()).await.batch_item_failures.is_empty());
    }
    assert_eq!(requested(&cloud), [8]);
}
