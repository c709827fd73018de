//! The HTTP API as OpenAPI 3.1: schemas from the types, paths in one place here.
//!
//! API Gateway imports OpenAPI 3.0 only, and SAM would no longer write the integrations of a document that we bring, so it
//! is not the API's definition. Instead the check holds its routes to those of the template, and an end-to-end test its
//! answers to those of the deployed API.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html>

use std::collections::BTreeSet;

use eda::event::schema::schema_of;
use eda::http::{DEFAULT_LIMIT, IDEMPOTENCY_KEY, MAX_CURSOR, MAX_LIMIT, Problem};
use eda::testing::template::{Template, at};
use serde_json::{Map, Value, json};
use shop::activity::Activity;
use shop::order::MAX_BODY_BYTES;
use shop::order::schema::{customer_id, order_view, place_order};
use shop::sales::SalesWindow;

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
            "/customers/{id}/orders": { "get": get_customer_orders() },
            "/customers/{id}/activity": { "get": get_customer_activity() },
            "/sales": { "get": get_sales() },
            "/openapi.json": { "get": get_description() },
        },
        "components": {
            "securitySchemes": { "iam": {
                "type": "apiKey", "name": "Authorization", "in": "header",
                "description": "AWS Signature Version 4",
                "x-amazon-apigateway-authtype": "awsSigv4",
            } },
            "headers": { "RetryAfter": {
                "description": "Seconds after which to come again. API Gateway's own answers lack it: then wait for a second, and twice as long each further time, at random.",
                "schema": { "type": "integer", "minimum": 0 },
            } },
            "schemas": {
                "PlaceOrder": place_order(),
                "Accepted": accepted(),
                "Order": order_view(),
                "Orders": page_of("orders", "Order"),
                "Activity": schema_of::<Activity>(),
                "Feed": page_of("activity", "Activity"),
                "SalesWindow": schema_of::<SalesWindow>(),
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
                "headers": {
                    "Location": {
                        "description": "Where the order is", "required": true, "schema": { "type": "string", "pattern": "^/orders/" },
                    },
                    "X-Correlation-Id": {
                        "description": "What the order's events, and all that is logged about them, can be found by",
                        "required": true, "schema": { "type": "string", "format": "uuid" },
                    },
                },
                "content": { "application/json": { "schema": reference("Accepted") } },
                "links": { "order": {
                    "operationId": "getOrder", "parameters": { "id": "$response.body#/orderId" },
                    "description": "Where the order stands",
                } },
            }),
        ),
        problem("400", "No usable Idempotency-Key, or no JSON"),
        problem("413", &format!("A body of more than {MAX_BODY_BYTES} bytes")),
        problem("415", "A body that is not sent as JSON"),
        problem("422", "Fields that are wrong, all of them named; or a key that was used for another order"),
        unavailable(),
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
        not_found("No such order"),
        unavailable(),
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

fn get_customer_orders() -> Value {
    list_of_customer(
        "getCustomerOrders",
        "Lists a customer's orders, newest first",
        "A page of the customer's orders, newest first; moments old at most.",
        "Orders",
    )
}

fn get_customer_activity() -> Value {
    list_of_customer(
        "getCustomerActivity",
        "Lists what a customer learnt of their orders, newest first",
        "A page of the feed, newest first; what led to an entry stands behind it.",
        "Feed",
    )
}

/// A list of a customer's, a page at a time.
fn list_of_customer(operation: &str, summary: &str, answer: &str, page: &str) -> Value {
    let mut responses = from_the_gateway();
    responses.extend([
        (
            "200".to_owned(),
            json!({
                "description": answer,
                "content": { "application/json": { "schema": reference(page) } },
                "links": { "next": {
                    "operationId": operation, "parameters": { "id": "$request.path.id", "cursor": "$response.body#/nextCursor" },
                    "description": "Where the list goes on, if it does",
                } },
            }),
        ),
        problem("400", "A limit or cursor that is none"),
        not_found("No customer can have such an id"),
        unavailable(),
    ]);
    let mut parameters = vec![json!({
        "name": "id", "in": "path", "required": true, "description": "The customer's id",
        "schema": customer_id(),
    })];
    parameters.extend(paging());
    json!({
        "operationId": operation,
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    })
}

