//! What becomes of an order outside its saga, asked of the deployed system.

use jiff::Timestamp;
use localcloud::sample_order;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clouds::{eventually, run, shared};

#[test]
fn a_customers_feed_says_what_happened_to_their_order_in_order() {
    run(async {
        let stack = shared().await.stack();
        let customer = format!("customer-{}", Uuid::now_v7());
        let mut order = sample_order();
        order["customerId"] = json!(customer);
        let key = Uuid::now_v7().to_string();
        let accepted = stack.post("/orders", &[("idempotency-key", &key)], &order).await.unwrap();
        let accepted: Value = accepted.json().unwrap();
        let feed = async || {
            let answer = stack.get(&format!("/customers/{customer}/activity?limit=3")).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json::<Value>().unwrap()
        };
        let told = async || {
            let feed = feed().await;
            (feed["activity"][0]["type"] == "OrderConfirmed").then_some(feed)
        };
        let first = eventually("the feed says that the order is confirmed", told).await;
        let cursor = first["nextCursor"].as_str().unwrap();
        let rest = stack.get(&format!("/customers/{customer}/activity?cursor={cursor}")).await.unwrap();
        let rest: Value = rest.json().unwrap();
        let entries = [&first, &rest].map(|page| page["activity"].as_array().unwrap().clone()).concat();
        let types: Vec<_> = entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["OrderConfirmed", "OrderShipped", "PaymentProcessed", "OrderPlaced"]);
        assert!(entries.iter().all(|entry| entry["orderId"] == accepted["orderId"]), "{entries:?}");
        assert_eq!(rest.get("nextCursor"), None);
    });
}

#[test]
fn what_an_order_brought_in_is_in_the_window_of_the_time_at_which_it_was_paid() {
    run(async {
        let stack = shared().await.stack();
        let customer = format!("customer-{}", Uuid::now_v7());
        let mut order = sample_order();
        order["customerId"] = json!(customer);
        // Of a currency of its own, for other tests sell too.
        order["currency"] = json!("NZD");
        let key = Uuid::now_v7().to_string();
        assert_eq!(stack.post("/orders", &[("idempotency-key", &key)], &order).await.unwrap().status, 202);
        let paid = async || {
            let feed = stack.get(&format!("/customers/{customer}/activity")).await.unwrap();
            let feed: Value = feed.json().unwrap();
            let entries = feed["activity"].as_array().unwrap().clone();
            entries.into_iter().find(|entry| entry["type"] == "PaymentProcessed")
        };
        let paid = eventually("the order is paid", paid).await;
        let at = paid["at"].as_str().unwrap();
        // The windows of that minute and the next.
        let span = format!("from={}:00Z&to={}", &at[..16], "2999-01-01T00:00:00Z");
        assert_eq!(
            stack.get(&format!("/sales?{span}")).await.unwrap().status,
            400,
            "a longer span than seven days"
        );
        let day = &at[..10];
        let found = async || {
            // Windows are closed by the schedule, which comes more often here.
            stack.invoke("close-sales", b"{}").await.unwrap();
            let answer = stack.get(&format!("/sales?from={day}T00:00:00Z&to={day}T23:59:59Z")).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let windows: Value = answer.json().unwrap();
            let mut windows = windows["windows"].as_array().unwrap().clone().into_iter();
            windows.find(|window| {
                let ours = window["revenue"].as_array().unwrap().iter().any(|sum| sum["currency"] == "NZD");
                ours && window["closed"] == true
            })
        };
        let window = eventually("its window is closed", found).await;
        let sum = window["revenue"].as_array().unwrap().iter().find(|sum| sum["currency"] == "NZD").unwrap();
        assert_eq!(sum["amount"], paid["amount"]);
        let [start, at, end] = [&window["start"], &paid["at"], &window["end"]]
            .map(|time| time.as_str().unwrap().parse::<Timestamp>().unwrap());
        assert!(start <= at && at < end, "{window} {at}");
    });
}
