//! The HTTP API as OpenAPI 3.1: schemas from the types, paths in one place here.
//!
//! API Gateway imports OpenAPI 3.0 only, and SAM would no longer write the integrations of a document that we bring, so it
//! is not the API's definition. Instead the check holds its routes to those of the template, and an end-to-end test its
//! answers to those of the deployed API.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html>

use std::collections::BTreeSet;

use eda::event::schema::schema_of;
use eda::http::{IDEMPOTENCY_KEY, Problem};
use eda::testing::template::{Template, at};
use serde_json::{Map, Value, json};
use shop::order::MAX_BODY_BYTES;
use shop::order::schema::{order_view, place_order};

use crate::Finding;

/// The document.
#[must_use]
pub fn openapi() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Orders",
            "version": "1.0.0",
            "description": "Places and reads orders. Requests are signed with AWS Signature Version 4 for execute-api.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{
            "url": "https://{api}.execute-api.{region}.amazonaws.com",
            "description": "The stack's output ApiUrl",
            "variables": { "api": { "default": "api" }, "region": { "default": "us-east-1" } },
        }],
        "security": [{ "iam": [] }],
        "paths": {
            "/orders": { "post": post_orders() },
            "/orders/{id}": { "get": get_order() },
        },
        "components": {
            "securitySchemes": { "iam": {
                "type": "apiKey", "name": "Authorization", "in": "header",
                "description": "AWS Signature Version 4",
                "x-amazon-apigateway-authtype": "awsSigv4",
            } },
            "schemas": {
                "PlaceOrder": place_order(),
                "Accepted": accepted(),
                "Order": order_view(),
                "Problem": schema_of::<Problem>(),
                "GatewayMessage": {
                    "description": "What API Gateway itself has to say.",
                    "type": "object",
                    "required": ["message"],
                    "properties": { "message": { "type": ["string", "null"] } },
                },
            },
        },
    })
}

fn post_orders() -> Value {
    let mut responses = from_the_gateway();
    responses.extend([
        (
            "202".to_owned(),
            json!({
                "description": "The order is accepted. The same request gets the same answer for ever.",
                "headers": { "Location": {
                    "description": "Where the order is", "required": true, "schema": { "type": "string", "pattern": "^/orders/" },
                } },
                "content": { "application/json": { "schema": reference("Accepted") } },
            }),
        ),
        problem("400", "No usable Idempotency-Key, or no JSON"),
        problem("413", &format!("A body of more than {MAX_BODY_BYTES} bytes")),
        problem("415", "A body that is not sent as JSON"),
        problem("422", "Fields that are wrong, all of them named; or a key that was used for another order"),
        problem("503", "Not now; to send the request again is safe"),
    ]);
    json!({
        "operationId": "placeOrder",
        "summary": "Places an order",
        "description": "Repeatable: the order's id is made of the caller and the key.",
        "parameters": [{
            "name": IDEMPOTENCY_KEY, "in": "header", "required": true,
            "description": "A new one for each order; the same whenever that request is repeated",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": reference("PlaceOrder") } },
        },
        "responses": responses,
    })
}

fn get_order() -> Value {
    let mut responses = from_the_gateway();
    responses.extend([
        (
            "200".to_owned(),
            json!({
                "description": "Where the order stands; moments old at most.",
                "content": { "application/json": { "schema": reference("Order") } },
            }),
        ),
        (
            "404".to_owned(),
            json!({
                "description": "No such order; or, from API Gateway, no such route",
                "content": {
                    "application/problem+json": { "schema": reference("Problem") },
                    "application/json": { "schema": reference("GatewayMessage") },
                },
            }),
        ),
        problem("503", "Not now; to send the request again is safe"),
    ]);
    json!({
        "operationId": "getOrder",
        "summary": "Reads an order",
        "parameters": [{
            "name": "id", "in": "path", "required": true, "description": "The order's id",
            "schema": { "type": "string", "format": "uuid" },
        }],
        "responses": responses,
    })
}

fn accepted() -> Value {
    json!({
        "description": "The order is accepted.",
        "type": "object",
        "required": ["orderId", "status"],
        "properties": {
            "orderId": { "type": "string", "format": "uuid" },
            "status": { "type": "string", "const": "accepted" },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn problem(status: &str, description: &str) -> (String, Value) {
    let content = json!({ "application/problem+json": { "schema": reference("Problem") } });
    (status.to_owned(), json!({ "description": description, "content": content }))
}

/// What API Gateway answers before, or instead of, a function.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>
fn from_the_gateway() -> Map<String, Value> {
    let statuses = [
        ("403", "Not signed, or not allowed"),
        ("429", "More requests than the API takes"),
        ("500", "The function failed; to send the request again is safe"),
    ];
    let answers = statuses.map(|(status, description)| {
        let content = json!({ "application/json": { "schema": reference("GatewayMessage") } });
        (status.to_owned(), json!({ "description": description, "content": content }))
    });
    answers.into_iter().collect()
}

/// Routes that are described and not deployed, or the other way round.
#[must_use]
pub fn routes(document: &Value, template: &Template) -> Vec<Finding> {
    let paths = at(document, "/paths").as_object().into_iter().flatten();
    let described: BTreeSet<_> = paths
        .flat_map(|(path, operations)| {
            let methods = operations.as_object().into_iter().flatten();
            methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let functions = template.functions();
    let deployed: BTreeSet<_> = functions
        .values()
        .flat_map(|function| at(&function.properties, "/Events").as_object().into_iter().flatten())
        .filter(|(_, event)| at(event, "/Type") == "HttpApi")
        .filter_map(|(_, event)| {
            let text = |pointer| at(event, pointer).as_str();
            Some(format!("{} {}", text("/Properties/Method")?.to_uppercase(), text("/Properties/Path")?))
        })
        .collect();
    let missing = deployed.difference(&described).map(|route| (route, "is deployed and not described"));
    let extra = described.difference(&deployed).map(|route| (route, "is described and not deployed"));
    missing.chain(extra).map(|(route, reason)| Finding::new("openapi", route.as_str(), reason)).collect()
}
