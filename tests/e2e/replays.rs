//! The archive, replayed: whatever happened happens once all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eda::testing::template::Resource;
use localcloud::rehearsal::{events_in, rehearse};
use localcloud::{LocalCloud, Stack};
use serde_json::{Value, json};
use shop::testing::place_order;

use super::clouds::{PATIENCE, eventually, own, run};
use super::ops::ops;

/// Tables that change by themselves: the breaker's, and how far the scheduled reconciliation has come.
const OWN_PACE: [&str; 2] = ["CircuitsTable", "ProjectionsTable"];

/// An order that is to end so, after these steps.
struct Case {
    key: &'static str,
    end: &'static str,
    steps: &'static [&'static str],
    order: Value,
}

fn cases() -> [Case; 4] {
    let order = serde_json::to_value(place_order(&[("keyboard", 1)])).unwrap();
    let with = |pointer: &str, value: &str| {
        let mut order = order.clone();
        *order.pointer_mut(pointer).unwrap() = json!(value);
        order
    };
    const FULFILLED: &[&str] = &[
        "OrderPlaced",
        "InventoryReserved",
        "PaymentProcessed",
        "OrderShipped",
        "AllStepsComplete",
        "OrderConfirmed",
    ];
    const SOLD_OUT: &[&str] = &["OrderPlaced", "InventoryReservationFailed", "OrderCancelled"];
    const DECLINED: &[&str] =
        &["OrderPlaced", "InventoryReserved", "PaymentFailed", "InventoryReleased", "OrderCancelled"];
    const REFUSED: &[&str] = &[
        "OrderPlaced",
        "InventoryReserved",
        "PaymentProcessed",
        "ShipmentFailed",
        "PaymentRefunded",
        "InventoryReleased",
        "OrderCancelled",
    ];
    let sold_out = with("/items/0/productId", "sold-out-poster");
    let declined = with("/paymentMethod", "pm_card_visa_chargeDeclined");
    let refused = with("/shippingAddress/country", "AQ");
    [
        Case { key: "fulfilled", end: "confirmed", steps: FULFILLED, order },
        Case { key: "sold-out", end: "cancelled", steps: SOLD_OUT, order: sold_out },
        Case { key: "declined", end: "cancelled", steps: DECLINED, order: declined },
        Case { key: "refused", end: "cancelled", steps: REFUSED, order: refused },
    ]
}

/// Answers the orders' ids.
async fn all_have_ended(stack: &Stack) -> Vec<String> {
    let mut ids = Vec::new();
    for Case { key, end, order, .. } in cases() {
        let accepted = stack.post("/orders", &[("idempotency-key", key)], &order).await.unwrap();
        let accepted: Value = accepted.json().unwrap();
        let id = accepted["orderId"].as_str().unwrap().to_owned();
        let ended = async || {
            let view: Value = stack.get(&format!("/orders/{id}")).await.ok()?.json().ok()?;
            (view["status"] == end).then_some(())
        };
        eventually(&format!("the order {key} is {end}"), ended).await;
        ids.push(id);
    }
    ids
}

/// Nothing is on its way: no event in the outbox, no message in a queue that a function reads.
async fn quiet(stack: &Stack) {
    let template = system_tests::template().unwrap();
    let queues = template.resources("AWS::SQS::Queue").into_iter();
    let fed = queues.filter(|queue: &Resource| queue.properties["RedrivePolicy"].is_object());
    let fed: Vec<_> = fed.map(|queue| queue.logical_id).collect();
    let calm = async || {
        for queue in &fed {
            if stack.queue_depth(queue).await.ok()?.total() > 0 {
                return None;
            }
        }
        stack.items("OutboxTable").await.ok()?.is_empty().then_some(())
    };
    eventually("nothing is on its way", calm).await;
}

