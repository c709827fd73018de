//! Personal data: what is printed for a log shows none of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use shop::customer::Customer;
use shop::events::{InventoryReserved, OrderEnriched, OrderPlaced, PaymentProcessed};

/// What must not be seen, whatever holds it.
const PERSONAL: [&str; 6] = ["Jo Doe", "1 Main Street", "Flat 7", "Springfield", "12345", "jo@example.com"];

fn address() -> serde_json::Value {
    json!({
        "name": "Jo Doe", "line1": "1 Main Street", "line2": "Flat 7", "city": "Springfield",
        "postalCode": "12345", "country": "US",
    })
}

fn shows_nobody(text: &str) {
    for personal in PERSONAL {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
}

#[test]
fn an_event_with_an_address_shows_nobody() {
    let placed = json!({
        "orderId": "o1", "customerId": "c1", "items": [], "totalAmount": 1, "currency": "USD",
        "timestamp": "2026-01-15T10:30:00Z", "shippingAddress": address(),
    });
    let placed: OrderPlaced = serde_json::from_value(placed).unwrap();
    assert_eq!(placed.shipping_address.as_ref().unwrap().city, "Springfield");
    shows_nobody(&format!("{placed:?}"));
    let reserved = json!({
        "orderId": "o1", "customerId": "c1", "items": [], "totalAmount": 1, "currency": "USD",
        "shippingAddress": address(),
    });
    shows_nobody(&format!("{:?}", serde_json::from_value::<InventoryReserved>(reserved).unwrap()));
    let paid = json!({
        "orderId": "o1", "customerId": "c1", "paymentId": "p1", "amount": 1, "currency": "USD",
        "shippingAddress": address(),
    });
    shows_nobody(&format!("{:?}", serde_json::from_value::<PaymentProcessed>(paid).unwrap()));
}

#[test]
fn a_customer_shows_nobody() {
    let customer = json!({ "customerId": "c1", "name": "Jo Doe", "email": "jo@example.com" });
    shows_nobody(&format!("{:?}", serde_json::from_value::<Customer>(customer).unwrap()));
    let enriched = json!({
        "orderId": "o1", "customerId": "c1", "items": [], "totalAmount": 1, "currency": "USD",
        "timestamp": "2026-01-15T10:30:00Z", "customerKnown": true, "customerName": "Jo Doe",
        "customerEmail": "jo@example.com",
    });
    shows_nobody(&format!("{:?}", serde_json::from_value::<OrderEnriched>(enriched).unwrap()));
}
