//! The orchestrated saga on the deployed system: over HTTP, through the rules, by a state machine that calls the functions.

use localcloud::{Stack, products, sample_order};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clouds::{eventually, run, shared};
use super::ops::ops;

/// An order of so many pieces of a product that costs 89.90.
fn order(quantity: u32, card: &str, country: &str) -> Value {
    let mut order = sample_order();
    // Of the standard tier, which may order for less than 10,000 keyboards cost.
    order["customerId"] = json!("customer-2");
    let keyboard = &products()[0];
    order["items"] =
        json!([{ "productId": keyboard.product_id, "quantity": quantity, "price": keyboard.price() }]);
    order["paymentMethod"] = json!(card);
    order["shippingAddress"]["country"] = json!(country);
    order
}

/// Places it and waits for its end; its id and how it ended.
async fn end_of(stack: &Stack, order: &Value) -> (String, Value) {
    let key = Uuid::now_v7().to_string();
    let accepted = stack.post("/orders", &[("idempotency-key", &key)], order).await.unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let id = accepted.json::<Value>().unwrap()["orderId"].as_str().unwrap().to_owned();
    let ended = async || {
        let view: Value = stack.get(&format!("/orders/{id}")).await.unwrap().json().unwrap();
        (view["status"] != "open").then_some(view)
    };
    let view = eventually("the order has ended", ended).await;
    (id, view)
}

/// How the execution of an order ended; none, if it has none.
async fn execution_of(stack: &Stack, order_id: &str) -> Option<String> {
    let ended = async || {
        let status = stack.execution(order_id).await.unwrap();
        (status.as_deref() != Some("RUNNING")).then_some(status)
    };
    eventually("the execution has ended", ended).await
}

/// The states that its story says its execution was in, but for those of the fork's branches, which the local cloud does not tell.
fn visited(story: &Value) -> Vec<&str> {
    let states = story["execution"]["states"].as_array().unwrap();
    assert!(states.iter().all(|state| state["leftAt"].as_i64() >= state["enteredAt"].as_i64()), "{story:#}");
    let names = states.iter().map(|state| state["state"].as_str().unwrap());
    names.filter(|name| !["ValidateInventory", "CheckCredit", "CalculateShipping"].contains(name)).collect()
}

async fn row(stack: &Stack, table: &str, order_id: &str) -> Value {
    let rows = stack.rows(table).await.unwrap();
    rows.into_iter().find(|row| row["orderId"] == order_id).unwrap_or_default()
}

#[test]
fn an_order_of_high_value_is_confirmed_by_its_execution() {
    run(async {
        let stack = shared().await.stack();
        let (id, view) = end_of(stack, &order(12, "pm_card_visa", "US")).await;
        assert_eq!(view["status"], "confirmed", "{view}");
        assert_eq!(execution_of(stack, &id).await.as_deref(), Some("SUCCEEDED"));
        let (_, story) = ops(stack, &["order", &id]).await;
        assert_eq!(story["execution"]["status"], "succeeded", "{story:#}");
        assert_eq!(visited(&story), ["Check", "Join", "Reserve", "Pay", "Ship", "Confirm"], "{story:#}");
        assert_eq!(row(stack, "ShipmentsTable", &id).await["status"], "shipped");
        assert_eq!(row(stack, "JoinsTable", &id).await, Value::Null, "the choreography had no part in it");
    });
}

#[test]
fn an_order_of_high_value_that_is_refused_is_undone_by_its_execution() {
    run(async {
        let stack = shared().await.stack();
        for (quantity, card, country, reason) in [
            (12, "pm_card_visa_chargeDeclined", "US", "card_declined"),
            (12, "pm_card_visa", "AQ", "destination_not_served"),
            // More than there is, and for more than anybody may order: the join tells all reasons.
            (10_000, "pm_card_visa", "AQ", "destination_not_served"),
        ] {
            let (id, view) = end_of(stack, &order(quantity, card, country)).await;
            assert_eq!(view["status"], "cancelled", "{view}");
            let told = view["reason"].as_str().unwrap();
            assert!(told.contains(reason), "{view}");
            assert_eq!(told.contains("credit_exceeded"), quantity == 10_000, "{view}");
            assert_eq!(execution_of(stack, &id).await.as_deref(), Some("SUCCEEDED"));
            let (_, story) = ops(stack, &["order", &id]).await;
            let errors =
                story["execution"]["states"].as_array().unwrap().iter().map(|state| &state["errors"]);
            let messages =
                errors.flat_map(|errors| errors.as_array().unwrap()).map(|error| &error["message"]);
            assert!(messages.clone().any(|message| message == told), "{story:#}");
            for (table, status) in
                [("ReservationsTable", "released"), ("PaymentsTable", "undone"), ("ShipmentsTable", "closed")]
            {
                assert_eq!(row(stack, table, &id).await["status"], status, "{card} {table}");
            }
        }
    });
}

#[test]
fn an_order_of_exactly_a_thousand_has_no_execution() {
    run(async {
        let stack = shared().await.stack();
        let mut exactly = order(1, "pm_card_visa", "US");
        exactly["items"][0]["price"] = json!(1_000);
        let (id, view) = end_of(stack, &exactly).await;
        assert_eq!(view["status"], "confirmed", "{view}");
        assert_eq!(execution_of(stack, &id).await, None);
        let (_, story) = ops(stack, &["order", &id]).await;
        assert_eq!((&story["saga"], &story["execution"]), (&json!("choreographed"), &Value::Null));
    });
}
