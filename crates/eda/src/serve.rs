//! The serving layer all functions share: telemetry, configuration, clients, the runtime loop.
//!
//! A function's `main` is one of [`queue`], [`queue_batches`], [`long_queue`], [`ordered_queue`], [`stream`], [`facts`], [`http`], [`task`] and
//! [`saga_step`]; everything that can be wrong with its surroundings ends the start, with a message that names it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use envconfig::Envconfig;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::aws::{Aws, ClientError};
use crate::batch::{
    BatchConsumer, BatchWorker, Consumer, Deadline, FactConsumer, FactWorker, FactsConfig, LongConsumer,
    LongWorker, OrderedWorker, Parking, ParkingConfig, QueueWorker, SequencesConfig, StreamConsumer,
    StreamWorker,
};
use crate::config::{ConfigError, from_env};
use crate::failure::chain;
use crate::saga::{SagaStep, StepWorker, TaskError};
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

/// Runs when it is invoked: by a schedule, by a state machine, or by hand.
pub trait Task: Function {
    /// What it is told; [`Tick`] where all that counts is that it is time.
    type Input: DeserializeOwned + Send;
    /// What the invocation answers.
    type Report: Serialize + Send;

    /// Runs once. A failure fails the invocation.
    fn run(
        &self,
        input: Self::Input,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Self::Report, Failure>> + Send;
}

/// The input of a task that is told nothing: whatever JSON arrives, for example a schedule's event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick;

impl<'de> Deserialize<'de> for Tick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
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

/// A failed invocation. A state machine tells errors apart by their type.
#[derive(Debug)]
struct Failed {
    error_type: &'static str,
    error_message: String,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.name(), error_message: failure.chain() }
    }
}

impl From<TaskError> for Failed {
    fn from(error: TaskError) -> Self {
        Self { error_type: error.name(), error_message: error.message() }
    }
}

impl From<Failed> for Diagnostic {
    fn from(Failed { error_type, error_message }: Failed) -> Self {
        Self { error_type: error_type.to_owned(), error_message }
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

/// Serves a queue's consumer that handles a batch's messages together.
///
/// # Errors
/// [`StartError`].
pub async fn queue_batches<C: BatchConsumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let parking = Parking::new(aws.sqs(), from_env::<ParkingConfig>()?, C::NAME);
    let worker = BatchWorker::new(consumer, parking);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves the consumer of a FIFO queue, in the order of each group.
///
/// # Errors
/// [`StartError`].
pub async fn ordered_queue<C: Consumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let parking = Parking::new(aws.sqs(), from_env::<ParkingConfig>()?, C::NAME);
    let worker = OrderedWorker::new(consumer, parking, &aws, from_env::<SequencesConfig>()?);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves the consumer of a queue whose messages may take longer than an invocation.
///
/// # Errors
/// [`StartError`].
pub async fn long_queue<C: LongConsumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let parking = Parking::new(aws.sqs(), from_env::<ParkingConfig>()?, C::NAME);
    let worker = LongWorker::new(consumer, parking);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves a step of a saga: its queue, and the state machine that calls it.
///
/// # Errors
/// [`StartError`].
pub async fn saga_step<S: SagaStep>() -> Result<(), StartError> {
    let (aws, step) = start::<S>().await?;
    let parking = Parking::new(aws.sqs(), from_env::<ParkingConfig>()?, S::NAME);
    let worker = StepWorker::new(step, parking);
    run(aws, async |input: Box<RawValue>, deadline, context: Context| {
        Ok(worker.handle(&input, context.xray_trace_id, deadline).await?)
    })
    .await
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

/// Serves the consumer of a Kinesis stream of facts.
///
/// # Errors
/// [`StartError`].
pub async fn facts<C: FactConsumer>() -> Result<(), StartError> {
    let (aws, consumer) = start::<C>().await?;
    let worker = FactWorker::new(consumer, aws.sqs(), from_env::<FactsConfig>()?);
    run(aws, async |batch, deadline, _context| Ok(worker.handle(batch, deadline).await)).await
}

/// Serves an HTTP handler.
///
/// # Errors
/// [`StartError`].
pub async fn http<H: HttpHandler>() -> Result<(), StartError> {
    let (aws, handler) = start::<H>().await?;
    run(aws, async |request, deadline, _context| Ok(in_time(answer(&handler, request), deadline).await)).await
}

/// The answer, or before the invocation ends that there is none: else the client would wait for as long as the API does, and
/// hear nothing of when to come again.
async fn in_time(
    answer: impl Future<Output = ApiGatewayV2httpResponse>,
    deadline: Deadline,
) -> ApiGatewayV2httpResponse {
    tokio::time::timeout_at(deadline.instant(), answer).await.unwrap_or_else(|_| {
        tracing::error!("the request took too long");
        crate::http::Problem::unavailable().into()
    })
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

/// Serves a task.
///
/// # Errors
/// [`StartError`].
pub async fn task<T: Task>() -> Result<(), StartError> {
    let (aws, task) = start::<T>().await?;
    run(aws, async |input: Box<RawValue>, deadline, _context| Ok(perform(&task, &input, deadline).await?))
        .await
}

/// Reads a task's input and runs it.
///
/// # Errors
/// [`Failure`]: permanent, naming the field, where the input is not what the task takes; else the task's own.
pub async fn perform<T: Task>(task: &T, input: &RawValue, deadline: Deadline) -> Result<T::Report, Failure> {
    let mut json = serde_json::Deserializer::from_str(input.get());
    let input = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Failure::permanent(format!("the input of {} is not understood", T::NAME)).because(error)
    })?;
    task.run(input, deadline).await
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

    use tokio::time::Instant;

    use super::{Deadline, in_time, remaining};

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

    #[tokio::test(start_paused = true)]
    async fn a_client_hears_before_the_deadline_that_an_answer_takes_too_long_and_when_to_come_again() {
        let began = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(30));
        let answer = in_time(std::future::pending(), deadline).await;
        assert!(began.elapsed() < Duration::from_secs(30));
        assert_eq!((answer.status_code, &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    }
}