fn get_sales() -> Value {
    let windows = json!({
        "description": "Windows of event time, those in which nothing was sold left out.",
        "type": "object",
        "required": ["windows"],
        "properties": { "windows": { "type": "array", "items": reference("SalesWindow") } },
    });
    let mut responses = from_the_gateway();
    responses.extend([
        (
            "200".to_owned(),
            json!({
                "description": "The windows that start in the span, in their order.",
                "content": { "application/json": { "schema": windows } },
            }),
        ),
        problem("400", "A span of time that is none, or a longer one than seven days"),
        unavailable(),
    ]);
    let moment = |name: &str, description: &str, example: &str| {
        json!({
            "name": name, "in": "query", "required": true, "description": description, "example": example,
            "schema": { "type": "string", "format": "date-time" },
        })
    };
    json!({
        "operationId": "getSales",
        "summary": "What was taken, by windows of event time",
        "parameters": [
            moment("from", "The start of the span", "2026-01-15T10:00:00Z"),
            moment("to", "Its end, exclusive; a week later at most", "2026-01-15T11:00:00Z"),
        ],
        "responses": responses,
    })
}

fn get_description() -> Value {
    let mut responses = from_the_gateway();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "This document.",
            "content": { "application/json": { "schema": { "type": "object", "required": ["openapi", "paths"] } } },
        }),
    );
    json!({
        "operationId": "getDescription",
        "summary": "Describes this API",
        "responses": responses,
    })
}

/// The parameters of a list.
fn paging() -> [Value; 2] {
    [
        json!({
            "name": "limit", "in": "query", "description": "How many elements a page has at most",
            "schema": { "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT },
        }),
        json!({
            "name": "cursor", "in": "query",
            "description": "The page's nextCursor that the list goes on behind; refused if it was changed",
            "schema": { "type": "string", "minLength": 1, "maxLength": MAX_CURSOR, "pattern": "^[A-Za-z0-9_-]+$" },
        }),
    ]
}

/// A page of a list.
fn page_of(name: &str, element: &str) -> Value {
    json!({
        "description": "A page of a list.",
        "type": "object",
        "required": [name],
        "properties": {
            name: { "type": "array", "maxItems": MAX_LIMIT, "items": reference(element) },
            "nextCursor": { "description": "Where the list goes on; absent on the last page.", "type": "string" },
        },
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

/// What a function, or API Gateway, answers where there is nothing.
fn not_found(description: &str) -> (String, Value) {
    let answer = json!({
        "description": format!("{description}; or, from API Gateway, no such route"),
        "content": {
            "application/problem+json": { "schema": reference("Problem") },
            "application/json": { "schema": reference("GatewayMessage") },
        },
    });
    ("404".to_owned(), answer)
}

/// What a function, or API Gateway where there is no room for the function, answers.
fn unavailable() -> (String, Value) {
    let answer = json!({
        "description": "Not now; nothing is lost, and to send the request again is safe",
        "headers": { "Retry-After": { "$ref": "#/components/headers/RetryAfter" } },
        "content": {
            "application/problem+json": { "schema": reference("Problem") },
            "application/json": { "schema": reference("GatewayMessage") },
        },
    });
    ("503".to_owned(), answer)
}

/// What API Gateway answers before, or instead of, a function.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>
fn from_the_gateway() -> Map<String, Value> {
    let message = json!({ "application/json": { "schema": reference("GatewayMessage") } });
    let answer = |description: &str| json!({ "description": description, "content": message });
    let later = |description: &str| {
        let headers = json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } });
        json!({ "description": description, "content": message, "headers": headers })
    };
    let answers = [
        ("403", answer("Not signed, or not allowed")),
        (
            "429",
            later(
                "More requests than the API takes at once, or in a second; to send the request again is safe",
            ),
        ),
        ("500", answer("The function failed; to send the request again is safe")),
        (
            "503",
            later(
                "There is no room for the function, or it took too long; to send the request again is safe",
            ),
        ),
    ];
    answers.map(|(status, answer)| (status.to_owned(), answer)).into_iter().collect()
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
