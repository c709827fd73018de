//! What the API promises its callers, asked of the deployed one.

use std::collections::BTreeSet;

use localcloud::{Answer, Stack, sample_order};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clouds::{eventually, run, shared};

const PROBLEM: Option<&str> = Some("application/problem+json");

/// A key that no other test uses.
fn new_key() -> String {
    Uuid::now_v7().to_string()
}

async fn place(stack: &Stack, key: &str, body: impl Into<Vec<u8>>) -> Answer {
    stack.post_raw("/orders", &[("idempotency-key", key)], body.into()).await.unwrap()
}

fn fields(answer: &Answer) -> BTreeSet<String> {
    let problem: Value = answer.json().unwrap();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

/// A problem of RFC 9457 that says the status again.
fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), PROBLEM);
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
    }
}

#[test]
fn an_order_is_accepted_can_be_read_at_once_and_is_confirmed() {
    run(async {
        let stack = shared().await.stack();
        let accepted = place(stack, &new_key(), sample_order().to_string()).await;
        let location = accepted.header("location").unwrap().to_owned();
        // Read before anything else: the view may not be there yet, the order is.
        let read = stack.get(&location).await.unwrap();

        assert_eq!(accepted.status, 202, "{}", accepted.text());
        assert_eq!(accepted.header("content-type"), Some("application/json"));
        let body: Value = accepted.json().unwrap();
        assert_eq!(body["status"], "accepted");
        assert_eq!(location, format!("/orders/{}", body["orderId"].as_str().unwrap()));
        assert_eq!(read.status, 200, "{}", read.text());
        let order: Value = read.json().unwrap();
        assert_eq!(order["orderId"], body["orderId"]);
        assert_eq!(order["customerId"], sample_order()["customerId"]);
        let confirmed = async || {
            let answer = stack.get(&location).await.unwrap();
            assert_eq!(answer.status, 200, "an order that was there is gone: {}", answer.text());
            (answer.json::<Value>().unwrap()["status"] == "confirmed").then_some(())
        };
        eventually("the order is confirmed", confirmed).await;
    });
}

#[test]
fn an_accepted_order_is_never_unknown() {
    run(async {
        let stack = shared().await.stack();
        for _ in 0..20 {
            let accepted = place(stack, &new_key(), sample_order().to_string()).await;
            let read = stack.get(accepted.header("location").unwrap()).await.unwrap();
            assert_eq!(read.status, 200, "{}", read.text());
        }
    });
}

#[test]
fn the_same_request_gets_the_same_answer_however_it_is_written() {
    run(async {
        let stack = shared().await.stack();
        let key = new_key();
        let first = place(stack, &key, sample_order().to_string()).await;
        let again = place(stack, &key, sample_order().to_string()).await;
        let rewritten = format!("{:#}", rewritten(&sample_order()));
        assert_ne!(rewritten, sample_order().to_string());
        let otherwise = place(stack, &key, rewritten).await;
        for answer in [&again, &otherwise] {
            assert_eq!((answer.status, &answer.body), (202, &first.body), "{}", answer.text());
            assert_eq!(answer.header("location"), first.header("location"));
        }
    });
}

/// The same order with quantities written as 2.0.
fn rewritten(order: &Value) -> Value {
    let mut order = order.clone();
    for item in order["items"].as_array_mut().unwrap() {
        item["quantity"] = json!(item["quantity"].as_f64().unwrap());
    }
    order
}

#[test]
fn requests_at_once_with_one_key_place_one_order() {
    run(async {
        let stack = shared().await.stack();
        let (key, body) = (new_key(), sample_order().to_string());
        let request = || place(stack, &key, body.clone());
        let (one, two, three) = tokio::join!(request(), request(), request());
        assert_eq!((one.status, two.status, three.status), (202, 202, 202));
        assert_eq!((&one.body, &one.body), (&two.body, &three.body));
    });
}

#[test]
fn another_body_under_the_same_key_is_refused() {
    run(async {
        let stack = shared().await.stack();
        let key = new_key();
        let first = place(stack, &key, sample_order().to_string()).await;
        let mut other = sample_order();
        other["items"][0]["quantity"] = json!(7);
        let refused = place(stack, &key, other.to_string()).await;
        is_problem(&refused, 422);
        assert_eq!(refused.json::<Value>().unwrap()["type"], "urn:problem:idempotency-key-reused");
        let again = place(stack, &key, sample_order().to_string()).await;
        assert_eq!((again.status, again.body), (202, first.body));
    });
}

#[test]
fn every_wrong_field_is_named() {
    run(async {
        let stack = shared().await.stack();
        let wrong = json!({
            "customerId": "",
            "items": [{ "productId": "a b", "quantity": 0, "price": -1 }],
            "currency": "usd",
            "paymentMethod": "4242424242424242",
            "shippingAddress": { "name": " ", "line1": "x", "city": "y", "postalCode": "1", "country": "XX" },
            "discount": 100,
        });
        let answer = place(stack, &new_key(), wrong.to_string()).await;
        is_problem(&answer, 422);
        assert!(!answer.text().contains("4242424242424242"), "a value is quoted: {}", answer.text());
        let expected = [
            "customerId",
            "items[0].productId",
            "items[0].quantity",
            "items[0].price",
            "currency",
            "paymentMethod",
            "shippingAddress.name",
            "shippingAddress.country",
            "discount",
        ];
        assert_eq!(fields(&answer), expected.map(str::to_owned).into());
    });
}

#[test]
fn what_is_no_usable_request_is_refused() {
    run(async {
        let stack = shared().await.stack();
        let order = sample_order();
        is_problem(&stack.post("/orders", &[], &order).await.unwrap(), 400);
        is_problem(&place(stack, &new_key(), "customerId=1").await, 400);
        is_problem(&place(stack, &new_key(), "[]").await, 422);
        let long = format!("{}{}", " ".repeat(64 * 1024), order);
        is_problem(&place(stack, &new_key(), long).await, 413);
    });
}

#[test]
fn an_order_that_nobody_placed_is_unknown() {
    run(async {
        let stack = shared().await.stack();
        is_problem(&stack.get(&format!("/orders/{}", Uuid::now_v7())).await.unwrap(), 404);
        is_problem(&stack.get("/orders/1").await.unwrap(), 404);
    });
}
