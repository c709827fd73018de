//! The check of the shipping, which asks nobody.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use calculate_shipping::CalculateShipping;
use eda::serve::perform;
use eda::testing::{TestCloud, bus_event};
use serde_json::Value;
use serde_json::value::to_raw_value;
use shop::checks::{Finding, Method};
use shop::testing::{order_placed, unserved_address};

async fn check(cloud: &TestCloud, document: &Value) -> Finding {
    let function = cloud.start::<CalculateShipping>().await;
    perform(&function, &to_raw_value(document).unwrap(), cloud.deadline()).await.unwrap()
}

#[tokio::test]
async fn an_order_goes_by_parcel_or_freight_and_nobody_is_asked() {
    let cloud = TestCloud::of("calculate-shipping");
    for (pieces, method) in [(3, Method::Parcel), (500, Method::Freight)] {
        let order = bus_event(&cloud, &order_placed("o1", &[("keyboard", pieces)]));
        assert_eq!(check(&cloud, &order).await.shipping.unwrap().method, method);
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn an_order_that_goes_where_nobody_ships_is_refused() {
    let cloud = TestCloud::of("calculate-shipping");
    let mut order = order_placed("o1", &[("keyboard", 1)]);
    order.shipping_address = Some(unserved_address());
    assert_eq!(check(&cloud, &bus_event(&cloud, &order)).await.reasons, ["destination_not_served"]);
}
