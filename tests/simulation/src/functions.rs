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

/// Starts a function's environment.
type Start = fn(Aws, HashMap<String, String>) -> Local<Result<Rc<dyn Environment>, String>>;

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

struct Queue<C>(Rc<QueueWorker<C>>);

impl<C: Consumer + 'static> Environment for Queue<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
                _ => Answer::not_understood("not a batch of messages"),
            }
        })
    }
}

fn start_queue<C: Consumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let consumer = start::<C>(&aws, &variables).await?;
        let parking = ParkingConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let worker = QueueWorker::new(consumer, Parking::new(aws.sqs(), parking, C::NAME));
        Ok(Rc::new(Queue(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct Step<S>(Rc<QueueWorker<S>>);

impl<S: SagaStep + 'static> Environment for Step<S> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
                Payload::Task(input) => {
                    match eda::saga::call(worker.consumer(), &input, None, deadline).await {
                        Ok(event) => Answer::Task(serde_json::from_str(event.get()).unwrap_or_default()),
                        Err(error) => Answer::failed(error.name(), error.message()),
                    }
                }
                _ => Answer::not_understood("neither a batch of messages nor a task's input"),
            }
        })
    }
}

fn start_step<S: SagaStep + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let step = start::<S>(&aws, &variables).await?;
        let parking = ParkingConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let worker = QueueWorker::new(step, Parking::new(aws.sqs(), parking, S::NAME));
        Ok(Rc::new(Step(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct QueueBatches<C>(Rc<BatchWorker<C>>);

impl<C: BatchConsumer + 'static> Environment for QueueBatches<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
                _ => Answer::not_understood("not a batch of messages"),
            }
        })
    }
}

fn start_queue_batches<C: BatchConsumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let consumer = start::<C>(&aws, &variables).await?;
        let parking = ParkingConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let worker = BatchWorker::new(consumer, Parking::new(aws.sqs(), parking, C::NAME));
        Ok(Rc::new(QueueBatches(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct OrderedQueue<C>(Rc<OrderedWorker<C>>);

impl<C: Consumer + 'static> Environment for OrderedQueue<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
                _ => Answer::not_understood("not a batch of messages"),
            }
        })
    }
}

fn start_ordered_queue<C: Consumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let consumer = start::<C>(&aws, &variables).await?;
        let parking = ParkingConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let sequences = SequencesConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let parking = Parking::new(aws.sqs(), parking, C::NAME);
        let worker = OrderedWorker::new(consumer, parking, &aws, sequences);
        Ok(Rc::new(OrderedQueue(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct LongQueue<C>(Rc<LongWorker<C>>);

impl<C: LongConsumer + 'static> Environment for LongQueue<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Queue(batch) => Answer::Queue(worker.handle(batch, deadline).await),
                _ => Answer::not_understood("not a batch of messages"),
            }
        })
    }
}

fn start_long_queue<C: LongConsumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let consumer = start::<C>(&aws, &variables).await?;
        let parking = ParkingConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let worker = LongWorker::new(consumer, Parking::new(aws.sqs(), parking, C::NAME));
        Ok(Rc::new(LongQueue(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct Stream<C>(Rc<StreamWorker<C>>);

impl<C: StreamConsumer + 'static> Environment for Stream<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Stream(batch) => Answer::Stream(worker.handle(batch, deadline).await),
                _ => Answer::not_understood("not a batch of records"),
            }
        })
    }
}

fn start_stream<C: StreamConsumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let worker = StreamWorker::new(start::<C>(&aws, &variables).await?);
        Ok(Rc::new(Stream(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct Facts<C>(Rc<FactWorker<C>>);

impl<C: FactConsumer + 'static> Environment for Facts<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
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
        })
    }
}

fn start_facts<C: FactConsumer + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let consumer = start::<C>(&aws, &variables).await?;
        let config = FactsConfig::init_from_hashmap(&variables).map_err(|error| error.to_string())?;
        let worker = FactWorker::new(consumer, aws.sqs(), config);
        Ok(Rc::new(Facts(Rc::new(worker))) as Rc<dyn Environment>)
    })
}

struct Http<H>(Rc<H>);

impl<H: HttpHandler + 'static> Environment for Http<H> {
    fn invoke(&self, payload: Payload, _: Deadline) -> Local<Answer> {
        let handler = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Http(request) => {
                    Answer::Http(Box::new(eda::serve::answer(&*handler, *request).await))
                }
                _ => Answer::not_understood("not a request"),
            }
        })
    }
}

fn start_http<H: HttpHandler + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let handler = start::<H>(&aws, &variables).await?;
        Ok(Rc::new(Http(Rc::new(handler))) as Rc<dyn Environment>)
    })
}

struct Tasks<T>(Rc<T>);

impl<T: Task + 'static> Environment for Tasks<T> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let task = self.0.clone();
        Box::pin(async move {
            let Payload::Task(input) = payload else { return Answer::not_understood("not a task's input") };
            match eda::serve::perform(&*task, &input, deadline).await {
                Ok(report) => Answer::Task(serde_json::to_value(report).unwrap_or_default()),
                Err(failure) => Answer::failed(failure.name(), failure.chain()),
            }
        })
    }
}

fn start_task<T: Task + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let task = start::<T>(&aws, &variables).await?;
        Ok(Rc::new(Tasks(Rc::new(task))) as Rc<dyn Environment>)
    })
}