/// All that a replay must not change: rows, the gateway's books, mails.
async fn everything(cloud: &LocalCloud) -> BTreeMap<String, BTreeSet<String>> {
    let stack = cloud.stack();
    let mut all = BTreeMap::new();
    let tables = system_tests::template().unwrap().resources("AWS::DynamoDB::Table");
    for table in
        tables.into_iter().map(|table| table.logical_id).filter(|table| !OWN_PACE.contains(&table.as_str()))
    {
        let rows = stack.rows(&table).await.unwrap();
        all.insert(table, rows.iter().map(ToString::to_string).collect());
    }
    let ledger = stack.fetch(&format!("{}/_localcloud/ledger", cloud.gateway_url())).await.unwrap();
    // An intent is asked for again, and is the same one: only what became of it counts.
    let ledger: Value = ledger.json().unwrap();
    all.insert("the gateway's books".to_owned(), BTreeSet::from([ledger["intents"].to_string()]));
    let mails = stack.fetch(&format!("{}/_ministack/ses/messages", stack.endpoint())).await.unwrap();
    all.insert("mails".to_owned(), BTreeSet::from([mails.text()]));
    all
}

/// Over outbox, bus, queues and steps to the end: whoever took one of the order's events has said so, with the id that all of them
/// share. What an HTTP request logs does not reach the emulator's log.
fn the_logs_join_on_the_correlation_id(cloud: &LocalCloud, story: &Value) {
    let log = std::fs::read_to_string(cloud.folder().join("emulator.log")).unwrap();
    let lines =
        log.lines().filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
    let ours = |line: &Value| {
        ["/span/correlationId", "/fields/correlationId"]
            .iter()
            .any(|place| line.pointer(place) == Some(&story["correlationId"]))
    };
    let joined: Vec<_> = lines.filter(ours).collect();
    // Nobody here waits for the end itself.
    let steps = story["steps"].as_array().unwrap();
    for step in steps.iter().take(steps.len() - 1) {
        let taken = joined.iter().any(|line| line["span"]["eventId"] == step["eventId"]);
        assert!(taken, "no line about {step} among {}", joined.len());
    }
}

#[test]
fn replaying_the_whole_archive_changes_no_view_charges_nobody_and_mails_nobody() {
    run(async {
        let cloud = own().await;
        let stack = cloud.stack();
        let ids = all_have_ended(stack).await;
        quiet(stack).await;
        for (case, id) in cases().iter().zip(&ids) {
            let (_, story) = ops(stack, &["order", id]).await;
            let steps = story["steps"].as_array().unwrap();
            let told: Vec<_> = steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
            assert_eq!(told, case.steps, "{}: {story:#}", case.key);
            assert!(steps.iter().skip(1).all(|step| step["afterMs"].as_i64() >= Some(0)), "{story:#}");
            the_logs_join_on_the_correlation_id(&cloud, &story);
        }
        let before = everything(&cloud).await;
        let mails: Value = serde_json::from_str(before["mails"].first().unwrap()).unwrap();
        assert!(mails.to_string().contains("example.com"), "receipts were mailed: {mails}");

        let window = ["replay", "start", "--from", "2026-01-01T00:00:00Z"];
        let (_, would) = ops(stack, &[&window[..], &["--dry-run"]].concat()).await;
        assert_eq!(would["would"]["start"]["from"], "2026-01-01T00:00:00Z");
        let (code, replayed) = ops(stack, &window).await;
        assert_eq!((code, &replayed["state"]), (0, &json!("COMPLETED")), "{replayed:#}");
        assert_eq!(replayed["deadLetters"], 0);
        let (_, status) = ops(stack, &["replay", "status", replayed["name"].as_str().unwrap()]).await;
        assert_eq!(status["percent"], 100);

        quiet(stack).await;
        let after = everything(&cloud).await;
        for (what, before) in &before {
            assert_eq!(after.get(what), Some(before), "{what}");
        }
    });
}

#[test]
fn events_from_a_file_are_published_and_what_follows_is_verified() {
    run(async {
        let cloud = own().await;
        let sample =
            std::fs::read_to_string(super::samples::file("reserve-inventory", "order-placed")).unwrap();
        let events = events_in(&sample).unwrap();
        let expected = ["InventoryReserved", "PaymentProcessed", "OrderShipped"].map(str::to_owned);
        let told = rehearse(cloud.stack(), &events, &expected, PATIENCE).await.unwrap();
        assert_eq!((told.published, told.missing.as_slice()), (events.len(), &[][..]), "{told:#?}");
        let never = ["OrderReturned".to_owned()];
        let told = rehearse(cloud.stack(), &events, &never, Duration::from_secs(1)).await.unwrap();
        assert_eq!(told.missing, never, "{told:#?}");
    });
}
