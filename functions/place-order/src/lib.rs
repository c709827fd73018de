//! `POST /orders`: decides on an order and appends it to the event store.
//!
//! The order's id is derived from the caller and its `Idempotency-Key`, and its head keeps a hash of the decoded request: the
//! same request is answered the same for ever, another one under the same key is refused. Concurrent requests are decided
//! by the head's condition.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::http::header::LOCATION;
use eda::Failure;
use eda::aws::Aws;
use eda::event::{Cause, SagaStyle};
use eda::event_store::start;
use eda::fields::Unreadable;
use eda::http::{Problem, caller, idempotency_key, json_body, respond, trace_header, with_header};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, HttpHandler, StartError};
use eda::spine::Spine;
use eda::transition::Outcome;
use envconfig::Envconfig;
use shop::order::{self, Command, MAX_BODY_BYTES, OrderEvent, OrderHead, OrderState, decide, order_id};

/// The tables and limits of this command.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' heads, which are the guards, and events.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// How long an order may stay open before it is closed or pushed on.
    #[envconfig(from = "ORDER_DEADLINE_SECONDS")]
    pub deadline_seconds: u32,
}

/// Places orders.
pub struct PlaceOrder {
    spine: Spine,
    config: Config,
}

impl Function for PlaceOrder {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
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
        let order_id = order_id(caller, key).to_string();
        let hash = order.hash()?;
        Ok(match self.place(&order_id, order, &hash, trace_header(&request.headers)).await? {
            Outcome::Applied => accepted(&order_id),
            Outcome::Duplicate(Some(head)) if head.command_hash == hash => accepted(&order_id),
            Outcome::Duplicate(_) => key_reused().into(),
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

impl PlaceOrder {
    async fn place(
        &self,
        order_id: &str,
        order: order::PlaceOrder,
        hash: &str,
        trace: Option<String>,
    ) -> Result<Outcome<OrderHead>, Failure> {
        let now = self.spine.ambient().now();
        // That there is no such order is a guess; the head's condition corrects it.
        let command = Command::Place { order_id: order_id.to_owned(), order, now };
        let Ok(OrderEvent::Placed(placed)) = decide(OrderState::Absent, command) else {
            return Err(Failure::permanent("a new order can always be placed"));
        };
        let event = self.spine.event(&Cause::root(SagaStyle::Choreographed, trace), &placed)?;
        let deadline = now.as_second().saturating_add(self.config.deadline_seconds.into());
        let head = OrderHead::open(&placed, hash.to_owned(), event.event_id, deadline);
        let correlation_id = event.event_id;
        let transition = start(&self.config.event_store, order_id, &head, &[event])?;
        let outcome = self.spine.commit(transition).await?;
        if matches!(outcome, Outcome::Applied) {
            tracing::info!(orderId = order_id, correlationId = %correlation_id, "order placed");
        }
        Ok(outcome)
    }
}

/// The same to the byte whenever the same request is repeated.
fn accepted(order_id: &str) -> ApiGatewayV2httpResponse {
    let body = serde_json::json!({ "orderId": order_id, "status": "accepted" });
    let response = respond(202, "application/json", body.to_string());
    with_header(response, LOCATION, &format!("/orders/{order_id}"))
}

fn key_reused() -> Problem {
    let detail = "Another order was placed with this Idempotency-Key. Send this one with a new key.";
    Problem::new(422, "urn:problem:idempotency-key-reused", "Idempotency-Key was used before", detail)
}
