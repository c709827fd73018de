//! Steps of a saga, whoever coordinates it.
//!
//! A step makes of one event the next. In a choreography a queue feeds it, and what it has to say goes out through the
//! outbox; in an orchestration a state machine calls it with the very document that a queue would have delivered, and is
//! handed the next one as the task's result. What happens to rows and outbox is the same.
//!
//! Which saga an event belongs to is decided by the way it came, not by what it says of itself: what a queue feeds is
//! choreographed, what a state machine hands over is orchestrated, and so the two can never take up each other's events.

use std::future::Future;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout_at;
use tracing::Instrument;

use crate::Failure;
use crate::batch::{Consumer, Deadline, Parking, QueueWorker};
use crate::event::{BusEvent, Emission, Message, SagaStyle};
use crate::serve::Function;

/// A step of a saga.
pub trait SagaStep: Function {
    /// What it follows from.
    type Message: Message + Send;

    /// Messages of a batch that share a lane are handled one after another, in the batch's order.
    fn lanes(message: &Self::Message) -> Vec<String> {
        vec![message.ordering_key().to_owned()]
    }

    /// Takes the step, unless it was taken before. Either way it says what came of it: what stands in the step's row.
    fn step(&self, message: Self::Message) -> impl Future<Output = Result<Stepped, Failure>> + Send;
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It is done, now or before, and this event says so.
    Done(Emission),
    /// It is refused for good, and whoever has to know was told.
    Refused(Refusal),
}

/// Why a step is refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error's name, by which a state machine catches it.
    pub error: &'static str,
    /// Why, as a code.
    pub reason: String,
}

/// A task that did not do what it was called for.
#[derive(Debug)]
pub enum TaskError {
    /// For good: calling it again would give the same answer.
    Refused(Refusal),
    /// It could not be done, or nobody knows whether it was.
    Failed(Failure),
}

impl TaskError {
    /// The error's name, by which a state machine retries or catches it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.error,
            Self::Failed(failure) => failure.name(),
        }
    }

    /// A refusal's code, or what failed, all frames in one line.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.reason.clone(),
            Self::Failed(failure) => failure.chain(),
        }
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// In a choreography a refusal is a business outcome like any other: the row and the outbox have it, so the message is
/// acknowledged.
impl<S: SagaStep> Consumer for S {
    type Message = S::Message;

    fn lanes(message: &S::Message) -> Vec<String> {
        S::lanes(message)
    }

    async fn consume(&self, message: S::Message) -> Result<(), Failure> {
        self.step(message.in_saga(SagaStyle::Choreographed)).await.map(drop)
    }
}

/// Runs a step for its queue and for a state machine. Which of them calls is seen from the shape of what comes.
pub struct StepWorker<S> {
    queue: QueueWorker<S>,
}

/// What a step's function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StepAnswer {
    /// To the queue: what must be delivered again.
    Batch(SqsBatchResponse),
    /// To the state machine: the document of the event that says what was done.
    Event(Box<RawValue>),
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
}

impl<S: SagaStep> StepWorker<S> {
    /// A worker that parks its queue's poison there.
    #[must_use]
    pub fn new(step: S, parking: Parking) -> Self {
        Self { queue: QueueWorker::new(step, parking) }
    }

    /// Handles a batch of the queue, or the input of a task. `trace` is the X-Ray header of the invocation.
    ///
    /// # Errors
    /// [`TaskError`], for a task only: a batch reports its failures by message.
    pub async fn handle(
        &self,
        input: &RawValue,
        trace: Option<String>,
        deadline: Deadline,
    ) -> Result<StepAnswer, TaskError> {
        let unreadable =
            |error| Failure::permanent(format!("the input of {} is not understood", S::NAME)).because(error);
        if serde_json::from_str::<Shape>(input.get()).map_err(unreadable)?.records.is_some() {
            let batch: SqsEvent = serde_json::from_str(input.get()).map_err(unreadable)?;
            return Ok(StepAnswer::Batch(self.queue.handle(batch, deadline).await));
        }
        call(self.queue.consumer(), input, trace, deadline).await.map(StepAnswer::Event)
    }
}

/// Takes a step as a task: `input` is the document of the event that it follows from, and so is what it returns.
///
/// # Errors
/// [`TaskError`].
pub async fn call<S: SagaStep>(
    step: &S,
    input: &RawValue,
    trace: Option<String>,
    deadline: Deadline,
) -> Result<Box<RawValue>, TaskError> {
    let message: S::Message = read(input, trace)?;
    let span = message_span(&message);
    let stepped = timeout_at(deadline.instant(), step.step(message).instrument(span)).await;
    match stepped.map_err(|_| Failure::transient("the invocation's time is over"))?? {
        Stepped::Done(event) => Ok(event.document()?),
        Stepped::Refused(refusal) => {
            tracing::info!(error = refusal.error, reason = refusal.reason, "the step is refused");
            Err(TaskError::Refused(refusal))
        }
    }
}

/// Reads the event that a state machine hands over: its document, as the bus would have delivered it.
///
/// # Errors
/// [`Failure`] (permanent), naming what is wrong with it.
pub fn read<M: Message>(document: &RawValue, trace: Option<String>) -> Result<M, Failure> {
    let mut event = BusEvent::parse(document.get())?;
    event.trace = trace;
    Ok(M::decode(&event)?.in_saga(SagaStyle::Orchestrated))
}

/// The input of a task that is handed an event and answers with something else than the next one.
#[derive(Clone, Debug)]
pub struct Handed<M>(pub M);

impl<'de, M: Message> Deserialize<'de> for Handed<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Box::<RawValue>::deserialize(deserializer)?;
        read(&document, None).map(Self).map_err(|failure| D::Error::custom(failure.chain()))
    }
}

fn message_span<M: Message>(message: &M) -> tracing::Span {
    let metadata = message.metadata();
    tracing::info_span!(
        "task",
        eventId = %metadata.event_id,
        correlationId = %metadata.correlation_id,
        causationId = metadata.causation_id.map(tracing::field::display),
        key = message.ordering_key(),
    )
}
