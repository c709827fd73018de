//! The projection against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::batch::{Deadline, StreamWorker};
use eda::event::Contract;
use eda::event_store::{Fold, StoredEvent};
use eda::testing::{Fault, TestCloud, stored_event, stream_batch};
use eda::view::{FIRST_GENERATION, Generations, View};
use project_orders::ProjectOrders;
use serde_json::json;
use shop::events::{OrderCancelled, OrderConfirmed};
use shop::order::{OrderStatus, OrderView, OrderViewRow};
use shop::testing::{CUSTOMER, order_placed};

const FIRST: &[&str] = &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"];

fn cloud() -> TestCloud {
    TestCloud::of("project-orders")
}

/// Appends an event to the store.
fn append<T: Contract>(cloud: &TestCloud, version: u64, data: &T) -> StoredEvent {
    let stored = stored_event(cloud, version, data);
    cloud.put("EventStoreTable", &stored);
    stored
}

fn placed(cloud: &TestCloud, order: &str) -> StoredEvent {
    append(cloud, 1, &order_placed(order, &[("keyboard", 2)]))
}

fn confirmed(cloud: &TestCloud, order: &str) -> StoredEvent {
    append(cloud, 2, &OrderConfirmed { order_id: order.into(), customer_id: CUSTOMER.into() })
}

fn cancelled(cloud: &TestCloud, order: &str) -> StoredEvent {
    let (customer_id, reason) = (CUSTOMER.into(), "out_of_stock".into());
    append(cloud, 2, &OrderCancelled { order_id: order.into(), customer_id, reason })
}

/// An event that nobody can read.
fn unreadable(cloud: &TestCloud, order: &str, version: u64) -> StoredEvent {
    let stored = StoredEvent {
        aggregate_id: order.into(),
        version,
        event_type: "OrderVanished".into(),
        event_id: "e".into(),
        detail: "{}".into(),
    };
    cloud.put("EventStoreTable", &stored);
    stored
}

/// The function in a new environment, which knows which generations there are.
async fn started(cloud: &TestCloud) -> ProjectOrders {
    let function = cloud.start::<ProjectOrders>().await;
    let calls = cloud.take_call_names();
    assert_eq!(calls.last().map(String::as_str), Some("dynamodb:GetItem"));
    function
}

/// Delivers the events' records, and gives the sequence number to go on from.
async fn ring(cloud: &TestCloud, events: &[&StoredEvent]) -> Option<String> {
    deliver(cloud, events, cloud.deadline()).await
}

async fn deliver(cloud: &TestCloud, events: &[&StoredEvent], deadline: Deadline) -> Option<String> {
    let worker = StreamWorker::new(started(cloud).await);
    let events: Vec<_> = events.iter().map(|event| (*event).clone()).collect();
    let response = worker.handle(stream_batch(&events), deadline).await;
    assert!(response.batch_item_failures.len() <= 1);
    response.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier)
}

fn view(cloud: &TestCloud, order: &str) -> Option<OrderView> {
    let row = cloud.get("OrderViewsTable", OrderViewRow::key(order, FIRST_GENERATION))?;
    let view = row.view().unwrap();
    assert_eq!(row.checkpoint, view.version);
    Some(view)
}

fn fold(events: &[&StoredEvent]) -> Option<OrderView> {
    let events: Vec<_> = events.iter().map(|event| (*event).clone()).collect();
    OrderView::fold(None, &events).unwrap()
}

#[tokio::test]
async fn a_view_is_the_fold_of_the_orders_events_for_three_calls() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed]));

    cloud.advance(Duration::from_secs(60));
    let cancelled = cancelled(&cloud, "o1");
    assert_eq!(ring(&cloud, &[&cancelled]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    let view = view(&cloud, "o1").unwrap();
    assert_eq!(Some(view.clone()), fold(&[&placed, &cancelled]));
    assert_eq!((view.status, view.reason.as_deref()), (OrderStatus::Cancelled, Some("out_of_stock")));
}

#[tokio::test]
async fn an_order_costs_three_calls_whatever_the_batch_held_for_it() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    assert_eq!(ring(&cloud, &[&placed, &confirmed, &placed, &confirmed]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn a_doorbell_that_rings_again_is_skipped_for_one_call() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    ring(&cloud, &[&placed]).await;
    cloud.take_calls();
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
}

#[tokio::test]
async fn an_older_doorbell_never_takes_a_view_back() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    ring(&cloud, &[&confirmed]).await;
    cloud.take_calls();
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    assert_eq!(view(&cloud, "o1").unwrap().status, OrderStatus::Confirmed);
}

#[tokio::test]
async fn what_no_doorbell_rang_for_is_fetched_with_the_next() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    assert_eq!(ring(&cloud, &[&confirmed]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn events_after_the_doorbells_are_applied_at_once() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    ring(&cloud, &[&placed]).await;
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn orders_of_one_batch_are_projected_side_by_side() {
    let cloud = cloud();
    let events: Vec<_> = (0..25).map(|index| placed(&cloud, &format!("o{index}"))).collect();
    assert_eq!(ring(&cloud, &events.iter().collect::<Vec<_>>()).await, None);
    assert_eq!(cloud.rows::<OrderViewRow>("OrderViewsTable").len(), 25);
    assert_eq!(cloud.take_calls().len(), 75);
}

#[tokio::test]
async fn a_lost_race_goes_on_from_the_view_that_won() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    // Between our read and our write, another projector writes the view of the first event.
    let winner = OrderViewRow::of(&fold(&[&placed]).unwrap(), FIRST_GENERATION).unwrap();
    cloud.put("OrderViewsTable", &winner);
    // The first is about the generations.
    for _ in 0..2 {
        cloud.inject("dynamodb:GetItem", Fault::Answered(json!({})));
    }
    assert_eq!(ring(&cloud, &[&confirmed]).await, None);
    assert_eq!(
        cloud.take_call_names(),
        [FIRST, &["dynamodb:Query", "dynamodb:PutItem"]].concat(),
        "the refused write tells what the view is"
    );
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn a_race_lost_to_a_newer_view_is_done() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    let winner = OrderViewRow::of(&fold(&[&placed, &confirmed]).unwrap(), FIRST_GENERATION).unwrap();
    cloud.put("OrderViewsTable", &winner);
    // The first is about the generations.
    for _ in 0..2 {
        cloud.inject("dynamodb:GetItem", Fault::Answered(json!({})));
    }
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn a_race_that_is_always_lost_is_left_to_the_next_delivery() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    for _ in 0..4 {
        let refused = Fault::Refused(400, "ConditionalCheckFailedException", json!({}));
        cloud.inject("dynamodb:PutItem", refused);
    }
    assert_eq!(ring(&cloud, &[&placed]).await.as_deref(), Some("100"));
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed]));
}

