//! Saga timeout: finds orders past their deadline and closes them at the pivot, or pushes them on if they have shipped.
//!
//! `OrderExpired` starts the compensation; `AllStepsComplete`, repeated, confirms what had shipped. A join that still waits for
//! steps of such an order has the same deadline, and ends: `JoinTimedOut`.
//!
//! A state machine in which something went wrong calls it to close one order: only the pivot's answer tells whether there is
//! still something to undo.

mod close;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use eda::aws::Aws;
use eda::batch::{CONCURRENCY, Deadline};
use eda::event::{Cause, Emission, SagaStyle};
use eda::join::JoinRow;
use eda::outbox::OutboxRow;
use eda::row::{Item, Table};
use eda::serve::{Function, StartError, Task};
use eda::spine::Spine;
use eda::transition::{Outcome, Transition};
use eda::{Failure, telemetry};
use envconfig::Envconfig;
use futures::StreamExt;
use futures::future::ready;
use futures::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use shop::KEEP_DAYS;
use shop::events::{AllStepsComplete, JoinTimedOut, OrderExpired};
use shop::order::{DEADLINE_INDEX, OPEN_SHARDS, OrderHead, OrderStatus, open_shards};
use shop::saga::{JOIN, STEPS, reason};
use shop::shipment::{Shipment, ShipmentState};

pub use close::{Asked, Close};

/// The tables of this step, and its pace.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// Heads, with the index of open orders by deadline.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub orders: Table<OrderHead>,
    /// The pivot.
    #[envconfig(from = "SHIPMENTS_TABLE")]
    pub shipments: Table<Shipment>,
    /// The joins of their steps.
    #[envconfig(from = "JOINS_TABLE")]
    pub joins: Table<JoinRow>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// Seconds after which an order that is still open comes up again.
    #[envconfig(from = "EXPIRY_REPEAT_SECONDS")]
    pub repeat_seconds: i64,
}

/// Closes, or pushes on, orders past their deadline.
pub struct ExpireOrders {
    dynamodb: Client,
    spine: Spine,
    config: Config,
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To the schedule: what became of the orders past their deadline.
    Expired(Report),
    /// To the state machine: `OrderExpired` where there is something to undo, `AllStepsComplete` where the order has
    /// shipped, as documents of the bus.
    Closed(Box<RawValue>),
}

/// What became of the orders past their deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Closed at the pivot, now.
    pub closed: u64,
    /// Closed before and still open: their expiry was announced again.
    pub repeated: u64,
    /// Shipped and still open: their completion was announced again.
    pub overdue: u64,
    /// Ended, or taken up by another run, meanwhile.
    pub settled: u64,
    /// Could not be handled; they come up again.
    pub failed: u64,
}

/// What was done about one order.
enum Done {
    Closed,
    Repeated,
    Overdue,
    Settled,
}

/// The order was no longer open with the deadline that was seen.
#[derive(Clone, Copy)]
struct Moved;

impl Function for ExpireOrders {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { dynamodb: aws.dynamodb(), spine, config })
    }
}

impl Task for ExpireOrders {
    type Input = Asked;
    type Report = Answer;

    async fn run(&self, asked: Asked, deadline: Deadline) -> Result<Answer, Failure> {
        match asked {
            Asked::Expire => self.expire(deadline).await.map(Answer::Expired),
            Asked::Close(close) => self.close(close).await.map(Answer::Closed),
        }
    }
}

impl ExpireOrders {
    async fn expire(&self, deadline: Deadline) -> Result<Report, Failure> {
        let now = self.spine.ambient().now().as_second();
        let shards =
            stream::iter(open_shards()).map(|shard| self.due(shard, now)).buffered(usize::from(OPEN_SHARDS));
        let due: Vec<_> = shards.collect().await;
        let due: Vec<_> = due.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let mut report = Report::default();
        let due = stream::iter(due).take_while(|_| ready(!deadline.passed()));
        let mut done = due.map(|order_id| self.settle(order_id, now)).buffer_unordered(CONCURRENCY);
        while let Some(done) = done.next().await {
            match done {
                Ok(Done::Closed) => report.closed += 1,
                Ok(Done::Repeated) => report.repeated += 1,
                Ok(Done::Overdue) => report.overdue += 1,
                Ok(Done::Settled) => report.settled += 1,
                Err(failure) => {
                    report.failed += 1;
                    tracing::error!(
                        failure = failure.chain(),
                        "an order past its deadline could not be handled"
                    );
                }
            }
        }
        telemetry::report(Self::NAME, "OrdersExpired", report.closed);
        telemetry::report(Self::NAME, "OrdersOverdue", report.overdue);
        Ok(report)
    }

