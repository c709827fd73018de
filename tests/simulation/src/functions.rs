//! The functions themselves, as the serving layer runs them, with their types forgotten.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use eda::aws::Aws;
use eda::batch::{
    BatchConsumer, BatchWorker, Consumer, Deadline, FactConsumer, FactWorker, FactsConfig, LongConsumer,
    LongWorker, OrderedWorker, Parking, ParkingConfig, QueueWorker, SequencesConfig, StreamConsumer,
    StreamWorker,
};
use eda::saga::SagaStep;
use eda::serve::{Function, HttpHandler, Task};
use envconfig::Envconfig;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::executor::Local;

/// What an invocation gets.
pub enum Payload {
    /// Messages of a queue.
    Queue(SqsEvent),
    /// Records of a stream.
    Stream(StreamEvent),
    /// Records of a stream of facts.
    Facts(KinesisEvent),
    /// A request.
    Http(Box<ApiGatewayV2httpRequest>),
    /// The input of a task, as JSON.
    Task(Box<RawValue>),
}

/// What an invocation answers.
pub enum Answer {
    /// Which messages failed.
    Queue(SqsBatchResponse),
    /// Which record failed first.
    Stream(DynamoDbEventResponse),
    /// A response.
    Http(Box<ApiGatewayV2httpResponse>),
    /// What a task answers.
    Task(Value),
    /// The invocation failed.
    Failed {
        /// The error's name.
        name: String,
        /// What it says.
        message: String,
    },
}

impl Answer {
    fn failed(name: &str, message: impl Into<String>) -> Self {
        Self::Failed { name: name.to_owned(), message: message.into() }
    }

    /// The function got what is not for it.
    fn not_understood(what: &str) -> Self {
        Self::failed("Runtime.Unknown", what)
    }
}

/// An execution environment in which a function has started.
trait Environment {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer>;
}

/// An environment, or why there is none.
type Started = Local<Result<Rc<dyn Environment>, String>>;

/// Starts a function's environment.
type Start = fn(Aws, HashMap<String, String>) -> Started;

/// Every function that can be deployed, by its package.
const FUNCTIONS: &[(&str, Start)] = &[
    ("aggregate-results", start_task::<aggregate_results::AggregateResults>),
    ("aggregate-sales", start_facts::<aggregate_sales::AggregateSales>),
    ("aggregate-steps", start_queue::<aggregate_steps::AggregateSteps>),
    ("calculate-shipping", start_task::<calculate_shipping::CalculateShipping>),
    ("cancel-order", start_step::<cancel_order::CancelOrder>),
    ("check-credit", start_task::<check_credit::CheckCredit>),
    ("close-sales", start_task::<close_sales::CloseSales>),
    ("confirm-order", start_step::<confirm_order::ConfirmOrder>),
    ("enrich-order", start_queue_batches::<enrich_order::EnrichOrder>),
    ("expire-orders", start_task::<expire_orders::ExpireOrders>),
    ("get-order", start_http::<get_order::GetOrder>),
    ("import-orders", start_long_queue::<import_orders::ImportOrders>),
    ("place-order", start_http::<place_order::PlaceOrder>),
    ("process-dlq", start_task::<process_dlq::ProcessDlq>),
    ("process-payment", start_step::<process_payment::ProcessPayment>),
    ("project-orders", start_stream::<project_orders::ProjectOrders>),
    ("publish-stock", start_stream::<publish_stock::PublishStock>),
    ("rebuild-orders-view", start_task::<rebuild_orders_view::RebuildOrdersView>),
    ("reconcile-views", start_task::<reconcile_views::ReconcileViews>),
    ("record-activity", start_ordered_queue::<record_activity::RecordActivity>),
    ("refund-payment", start_step::<refund_payment::RefundPayment>),
    ("relay-outbox", start_stream::<relay_outbox::RelayOutbox>),
    ("release-inventory", start_step::<release_inventory::ReleaseInventory>),
    ("reorder-stock", start_queue::<reorder_stock::ReorderStock>),
    ("replay-events", start_task::<replay_events::ReplayEvents>),
    ("reserve-inventory", start_step::<reserve_inventory::ReserveInventory>),
    ("send-receipt", start_task::<send_receipt::SendReceipt>),
    ("ship-order", start_step::<ship_order::ShipOrder>),
    ("snapshot-orders", start_stream::<snapshot_orders::SnapshotOrders>),
    ("start-order-saga", start_queue::<start_order_saga::StartOrderSaga>),
    ("sweep-outbox", start_task::<sweep_outbox::SweepOutbox>),
    ("validate-inventory", start_task::<validate_inventory::ValidateInventory>),
];

