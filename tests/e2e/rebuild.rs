//! The orders' views are built anew on a deployed system, as its users ask for it, while orders come in.

use std::collections::BTreeSet;
use std::time::Duration;

use eda::event_store::StoredEvent;
use eda::row::from_item;
use eda::view::Generations;
use localcloud::{Stack, sample_order};
use serde_json::{Value, json};
use shop::books::Books;
use shop::order::ORDERS;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::clouds::{eventually, run};
use super::xtask::Place;

/// Between two orders that come in.
const PAUSE: Duration = Duration::from_millis(400);

#[test]
fn views_are_built_anew_under_traffic_and_readers_are_sent_there_and_back() {
    run(async {
        let place = Place::new();
        let none = place.try_run(&["rebuild"]).await;
        assert!(String::from_utf8_lossy(&none.stderr).contains("no local cloud is running"));
        let up = place.json(&["up", "--json"]).await;
        let text = |key: &str| up[key].as_str().unwrap().to_owned();
        let stack = Stack::describe(&text("endpoint"), &text("stack")).await.unwrap();
        assert!(place.run(&["rebuild", "status"]).await.contains("the views were never built anew"));
        refused(&place, "cancel", "no build is under way").await;
        refused(&place, "rollback", "there is no generation to go back to").await;
        let before = place_orders(&stack, 5).await;
        let traffic = keep_placing(stack.clone());

        // A build that is given up leaves readers where they are, and its number is never used again.
        let mut given_up = place.start(&["rebuild", "--rate", "50"]).await;
        given_up.says("rebuilding the orders' views").await;
        refused(&place, "start", "a build is under way").await;
        let cancelled = place.json(&["rebuild", "cancel", "--json"]).await;
        assert_eq!((&cancelled["live"], &cancelled["build"]["state"]), (&json!(1), &json!("cancelled")));
        given_up.says("readers do not see what was built: the build was cancelled").await;
        assert_eq!(given_up.ended().await, Some(1));

        let built = place.json(&["rebuild", "--json"]).await;
        let meanwhile = traffic_of(traffic).await;
        assert_eq!((&built["live"], &built["previous"]), (&json!(4), &json!(1)), "{built}");
        assert_eq!(built["build"]["state"], "switched", "{built}");
        assert!(built["build"]["projected"].as_u64().unwrap() >= 5, "{built}");
        assert!(meanwhile.len() > 5, "{} orders came in meanwhile", meanwhile.len());
        let status = place.json(&["rebuild", "status", "--json"]).await;
        assert_eq!((&status["live"], &status["build"]), (&built["live"], &built["build"]));
        refused(&place, "start", "readers were sent to another generation moments ago").await;
        let mut orders = [before, meanwhile].concat();
        are_right(&stack, &orders, [4, 1]).await;

        // What comes in after the switch is in both, so that going back loses nothing.
        orders.extend(place_orders(&stack, 3).await);
        let back = place.run(&["rebuild", "rollback"]).await;
        assert!(
            back.starts_with("Readers see generation 1; the build of generation 4 was taken back"),
            "{back}"
        );
        are_right(&stack, &orders, [1, 4]).await;
        let forth = place.json(&["rebuild", "rollback", "--json"]).await;
        assert_eq!((&forth["live"], &forth["build"]["state"]), (&json!(4), &json!("switched")));

        place.run(&["down"]).await;
        place.is_left().await;
    });
}

/// A command that cannot be carried out says why, and fails.
async fn refused(place: &Place, action: &str, reason: &str) {
    let output = place.try_run(&["rebuild", action, "--json"]).await;
    let (report, errors) = (serde_json::from_slice::<Value>(&output.stdout), output.stderr);
    assert_eq!(output.status.code(), Some(1), "{action}");
    assert_eq!(report.unwrap()["refused"], reason, "{action}");
    assert_eq!(String::from_utf8(errors).unwrap(), format!("error: {reason}\n"), "{action}");
}

/// Places an order; answers its id.
async fn place_order(stack: &Stack) -> String {
    let key = Uuid::now_v7().to_string();
    let answer = stack.post("/orders", &[("idempotency-key", &key)], &sample_order()).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json::<Value>().unwrap()["orderId"].as_str().unwrap().to_owned()
}

async fn place_orders(stack: &Stack, count: usize) -> Vec<String> {
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(place_order(stack).await);
    }
    orders
}

/// Orders that come in until somebody asks for their ids.
type Traffic = (tokio::sync::oneshot::Sender<()>, JoinHandle<Vec<String>>);

fn keep_placing(stack: Stack) -> Traffic {
    let (end, mut ended) = tokio::sync::oneshot::channel();
    let placing = tokio::spawn(async move {
        let mut orders = Vec::new();
        while ended.try_recv().is_err() {
            orders.push(place_order(&stack).await);
            tokio::time::sleep(PAUSE).await;
        }
        orders
    });
    (end, placing)
}

async fn traffic_of((end, placing): Traffic) -> Vec<String> {
    end.send(()).unwrap();
    placing.await.unwrap()
}

/// Every order ends, and its views in these generations are the folds of its events.
async fn are_right(stack: &Stack, orders: &[String], generations: [u64; 2]) {
    for order in orders {
        let ended = async || {
            let order: Value = stack.get(&format!("/orders/{order}")).await.ok()?.json().ok()?;
            (order["status"] != "open").then_some(())
        };
        eventually("every order ends", ended).await;
    }
    // The generation that readers do not see may be moments behind.
    let right = async || {
        let books = books(stack).await;
        assert_eq!(books.whole(), generations);
        let kept: BTreeSet<_> = books.events.iter().map(|event| &event.aggregate_id).collect();
        assert_eq!(kept.len(), orders.len());
        books.views().is_empty().then_some(())
    };
    eventually("every view equals the fold of its events", right).await;
}

/// The events and the views.
async fn books(stack: &Stack) -> Books {
    let items = async |table: &str| stack.items(table).await.unwrap().into_iter();
    let events = items("EventStoreTable").await.filter(|item| item.contains_key("eventType"));
    let mut generations =
        items("ProjectionsTable").await.filter_map(|item| from_item::<Generations>(item).ok());
    Books {
        events: events.map(|item| from_item::<StoredEvent>(item).unwrap()).collect(),
        views: items("OrderViewsTable").await.map(|item| from_item(item).unwrap()).collect(),
        generations: generations.find(|row| row.projection == ORDERS),
        ..Books::default()
    }
}
