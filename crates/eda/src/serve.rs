//! The serving layer all functions share: telemetry, configuration, clients, the runtime loop.
//!
//! A function's `main` is one of [`queue`], [`stream`], [`http`] and [`schedule`]; everything that can be wrong with its
//! surroundings ends the start, with a message that names it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use envconfig::Envconfig;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::aws::{Aws, ClientError};
use crate::batch::{Consumer, Deadline, Parking, ParkingConfig, QueueWorker, StreamConsumer, StreamWorker};
use crate::config::{ConfigError, from_env};
use crate::failure::chain;
use crate::{Failure, telemetry};

/// A Lambda function: a configuration, and what is built from it once per environment.
pub trait Function: Sized + Send + Sync {
    /// Its package's name.
    const NAME: &'static str;
    /// Its environment variables.
    type Config: Envconfig + Send;

    /// Builds it: clients once, secrets read.
    fn start(aws: &Aws, config: Self::Config) -> impl Future<Output = Result<Self, StartError>> + Send;
}

/// Handles HTTP requests of an API Gateway HTTP API (payload format 2.0).
pub trait HttpHandler: Function {
    /// Answers a request. A failure becomes a 503 problem document.
    fn answer(
        &self,
        request: ApiGatewayV2httpRequest,
    ) -> impl Future<Output = Result<ApiGatewayV2httpResponse, Failure>> + Send;
}

/// Runs when it is invoked, by a schedule or by hand.
pub trait Task: Function {
    /// What the invocation answers.
    type Report: Serialize + Send;

    /// Runs once. A failure fails the invocation.
    fn run(&self, deadline: Deadline) -> impl Future<Output = Result<Self::Report, Failure>> + Send;
}

/// The function cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A variable is missing or wrong.
    #[error("the function is misconfigured")]
    Config(#[from] ConfigError),
    /// Clients cannot be built.
    #[error("clients cannot be built")]
    Clients(#[from] ClientError),
    /// Something that it needs from the start does not answer.
    #[error("the function cannot start")]
    Dependency(#[from] Failure),
    /// The runtime ended.
    #[error("the Lambda runtime ended")]
    Runtime(#[source] lambda_runtime::Error),
}

/// A failed invocation, with a usable error type.
#[derive(Debug)]
struct Failed(Failure);

impl From<Failed> for Diagnostic {
    fn from(Failed(failure): Failed) -> Self {
        let error_type = format!("{:?}Failure", failure.kind());
        Self { error_type, error_message: failure.chain() }
    }
}

/// Serves a queue's consumer.
///
/// # Errors
/// [`StartError`].
pub async fn queue<C: Consumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let parking = Parking::new(aws.sqs(), from_env::<ParkingConfig>()?, C::NAME);
    let worker = QueueWorker::new(consumer, parking);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves a stream's consumer.
///
/// # Errors
/// [`StartError`].
pub async fn stream<C: StreamConsumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let worker = StreamWorker::new(consumer);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves an HTTP handler.
///
/// # Errors
/// [`StartError`].
pub async fn http<H: HttpHandler>() -> Result<(), StartError> {
    let (aws, handler) = start::<H>().await?;
    run(aws, async |request, _deadline, _context| Ok(answer(&handler, request).await)).await
}

/// Answers a request; a failure becomes a problem document, and is logged.
pub async fn answer<H: HttpHandler>(
    handler: &H,
    request: ApiGatewayV2httpRequest,
) -> ApiGatewayV2httpResponse {
    match handler.answer(request).await {
        Ok(response) => response,
        Err(failure) => {
            tracing::error!(failure = failure.chain(), "the request failed");
            crate::http::Problem::unavailable().into()
        }
    }
}

/// Serves a task; the invocation's payload is ignored.
///
/// # Errors
/// [`StartError`].
pub async fn schedule<T: Task>() -> Result<(), StartError> {
    let (aws, task) = start::<T>().await?;
    run(aws, async |_payload: Box<RawValue>, deadline, _context| task.run(deadline).await.map_err(Failed))
        .await
}

async fn start<F: Function>() -> Result<(Aws, F), StartError> {
    telemetry::init(from_env()?);
    let started = async {
        let config = from_env::<F::Config>()?;
        let aws = Aws::from_env().await?;
        let function = F::start(&aws, config).await?;
        Ok((aws, function))
    };
    started
        .await
        .inspect_err(|error: &StartError| tracing::error!(error = chain(error), "the function cannot start"))
}

async fn run<Payload, Answer>(
    aws: Aws,
    handle: impl AsyncFn(Payload, Deadline, Context) -> Result<Answer, Failed>,
) -> Result<(), StartError>
where
    Payload: for<'de> Deserialize<'de>,
    Answer: Serialize,
{
    let (aws, handle) = (&aws, &handle);
    let service = service_fn(move |event: LambdaEvent<Payload>| {
        let deadline = deadline(&event.context, aws);
        // Erased: handlers nest so many futures that their layout would exceed the compiler's depth limit.
        let handled = async move { handle(event.payload, deadline, event.context).await };
        Box::pin(handled) as Pin<Box<dyn Future<Output = _> + '_>>
    });
    Runtime::new(service).layer(TracingLayer::new()).run().await.map_err(StartError::Runtime)
}

fn deadline(context: &Context, aws: &Aws) -> Deadline {
    let now = u64::try_from(aws.ambient().now().as_millisecond()).unwrap_or(u64::MAX);
    Deadline::after(remaining(context.deadline, now))
}

/// Lambda's longest timeout in milliseconds: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LONGEST_TIMEOUT: u64 = 900_000;

/// What an invocation has left until its deadline, both in milliseconds since 1970.
fn remaining(deadline: u64, now: u64) -> Duration {
    // `cargo lambda watch` sends a duration where Lambda sends a date.
    let deadline = if deadline <= LONGEST_TIMEOUT { now.saturating_add(deadline) } else { deadline };
    Duration::from_millis(deadline.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::remaining;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn an_invocation_has_what_is_left_until_the_date_of_its_deadline() {
        assert_eq!(remaining(NOW + 30_000, NOW), Duration::from_secs(30));
        assert_eq!(remaining(NOW - 1, NOW), Duration::ZERO);
    }

    #[test]
    fn a_deadline_told_as_a_duration_is_understood() {
        assert_eq!(remaining(600_000, NOW), Duration::from_secs(600));
    }
}
