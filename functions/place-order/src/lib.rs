//! `POST /orders`: decides on an order and appends it to the event store.
//!
//! The order's id is derived from the caller and its `Idempotency-Key`, and its head keeps a hash of the decoded request: the
//! same request is answered the same for ever, another one under the same key is refused. Concurrent requests are decided
//! by the head's condition.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::http::header::{HeaderName, LOCATION};
use eda::Failure;
use eda::aws::Aws;
use eda::fields::Unreadable;
use eda::http::{Problem, caller, idempotency_key, json_body, respond, trace_header, with_header};
use eda::serve::{Function, HttpHandler, StartError};
use eda::spine::Spine;
use shop::order::{self, MAX_BODY_BYTES, Placed, Placement, PlacementConfig, order_id};

/// What the order's events, and all that is logged about them, can be found by.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Places orders.
pub struct PlaceOrder {
    spine: Spine,
    config: PlacementConfig,
}

impl Function for PlaceOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = PlacementConfig;

    async fn start(aws: &Aws, config: PlacementConfig) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

impl HttpHandler for PlaceOrder {
    async fn answer(&self, request: ApiGatewayV2httpRequest) -> Result<ApiGatewayV2httpResponse, Failure> {
        let caller = caller(&request)?;
        let (key, order) = match read(&request) {
            Ok(read) => read,
            Err(problem) => return Ok(problem.into()),
        };
        let trace = trace_header(&request.headers);
        let order_id = order_id(caller, key).to_string();
        let placement = Placement::of(order_id, order, trace, &self.config, self.spine.ambient())?;
        let Placement { order_id, correlation_id, hash, transition } = placement;
        Ok(match Placed::of(self.spine.commit(transition).await?, &hash) {
            Placed::Now => {
                tracing::info!(orderId = order_id, correlationId = %correlation_id, "order placed");
                accepted(&order_id, correlation_id)
            }
            Placed::Before(correlation_id) => accepted(&order_id, correlation_id),
            Placed::Another => key_reused().into(),
        })
    }
}

/// The request's key and command, or what is wrong with it: nothing is written before it is right.
fn read(request: &ApiGatewayV2httpRequest) -> Result<(&str, order::PlaceOrder), Problem> {
    let key = idempotency_key(&request.headers)?;
    let body = json_body(request, MAX_BODY_BYTES)?;
    let order = order::PlaceOrder::parse(&body).map_err(|unreadable| match unreadable {
        Unreadable::NotJson => Problem::not_json("The body does not follow the syntax of JSON."),
        Unreadable::Fields(errors) => {
            let detail =
                "Correct the fields that are named and send the order again, with the same key if you like.";
            Problem::new(422, "urn:problem:invalid-order", "The order is not valid", detail)
                .with_errors(errors)
        }
    })?;
    Ok((key, order))
}

/// The same to the byte whenever the same request is repeated.
fn accepted(order_id: &str, correlation_id: impl std::fmt::Display) -> ApiGatewayV2httpResponse {
    let body = serde_json::json!({ "orderId": order_id, "status": "accepted" });
    let response = respond(202, "application/json", body.to_string());
    let response = with_header(response, CORRELATION_ID, &correlation_id.to_string());
    with_header(response, LOCATION, &format!("/orders/{order_id}"))
}

fn key_reused() -> Problem {
    let detail = "Another order was placed with this Idempotency-Key. Send this one with a new key.";
    Problem::new(422, "urn:problem:idempotency-key-reused", "Idempotency-Key was used before", detail)
}
