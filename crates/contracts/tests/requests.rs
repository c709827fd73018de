//! What the API's description says of an order is what reads it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use contracts::damage::damage;
use contracts::openapi::{openapi, routes};
use eda::fields::Unreadable;
use eda::testing::template::Template;
use fastrand::Rng;
use serde_json::{Value, json};
use shop::order::PlaceOrder;

fn order() -> Value {
    json!({
        "customerId": "customer-1",
        "items": [{ "productId": "keyboard", "quantity": 2, "price": 49 }, { "productId": "a", "quantity": 1, "price": 0 }],
        "currency": "USD",
        "paymentMethod": "pm_card_visa",
        "shippingAddress": {
            "name": "Jo Doe", "line1": "1 Main Street", "line2": null, "city": "Springfield", "postalCode": "12345",
            "country": "US",
        },
    })
}

/// Whether it is refused for nothing but what no schema can say.
fn only_beyond_the_schema(unreadable: &Unreadable) -> bool {
    let Unreadable::Fields(errors) = unreadable else { return false };
    errors.iter().all(|error| {
        error.problem.contains("decimal places in this currency") || error.problem.ends_with("in all")
    })
}

#[test]
fn an_order_is_accepted_if_and_only_if_it_is_as_described() {
    let document = openapi();
    let schema = &document["components"]["schemas"]["PlaceOrder"];
    assert!(jsonschema::meta::is_valid(schema));
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let mut rng = Rng::with_seed(1);
    let (mut valid, mut invalid) = (0, 0);
    for turn in 0..6_000 {
        let mut order = order();
        for _ in 0..turn % 3 {
            damage(&mut order, &mut rng);
        }
        let described = validator.is_valid(&order);
        match PlaceOrder::parse(&order.to_string()) {
            Ok(_) => assert!(described, "read and not described: {order}"),
            Err(error) if only_beyond_the_schema(&error) => {}
            Err(error) => assert!(!described, "described and not read: {order}\n{error:?}"),
        }
        if described { valid += 1 } else { invalid += 1 }
    }
    assert!(valid > 1_500 && invalid > 1_500, "{valid} valid, {invalid} invalid");
}

#[test]
fn the_description_is_of_openapi_3_1_and_says_what_is_answered() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
    let order = &document["components"]["schemas"]["Order"];
    assert_eq!(order["properties"]["status"]["enum"], json!(["open", "confirmed", "cancelled"]));
    let problem = &document["components"]["schemas"]["Problem"];
    assert_eq!(problem["required"], json!(["type", "title", "status", "detail"]));
}

#[test]
fn a_route_is_described_if_and_only_if_it_is_deployed() {
    let template = json!({ "Resources": { "F": { "Type": "AWS::Serverless::Function", "Properties": { "Events": {
        "A": { "Type": "HttpApi", "Properties": { "Method": "POST", "Path": "/orders" } },
        "B": { "Type": "HttpApi", "Properties": { "Method": "DELETE", "Path": "/orders/{id}" } },
    } } } } });
    let found = routes(&openapi(), &Template::parse(&template.to_string()).unwrap());
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "openapi: DELETE /orders/{id}: is deployed and not described",
            "openapi: GET /customers/{id}/activity: is described and not deployed",
            "openapi: GET /customers/{id}/orders: is described and not deployed",
            "openapi: GET /openapi.json: is described and not deployed",
            "openapi: GET /orders/{id}: is described and not deployed",
            "openapi: GET /sales: is described and not deployed",
        ]
    );
}