/// The names of all functions that the simulation can run.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// A deployed function: each of its environments has one invocation at a time, so there are as many as are ever needed at once.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>
#[derive(Clone)]
pub struct Runner(Rc<Deployed>);

struct Deployed {
    start: Start,
    aws: Aws,
    variables: HashMap<String, String>,
    /// Environments that nobody uses.
    idle: RefCell<Vec<Rc<dyn Environment>>>,
}

impl Runner {
    /// The function of this package, if there is one.
    #[must_use]
    pub fn of(package: &str, aws: Aws, variables: HashMap<String, String>) -> Option<Self> {
        let (_, start) = FUNCTIONS.iter().find(|(name, _)| *name == package)?;
        Some(Self(Rc::new(Deployed { start: *start, aws, variables, idle: RefCell::default() })))
    }

    /// Invokes it. An environment whose invocation is dropped before it has answered is gone with it.
    pub async fn invoke(self, payload: Payload, deadline: Deadline) -> Answer {
        let Deployed { start, aws, variables, idle } = &*self.0;
        let standing = idle.borrow_mut().pop();
        let environment = match standing {
            Some(environment) => environment,
            None => match start(aws.clone(), variables.clone()).await {
                Ok(environment) => environment,
                Err(reason) => return Answer::failed("Runtime.ExitError", reason),
            },
        };
        let answer = environment.invoke(payload, deadline).await;
        idle.borrow_mut().push(environment);
        answer
    }
}

async fn start<F: Function>(aws: &Aws, variables: &HashMap<String, String>) -> Result<F, String> {
    let config = F::Config::init_from_hashmap(variables).map_err(|error| error.to_string())?;
    F::start(aws, config).await.map_err(|error| error.to_string())
}

/// An environment that works on its payloads so.
struct Working<W, F> {
    worker: Rc<W>,
    work: F,
}

impl<W: 'static, F: AsyncFn(&W, Payload, Deadline) -> Answer + Clone + 'static> Environment
    for Working<W, F>
{
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let (worker, work) = (self.worker.clone(), self.work.clone());
        Box::pin(async move { work(&worker, payload, deadline).await })
    }
}

/// Starts a function, makes its worker, and lets that work so.
fn started<F: Function + 'static, W: 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
    worker: impl FnOnce(F, &Aws, &HashMap<String, String>) -> Result<W, String> + 'static,
    work: impl AsyncFn(&W, Payload, Deadline) -> Answer + Clone + 'static,
) -> Started {
    Box::pin(async move {
        let function = start::<F>(&aws, &variables).await?;
        let worker = Rc::new(worker(function, &aws, &variables)?);
        Ok(Rc::new(Working { worker, work }) as Rc<dyn Environment>)
    })
}

fn config<C: Envconfig>(variables: &HashMap<String, String>) -> Result<C, String> {
    C::init_from_hashmap(variables).map_err(|error| error.to_string())
}

fn parking(
    aws: &Aws,
    variables: &HashMap<String, String>,
    function: &'static str,
) -> Result<Parking, String> {
    Ok(Parking::new(aws.sqs(), config::<ParkingConfig>(variables)?, function))
}

