//! The join of the checks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aggregate_results::{AggregateResults, Approval};
use eda::Failure;
use eda::failure::PERMANENT;
use eda::serve::perform;
use eda::testing::TestCloud;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

async fn join(findings: Value) -> Result<Approval, Failure> {
    let cloud = TestCloud::of("aggregate-results");
    let function = cloud.start::<AggregateResults>().await;
    let joined = perform(&function, &to_raw_value(&findings).unwrap(), cloud.deadline()).await;
    assert!(cloud.take_calls().is_empty(), "nobody is asked");
    joined
}

fn finding(check: &str, reasons: &[&str]) -> Value {
    json!({ "check": check, "reasons": reasons })
}

#[tokio::test]
async fn an_order_is_approved_where_all_checks_approve() {
    let mut shipping = finding("shipping", &[]);
    shipping["shipping"] = json!({ "method": "parcel", "packages": 1, "days": 3 });
    let approval = join(json!([finding("stock", &[]), finding("credit", &[]), shipping])).await.unwrap();
    assert!(approval.approved);
    assert_eq!(approval.shipping.unwrap().days, 3);
}

#[tokio::test]
async fn an_order_is_refused_with_all_reasons_under_the_name_that_the_state_machine_knows() {
    let found = json!([
        finding("stock", &["out_of_stock"]),
        finding("credit", &["credit_exceeded"]),
        finding("shipping", &[])
    ]);
    let refused = join(found).await.unwrap_err();
    assert_eq!((refused.name(), refused.chain().as_str()), ("OrderRefused", "out_of_stock, credit_exceeded"));
}

#[tokio::test]
async fn a_check_that_is_missing_or_wrong_is_named_and_approves_nothing() {
    let missing = join(json!([finding("stock", &[]), finding("shipping", &[])])).await.unwrap_err();
    assert_eq!(
        (missing.name(), missing.chain().contains("credit")),
        (PERMANENT, true),
        "{}",
        missing.chain()
    );
    let wrong = join(json!([{ "check": "stock", "reasons": "none" }])).await.unwrap_err();
    assert!(wrong.chain().contains("[0].reasons"), "{}", wrong.chain());
}
