//! The check of the stock, against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::Failure;
use eda::serve::perform;
use eda::testing::{TestCloud, bus_event};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use shop::checks::Finding;
use shop::testing::{order_placed, product};
use validate_inventory::ValidateInventory;

async fn check(cloud: &TestCloud, document: &Value) -> Result<Finding, Failure> {
    let function = cloud.start::<ValidateInventory>().await;
    cloud.take_calls();
    perform(&function, &to_raw_value(document).unwrap(), cloud.deadline()).await
}

fn cloud() -> TestCloud {
    let cloud = TestCloud::of("validate-inventory");
    cloud.put("InventoryTable", &product("keyboard", 2));
    cloud.put("InventoryTable", &product("mouse", 5));
    cloud
}

#[tokio::test]
async fn all_products_are_looked_up_by_one_call() {
    let cloud = cloud();
    let order = bus_event(&cloud, &order_placed("o1", &[("keyboard", 1), ("mouse", 5), ("keyboard", 1)]));
    assert!(check(&cloud, &order).await.unwrap().reasons.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:BatchGetItem"]);
}

#[tokio::test]
async fn what_is_short_or_unknown_refuses_the_order() {
    let cloud = cloud();
    for items in [&[("keyboard", 3)][..], &[("mouse", 1), ("unknown", 1)]] {
        let order = bus_event(&cloud, &order_placed("o1", items));
        assert_eq!(check(&cloud, &order).await.unwrap().reasons, ["out_of_stock"], "{items:?}");
    }
}

#[tokio::test]
async fn what_is_no_order_is_refused_by_the_name_of_its_field() {
    let cloud = cloud();
    let mut order = bus_event(&cloud, &order_placed("o1", &[("keyboard", 1)]));
    order["detail"]["items"][0]["quantity"] = json!("two");
    let failure = check(&cloud, &order).await.unwrap_err();
    assert_eq!(failure.kind(), eda::failure::Kind::Permanent);
    assert!(failure.chain().contains("items[0].quantity"), "{}", failure.chain());
    assert!(cloud.take_calls().is_empty());
}
