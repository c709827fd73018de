use eda::join::{Arrival, JoinRow, Joined, Parts};
use eda::row::Table;

use super::*;

const PARTS: Parts = Parts::new(&["hinge", "handle", "lock"]);

fn joins() -> Table<JoinRow> {
    Table::named("JoinsTable")
}

async fn arrive(cloud: &TestCloud, part: &'static str) -> Joined {
    let arrival = Arrival { join_id: "d", part, event_id: part, usually_last: part == "lock" };
    PARTS.arrive(&spine(cloud), &joins(), arrival, &event(cloud, &opened("d")), 1).await.unwrap()
}

#[tokio::test]
async fn in_the_usual_order_each_arrival_costs_one_call() {
    let cloud = cloud();
    assert_eq!(arrive(&cloud, "hinge").await, Joined::Waiting);
    assert_eq!(arrive(&cloud, "handle").await, Joined::Waiting);
    assert_eq!(arrive(&cloud, "lock").await, Joined::Completed);
    assert_eq!(
        cloud.take_call_names(),
        ["dynamodb:UpdateItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems"]
    );
}

#[tokio::test]
async fn in_every_order_and_with_duplicates_it_completes_exactly_once() {
    let parts = ["hinge", "handle", "lock"];
    for first in 0..3 {
        for second in (0..3).filter(|second| *second != first) {
            let third = 3 - first - second;
            let cloud = cloud();
            for index in [first, first, second, first, second, third, third, second, first] {
                arrive(&cloud, parts[index]).await;
            }
            assert_eq!(cloud.announced().len(), 1, "{first} {second} {third}");
        }
    }
}

#[tokio::test]
async fn a_wrong_guess_costs_one_call_more() {
    let cloud = cloud();
    arrive(&cloud, "lock").await;
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems", "dynamodb:UpdateItem"]);
    arrive(&cloud, "hinge").await;
    cloud.take_calls();
    assert_eq!(arrive(&cloud, "handle").await, Joined::Completed);
    assert_eq!(cloud.take_call_names(), ["dynamodb:UpdateItem", "dynamodb:TransactWriteItems"]);
}

#[tokio::test]
async fn parts_that_arrive_at_once_complete_it_exactly_once() {
    let cloud = cloud();
    let joined = tokio::join!(arrive(&cloud, "hinge"), arrive(&cloud, "handle"), arrive(&cloud, "lock"));
    let joined = [joined.0, joined.1, joined.2];
    assert_eq!(joined.iter().filter(|joined| **joined == Joined::Completed).count(), 1);
    assert_eq!(cloud.announced().len(), 1);
}