#[tokio::test]
async fn two_projectors_at_once_leave_one_right_view() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    let doorbells = [&placed, &confirmed];
    let answers = tokio::join!(ring(&cloud, &doorbells[..1]), ring(&cloud, &doorbells[1..]));
    assert_eq!(answers, (None, None));
    assert_eq!(view(&cloud, "o1"), fold(&doorbells));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_read_as_what_it_was() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    cloud.inject("dynamodb:PutItem", Fault::ReplyLost);
    assert_eq!(ring(&cloud, &[&placed]).await, None);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed]));
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_the_stream_stops_at_the_first_doorbell_that_is_not_answered() {
    let cloud = cloud();
    let (one, two) = (placed(&cloud, "o1"), placed(&cloud, "o2"));
    ring(&cloud, &[&one]).await;
    for _ in 0..3 {
        cloud.inject("dynamodb:Query", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(ring(&cloud, &[&one, &two, &one]).await.as_deref(), Some("101"));
    assert_eq!(ring(&cloud, &[&two, &one]).await, None);
    assert_eq!(view(&cloud, "o2"), fold(&[&two]));
}

#[tokio::test]
async fn an_order_with_an_unreadable_event_does_not_hold_up_the_others() {
    let cloud = cloud();
    let (one, two) = (placed(&cloud, "o1"), placed(&cloud, "o2"));
    ring(&cloud, &[&one]).await;
    let poison = unreadable(&cloud, "o1", 2);
    assert_eq!(ring(&cloud, &[&poison, &two]).await, None);
    assert_eq!(view(&cloud, "o1"), fold(&[&one]), "the view stays as it was; the event stays in the store");
    assert_eq!(view(&cloud, "o2"), fold(&[&two]));
}

#[tokio::test]
async fn an_event_that_is_missing_in_the_middle_is_waited_for() {
    let cloud = cloud();
    placed(&cloud, "o1");
    let later = unreadable(&cloud, "o1", 3);
    assert_eq!(ring(&cloud, &[&later]).await.as_deref(), Some("100"));
    assert_eq!(view(&cloud, "o1"), None);
}

#[tokio::test]
async fn a_doorbell_without_events_is_passed_over() {
    let cloud = cloud();
    let elsewhere = placed(&TestCloud::of("project-orders"), "o1");
    assert_eq!(ring(&cloud, &[&elsewhere]).await, None);
    assert_eq!(view(&cloud, "o1"), None);
}

#[tokio::test]
async fn a_view_in_a_form_of_earlier_days_is_folded_anew() {
    let cloud = cloud();
    let (placed, confirmed) = (placed(&cloud, "o1"), confirmed(&cloud, "o1"));
    let row = OrderViewRow::of(&fold(&[&placed]).unwrap(), FIRST_GENERATION).unwrap();
    let old = OrderViewRow { document: r#"{"state": "OPEN"}"#.into(), ..row };
    cloud.put("OrderViewsTable", &old);
    assert_eq!(ring(&cloud, &[&confirmed]).await, None);
    assert_eq!(cloud.take_call_names(), FIRST);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed, &confirmed]));
}

#[tokio::test]
async fn nothing_is_begun_after_the_deadline() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    assert_eq!(deliver(&cloud, &[&placed], Deadline::after(Duration::ZERO)).await.as_deref(), Some("100"));
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = cloud();
    let worker = StreamWorker::new(started(&cloud).await);
    let sample = serde_json::from_str(include_str!("../events/order-placed.json")).unwrap();
    assert!(worker.handle(sample, cloud.deadline()).await.batch_item_failures.is_empty());
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem", "dynamodb:Query"]);
}

#[tokio::test]
async fn while_a_view_is_rebuilt_both_generations_are_kept_up_to_date_together() {
    let cloud = cloud();
    let placed = placed(&cloud, "o1");
    let building = Generations::first("orders").started(cloud.ambient().now(), 100, 1).unwrap();
    cloud.put("ProjectionsTable", &building);
    let worker = StreamWorker::new(started(&cloud).await);
    assert!(
        worker
            .handle(stream_batch(std::slice::from_ref(&placed)), cloud.deadline())
            .await
            .batch_item_failures
            .is_empty()
    );
    let get = "dynamodb:GetItem";
    let together = [get, get, "dynamodb:Query", "dynamodb:TransactWriteItems"];
    assert_eq!(cloud.take_call_names(), together);
    assert_eq!(view(&cloud, "o1"), fold(&[&placed]));
    let row = cloud.get("OrderViewsTable", OrderViewRow::key("o1", 2)).unwrap();
    assert_eq!((row.generation, Some(row.view().unwrap())), (2, fold(&[&placed])));
}
