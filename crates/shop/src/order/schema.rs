//! JSON Schemas (2020-12) of what the HTTP API takes and gives.

use std::borrow::Cow;

use eda::event::schema::schema_of;
use iso_country::Country;
use iso_currency::Currency;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::request::{IDENTIFIER, MAX_PRICE, PAYMENT_METHOD, QUANTITY};
use super::{OrderStatus, OrderView};
use crate::stock::MAX_PRODUCTS;

/// Text without control characters, some of it visible.
const PRINTABLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$";

impl JsonSchema for OrderStatus {
    fn schema_name() -> Cow<'static, str> {
        "OrderStatus".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["open", "confirmed", "cancelled"] })
    }
}

/// What [`PlaceOrder::parse`](super::PlaceOrder::parse) reads. Some of its rules span several fields, which no schema says:
/// what an order costs in all, at least and at most, and that a price has the decimal places of its currency at most.
#[must_use]
pub fn place_order() -> Value {
    let identifier = |of: &str| json!({ "description": of, "type": "string", "pattern": IDENTIFIER });
    let text = |of: &str, longest: usize| json!({ "description": of, "type": "string", "minLength": 1, "maxLength": longest, "pattern": PRINTABLE });
    let mut line2 = text("Flat, floor, c/o.", 200);
    if let Some(kind) = line2.get_mut("type") {
        *kind = json!(["string", "null"]);
    }
    let item = json!({
        "type": "object",
        "required": ["productId", "quantity", "price"],
        "properties": {
            "productId": identifier("What."),
            "quantity": { "description": "How many.", "type": "integer", "minimum": QUANTITY.start(), "maximum": QUANTITY.end() },
            "price": {
                "description": "Price of one, in the order's currency and with its decimal places at most.",
                "type": "number", "minimum": 0, "maximum": MAX_PRICE.to_u32(),
            },
        },
        "additionalProperties": false,
    });
    let address = json!({
        "description": "Where it goes.",
        "type": "object",
        "required": ["name", "line1", "city", "postalCode", "country"],
        "properties": {
            "name": text("Who receives it.", 100),
            "line1": text("Street and number.", 200),
            "line2": line2,
            "city": text("City.", 100),
            "postalCode": text("Postal code.", 20),
            "country": { "description": "Country, ISO 3166-1 alpha-2.", "type": "string", "enum": countries() },
        },
        "additionalProperties": false,
    });
    json!({
        "description": "An order. It costs more than 0 in all, and at most 5000000000.",
        "type": "object",
        "required": ["customerId", "items", "currency", "paymentMethod", "shippingAddress"],
        "properties": {
            "customerId": identifier("Who orders."),
            "items": {
                "description": "What is ordered.",
                "type": "array", "minItems": 1, "maxItems": MAX_PRODUCTS, "items": item,
            },
            "currency": { "description": "A currency that can be charged, ISO 4217.", "type": "string", "enum": currencies() },
            "paymentMethod": {
                "description": "The gateway's name of the payment method; never a card number.",
                "type": "string", "pattern": PAYMENT_METHOD,
            },
            "shippingAddress": address,
        },
        "additionalProperties": false,
    })
}

/// Who orders.
#[must_use]
pub fn customer_id() -> Value {
    json!({ "type": "string", "pattern": IDENTIFIER })
}

/// What `GET /orders/{id}` answers.
#[must_use]
pub fn order_view() -> Value {
    schema_of::<OrderView>()
}

/// All texts of so many capitals.
fn capitals(count: u32) -> impl Iterator<Item = String> {
    (0..26_u32.pow(count)).map(move |number| {
        let letters = (0..count).rev().map(|place| number / 26_u32.pow(place) % 26);
        letters.filter_map(|letter| char::from_u32(u32::from('A') + letter)).collect()
    })
}

fn currencies() -> Vec<String> {
    let chargeable = |code: &String| Currency::from_code(code).is_some_and(|one| one.exponent().is_some());
    capitals(3).filter(chargeable).collect()
}

fn countries() -> Vec<String> {
    capitals(2).filter(|code| code.parse::<Country>().is_ok()).collect()
}