fn start_queue<C: Consumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, aws, variables| Ok(QueueWorker::new(consumer, parking(aws, variables, C::NAME)?)),
        async |worker: &QueueWorker<C>, payload, deadline| match payload {
            Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
            _ => Answer::not_understood("not a batch of messages"),
        },
    )
}

fn start_step<S: SagaStep + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |step: S, aws, variables| Ok(QueueWorker::new(step, parking(aws, variables, S::NAME)?)),
        async |worker: &QueueWorker<S>, payload, deadline| match payload {
            Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
            Payload::Task(input) => match eda::saga::call(worker.consumer(), &input, None, deadline).await {
                Ok(event) => Answer::Task(serde_json::from_str(event.get()).unwrap_or_default()),
                Err(error) => Answer::failed(error.name(), error.message()),
            },
            _ => Answer::not_understood("neither a batch of messages nor a task's input"),
        },
    )
}

fn start_queue_batches<C: BatchConsumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, aws, variables| Ok(BatchWorker::new(consumer, parking(aws, variables, C::NAME)?)),
        async |worker: &BatchWorker<C>, payload, deadline| match payload {
            Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
            _ => Answer::not_understood("not a batch of messages"),
        },
    )
}

fn start_ordered_queue<C: Consumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, aws, variables| {
            let sequences = config::<SequencesConfig>(variables)?;
            Ok(OrderedWorker::new(consumer, parking(aws, variables, C::NAME)?, aws, sequences))
        },
        async |worker: &OrderedWorker<C>, payload, deadline| match payload {
            Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
            _ => Answer::not_understood("not a batch of messages"),
        },
    )
}

fn start_long_queue<C: LongConsumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, aws, variables| Ok(LongWorker::new(consumer, parking(aws, variables, C::NAME)?)),
        async |worker: &LongWorker<C>, payload, deadline| match payload {
            Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
            _ => Answer::not_understood("not a batch of messages"),
        },
    )
}

fn start_stream<C: StreamConsumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, _, _| Ok(StreamWorker::new(consumer)),
        async |worker: &StreamWorker<C>, payload, deadline| match payload {
            Payload::Stream(batch) => Answer::Stream(worker.handle(batch, deadline).await),
            _ => Answer::not_understood("not a batch of records"),
        },
    )
}

fn start_facts<C: FactConsumer + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |consumer: C, aws, variables| {
            Ok(FactWorker::new(consumer, aws.sqs(), config::<FactsConfig>(variables)?))
        },
        async |worker: &FactWorker<C>, payload, deadline| {
            let Payload::Facts(batch) = payload else {
                return Answer::not_understood("not a batch of facts");
            };
            let failures = worker.handle(batch, deadline).await.batch_item_failures.into_iter();
            let mut answer = DynamoDbEventResponse::default();
            answer.batch_item_failures = failures
                .map(|failure| {
                    let mut same = DynamoDbBatchItemFailure::default();
                    same.item_identifier = failure.item_identifier;
                    same
                })
                .collect();
            Answer::Stream(answer)
        },
    )
}

fn start_http<H: HttpHandler + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |handler: H, _, _| Ok(handler),
        async |handler: &H, payload, _| match payload {
            Payload::Http(request) => Answer::Http(Box::new(eda::serve::answer(handler, *request).await)),
            _ => Answer::not_understood("not a request"),
        },
    )
}

fn start_task<T: Task + 'static>(aws: Aws, variables: HashMap<String, String>) -> Started {
    started(
        aws,
        variables,
        |task: T, _, _| Ok(task),
        async |task: &T, payload, deadline| {
            let Payload::Task(input) = payload else { return Answer::not_understood("not a task's input") };
            match eda::serve::perform(task, &input, deadline).await {
                Ok(report) => Answer::Task(serde_json::to_value(report).unwrap_or_default()),
                Err(failure) => Answer::failed(failure.name(), failure.chain()),
            }
        },
    )
}