    /// Orders of a shard that the index believes open and past their deadline, oldest first.
    async fn due(&self, shard: String, now: i64) -> Result<Vec<String>, Failure> {
        let mut due = Vec::new();
        let mut from: Option<Item> = None;
        loop {
            let page = self
                .dynamodb
                .query()
                .table_name(self.config.orders.name())
                .index_name(DEADLINE_INDEX)
                .key_condition_expression("#openShard = :shard AND #deadline <= :now")
                .expression_attribute_names("#openShard", "openShard")
                .expression_attribute_names("#deadline", "deadline")
                .expression_attribute_values(":shard", AttributeValue::S(shard.clone()))
                .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
                .set_exclusive_start_key(from.take())
                .send()
                .await
                .map_err(|error| Failure::transient("the deadlines could not be read").because(error))?;
            let ids =
                page.items.unwrap_or_default().into_iter().filter_map(|mut item| item.remove("aggregateId"));
            due.extend(ids.filter_map(|id| id.as_s().ok().cloned()));
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(due);
            }
        }
    }

    /// The index may be stale; only the rows count. The head's deadline moves with whatever is announced, so an
    /// order comes up once per interval, whoever looks.
    async fn settle(&self, order_id: String, now: i64) -> Result<Done, Failure> {
        let Some(head) = self.spine.read(&self.config.orders, OrderHead::key(&order_id)).await? else {
            return Ok(Done::Settled);
        };
        let (OrderStatus::Open, Some(seen)) =
            (head.status, head.deadline.filter(|deadline| *deadline <= now))
        else {
            return Ok(Done::Settled);
        };
        self.end_join(&head).await?;
        let postpone = || {
            let write = self.config.orders.update(OrderHead::key(&order_id));
            OrderHead::postpone(write, seen, now.saturating_add(self.config.repeat_seconds))
        };
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let close = Shipment::close(&self.config.shipments, &order_id, reason::EXPIRED, expires_at)?;
        let expired = self.expired(&head)?;
        let transition = Transition::guarded_by(close).requiring([(postpone(), Moved)]).emit(expired);
        let pivot = match self.spine.commit(transition).await? {
            Outcome::Applied => return Ok(Done::Closed),
            Outcome::Rejected(Moved, _) => return Ok(Done::Settled),
            Outcome::Duplicate(Some(pivot)) => pivot,
            Outcome::Duplicate(None) => {
                return Err(Failure::transient("the shipment refused without being there"));
            }
        };
        let (again, done) = match pivot.status {
            ShipmentState::Closed => (self.expired(&head)?, Done::Repeated),
            ShipmentState::Shipped => (self.complete(&head)?, Done::Overdue),
        };
        match self.spine.commit(Transition::guarded_by(postpone()).emit(again)).await? {
            Outcome::Applied => Ok(done),
            Outcome::Duplicate(_) => Ok(Done::Settled),
        }
    }

    /// Before the order is decided on: whoever dies in between finds the order due again, and the join ended.
    async fn end_join(&self, head: &OrderHead) -> Result<(), Failure> {
        let say = |missing: &[&'static str]| {
            let timed_out = JoinTimedOut {
                order_id: head.aggregate_id.clone(),
                customer_id: head.customer_id.clone(),
                missing: missing.iter().map(ToString::to_string).collect(),
            };
            self.spine.event(&Self::cause(head), &timed_out)
        };
        let joins = &self.config.joins;
        if let Some(missing) = JOIN.time_out(&self.spine, joins, &head.aggregate_id, say).await? {
            telemetry::report(Self::NAME, "JoinsTimedOut", 1);
            tracing::warn!(
                orderId = head.aggregate_id,
                correlationId = %head.correlation_id,
                missing = missing.join(", "),
                "the steps of an order are waited for no longer"
            );
        }
        Ok(())
    }

    fn cause(head: &OrderHead) -> Cause {
        Cause {
            correlation_id: Some(head.correlation_id),
            causation_id: None,
            saga: SagaStyle::Choreographed,
            trace: None,
        }
    }

    fn expired(&self, head: &OrderHead) -> Result<Emission, Failure> {
        let expired = OrderExpired {
            order_id: head.aggregate_id.clone(),
            customer_id: head.customer_id.clone(),
            reason: reason::EXPIRED.to_owned(),
        };
        self.spine.event(&Self::cause(head), &expired)
    }

    fn complete(&self, head: &OrderHead) -> Result<Emission, Failure> {
        self.spine.event(&Self::cause(head), &complete(&head.aggregate_id, &head.customer_id))
    }
}

fn complete(order_id: &str, customer_id: &str) -> AllStepsComplete {
    AllStepsComplete {
        order_id: order_id.to_owned(),
        customer_id: customer_id.to_owned(),
        steps: STEPS.iter().map(ToString::to_string).collect(),
    }
}
