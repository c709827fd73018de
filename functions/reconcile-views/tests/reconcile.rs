//! The reconciliation against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use eda::event::{Cause, Emission, SagaStyle};
use eda::serve::perform;
use eda::testing::TestCloud;
use eda::view::{Reconciled, View};
use reconcile_views::ReconcileViews;
use shop::order::{OrderView, OrderViewRow};
use shop::testing::{open_order, order_placed};

const SAMPLE: &str = include_str!("../events/schedule.json");

fn place(cloud: &TestCloud, id: &str) {
    let placed = order_placed(id, &[("keyboard", 2)]);
    let event =
        Emission::new(&Cause::root(SagaStyle::Choreographed, None), &placed, &cloud.ambient()).unwrap();
    cloud.put_aggregate("EventStoreTable", id, &open_order(id), &[event]);
}

async fn reconcile(cloud: &TestCloud) -> Reconciled {
    let function = cloud.start::<ReconcileViews>().await;
    let input: Box<serde_json::value::RawValue> = serde_json::from_str(SAMPLE).unwrap();
    perform(&function, &input, cloud.deadline()).await.unwrap()
}

fn view(cloud: &TestCloud, id: &str) -> Option<OrderView> {
    cloud.get("OrderViewsTable", OrderViewRow::key(id, 1)).map(|row| row.view().unwrap())
}

#[tokio::test]
async fn an_order_whose_doorbell_was_lost_gets_its_view() {
    let cloud = TestCloud::of("reconcile-views");
    place(&cloud, "o1");
    assert_eq!(
        reconcile(&cloud).await,
        Reconciled { checked: 1, repaired: 1, unreadable: 0, complete: true }
    );
    assert_eq!(view(&cloud, "o1").unwrap().version, 1);
    assert_eq!(
        cloud.take_call_names(),
        [
            "dynamodb:GetItem",
            "dynamodb:Scan",
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:PutItem",
        ]
    );
}

#[tokio::test]
async fn views_that_are_current_cost_one_read_together() {
    let cloud = TestCloud::of("reconcile-views");
    for id in ["o1", "o2", "o3"] {
        place(&cloud, id);
    }
    reconcile(&cloud).await;
    cloud.take_calls();
    assert_eq!(
        reconcile(&cloud).await,
        Reconciled { checked: 3, repaired: 0, unreadable: 0, complete: true }
    );
    assert_eq!(
        cloud.take_call_names(),
        ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:GetItem", "dynamodb:BatchGetItem"]
    );
}
