//! The functions themselves, as the serving layer runs them, with their types forgotten.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::streams::DynamoDbEventResponse;
use eda::aws::Aws;
use eda::batch::{Consumer, Deadline, Parking, ParkingConfig, QueueWorker, StreamConsumer, StreamWorker};
use eda::serve::{Function, HttpHandler, Task};
use envconfig::Envconfig;

use crate::executor::Local;

/// What an invocation gets.
pub enum Payload {
    /// Messages of a queue.
    Queue(SqsEvent),
    /// Records of a stream.
    Stream(StreamEvent),
    /// A request.
    Http(Box<ApiGatewayV2httpRequest>),
    /// Nothing that counts.
    Schedule,
}

/// What an invocation answers.
pub enum Answer {
    /// Which messages failed.
    Queue(SqsBatchResponse),
    /// Which record failed first.
    Stream(DynamoDbEventResponse),
    /// A response.
    Http(Box<ApiGatewayV2httpResponse>),
    /// It ran.
    Schedule,
    /// The invocation failed.
    Failed(String),
}

/// An execution environment in which a function has started.
trait Environment {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer>;
}

/// Starts a function's environment.
type Start = fn(Aws, HashMap<String, String>) -> Local<Result<Rc<dyn Environment>, String>>;

/// Every function that can be deployed, by its package.
const FUNCTIONS: &[(&str, Start)] = &[
    ("aggregate-steps", start_queue::<aggregate_steps::AggregateSteps>),
    ("cancel-order", start_queue::<cancel_order::CancelOrder>),
    ("confirm-order", start_queue::<confirm_order::ConfirmOrder>),
    ("expire-orders", start_schedule::<expire_orders::ExpireOrders>),
    ("get-order", start_http::<get_order::GetOrder>),
    ("place-order", start_http::<place_order::PlaceOrder>),
    ("process-payment", start_queue::<process_payment::ProcessPayment>),
    ("project-orders", start_stream::<project_orders::ProjectOrders>),
    ("receipts", start_queue::<crate::receipts::Receipts>),
    ("refund-payment", start_queue::<refund_payment::RefundPayment>),
    ("relay-outbox", start_stream::<relay_outbox::RelayOutbox>),
    ("release-inventory", start_queue::<release_inventory::ReleaseInventory>),
    ("reserve-inventory", start_queue::<reserve_inventory::ReserveInventory>),
    ("ship-order", start_queue::<ship_order::ShipOrder>),
    ("sweep-outbox", start_schedule::<sweep_outbox::SweepOutbox>),
];

/// The names of all functions that the simulation can run.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// A deployed function: it starts with its first invocation and lives until one of them is killed.
#[derive(Clone)]
pub struct Runner {
    start: Start,
    aws: Aws,
    variables: HashMap<String, String>,
    environment: Rc<RefCell<Option<Rc<dyn Environment>>>>,
}

impl Runner {
    /// The function of this package, if there is one.
    #[must_use]
    pub fn of(package: &str, aws: Aws, variables: HashMap<String, String>) -> Option<Self> {
        let (_, start) = FUNCTIONS.iter().find(|(name, _)| *name == package)?;
        Some(Self { start: *start, aws, variables, environment: Rc::default() })
    }

    /// Its environment is gone: the next invocation starts another.
    pub fn crash(&self) {
        self.environment.borrow_mut().take();
    }

    /// Invokes it.
    pub async fn invoke(self, payload: Payload, deadline: Deadline) -> Answer {
        let standing = self.environment.borrow().clone();
        let environment = match standing {
            Some(environment) => environment,
            None => match (self.start)(self.aws.clone(), self.variables.clone()).await {
                Ok(environment) => {
                    *self.environment.borrow_mut() = Some(environment.clone());
                    environment
                }
                Err(reason) => return Answer::Failed(reason),
            },
        };
        environment.invoke(payload, deadline).await
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
                _ => Answer::Failed("not a batch of messages".into()),
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

struct Stream<C>(Rc<StreamWorker<C>>);

impl<C: StreamConsumer + 'static> Environment for Stream<C> {
    fn invoke(&self, payload: Payload, deadline: Deadline) -> Local<Answer> {
        let worker = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Stream(batch) => Answer::Stream(worker.handle(batch, deadline).await),
                _ => Answer::Failed("not a batch of records".into()),
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

struct Http<H>(Rc<H>);

impl<H: HttpHandler + 'static> Environment for Http<H> {
    fn invoke(&self, payload: Payload, _: Deadline) -> Local<Answer> {
        let handler = self.0.clone();
        Box::pin(async move {
            match payload {
                Payload::Http(request) => {
                    Answer::Http(Box::new(eda::serve::answer(&*handler, *request).await))
                }
                _ => Answer::Failed("not a request".into()),
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

struct Scheduled<T>(Rc<T>);

impl<T: Task + 'static> Environment for Scheduled<T> {
    fn invoke(&self, _: Payload, deadline: Deadline) -> Local<Answer> {
        let task = self.0.clone();
        Box::pin(async move {
            match task.run(deadline).await {
                Ok(_) => Answer::Schedule,
                Err(failure) => Answer::Failed(failure.chain()),
            }
        })
    }
}

fn start_schedule<T: Task + 'static>(
    aws: Aws,
    variables: HashMap<String, String>,
) -> Local<Result<Rc<dyn Environment>, String>> {
    Box::pin(async move {
        let task = start::<T>(&aws, &variables).await?;
        Ok(Rc::new(Scheduled(Rc::new(task))) as Rc<dyn Environment>)
    })
}
