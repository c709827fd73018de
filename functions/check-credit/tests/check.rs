//! The check of the credit, against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use check_credit::CheckCredit;
use eda::Failure;
use eda::serve::perform;
use eda::testing::{TestCloud, bus_event};
use rust_decimal::Decimal;
use serde_json::Value;
use serde_json::value::to_raw_value;
use shop::checks::Finding;
use shop::customer::Customer;
use shop::money::Money;
use shop::testing::{CUSTOMER, order_placed};

async fn check(cloud: &TestCloud, document: &Value) -> Result<Finding, Failure> {
    let function = cloud.start::<CheckCredit>().await;
    cloud.take_calls();
    perform(&function, &to_raw_value(document).unwrap(), cloud.deadline()).await
}

fn order(cloud: &TestCloud, total: i64) -> Value {
    let mut order = order_placed("o1", &[("keyboard", 1)]);
    order.total_amount = Money::new(Decimal::from(total));
    bus_event(cloud, &order)
}

#[tokio::test]
async fn the_customers_tier_is_looked_up_by_one_call_and_says_how_much_they_may_order_for() {
    let cloud = TestCloud::of("check-credit");
    let gold = Customer { customer_id: CUSTOMER.into(), name: None, tier: Some("gold".into()), email: None };
    cloud.put("CustomersTable", &gold);
    assert!(check(&cloud, &order(&cloud, 1_000_000)).await.unwrap().reasons.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    assert_eq!(check(&cloud, &order(&cloud, 1_000_001)).await.unwrap().reasons, ["credit_exceeded"]);
}

#[tokio::test]
async fn a_customer_of_whom_nothing_is_known_may_order_as_most_may() {
    let cloud = TestCloud::of("check-credit");
    assert!(check(&cloud, &order(&cloud, 10_000)).await.unwrap().reasons.is_empty());
    assert_eq!(check(&cloud, &order(&cloud, 10_001)).await.unwrap().reasons, ["credit_exceeded"]);
}
