//! Places the orders, disturbs them as their stories want it, and follows them to their end.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use eda::event::SagaStyle;
use fastrand::Rng;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use http::Method;
use serde_json::{Value, json};

use super::invariants;
use super::outage::Outage;
use super::rebuild::Rebuild;
use super::report::{Invariant, Orders, Report, Saga, Timings, millis};
use super::scenario::{End, Scenario};
use crate::gateway::Ledger;
use crate::http::{Answer, HttpClient};
use crate::tap::{Observed, Tap};
use crate::{Error, LocalCloud, Stack, Step};

/// How the demonstration runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many orders; twenty tell every story.
    pub orders: u64,
    /// Decides products, quantities, customers and cards.
    pub seed: u64,
    /// Functions are killed meanwhile. The gateway is left in peace then: what is killed costs an order time enough.
    pub killed: bool,
}

/// Until the second half of the orders comes in, and the gateway is out of reach.
const SECOND_HALF: Duration = Duration::from_secs(5);
/// Requests under way at once.
const CLIENTS: usize = 8;
/// How often the scheduled functions are invoked: on AWS a schedule runs at most once a minute.
const TICK: Duration = Duration::from_secs(3);
/// How long a request is repeated while the API fails.
const PERSISTENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Bodies that no consumer can read, put on every queue.
const POISON: [&str; 2] = [
    "demo-poison: no JSON",
    r#"{"version":"0","id":"demo-poison","detail-type":"Poisoned","source":"demo","account":"000000000000","time":"2026-01-15T10:30:00Z","region":"us-east-1","resources":[],"detail":{}}"#,
];

pub(super) struct Order {
    saga: SagaStyle,
    pub(super) scenario: Scenario,
    key: String,
    request: Value,
    placed: Instant,
    pub(super) order_id: String,
    /// Every answer to the order's requests was the same, and the same key with another body was refused.
    pub(super) answers_agree: bool,
    /// Names of its events and of what they follow from, in the order in which the bus had them, each id once.
    pub(super) events: Vec<(String, Option<String>)>,
    ended: Option<Duration>,
    pub(super) end: End,
}

pub(super) struct Driver<'a> {
    pub(super) stack: &'a Stack,
    gateway_url: &'a str,
    http: HttpClient,
    tap: Tap,
    pub(super) orders: Vec<Order>,
    /// How many of them have been placed.
    placed: usize,
    /// Available pieces before the first order.
    pub(super) stock: BTreeMap<String, i64>,
    pub(super) rebuild: Rebuild,
    pub(super) outage: Outage,
    pub(super) killed: bool,
    /// Ids of the events that have been heard.
    heard: HashSet<String>,
}

impl<'a> Driver<'a> {
    pub(super) async fn start(cloud: &'a LocalCloud, options: &Options) -> Result<Self, Error> {
        let (stack, http) = (cloud.stack(), HttpClient::new());
        for fault in Scenario::faults() {
            let url = format!("{}/_localcloud/faults", cloud.gateway_url());
            let headers = [("content-type", "application/json")];
            http.send(Method::POST, &url, &headers, json!(fault).to_string().into_bytes()).await?;
        }
        let mut rng = Rng::with_seed(options.seed);
        let orders =
            Scenario::deal(options.orders).into_iter().enumerate().map(|(index, (saga, scenario))| Order {
                saga,
                scenario,
                key: format!("demo-{}-{index}", options.seed),
                request: scenario.request(saga, &mut rng),
                placed: Instant::now(),
                order_id: String::new(),
                answers_agree: false,
                events: Vec::new(),
                ended: None,
                end: End::Unfinished,
            });
        let orders = orders.collect();
        let tap = Tap::install(stack, "demonstration-tap").await?;
        let stock = stack.rows("InventoryTable").await?.iter().filter_map(stock_of).collect();
        let (gateway_url, placed, rebuild) = (cloud.gateway_url(), 0, Rebuild::default());
        let killed = options.killed;
        let outage = Outage::new(gateway_url, !killed);
        let heard = HashSet::new();
        Ok(Self { stack, gateway_url, http, tap, orders, placed, stock, rebuild, outage, killed, heard })
    }

    /// Places the first half of the orders, puts poison on every queue meanwhile, and has the views built anew.
    pub(super) async fn open(&mut self, step: &Step) -> Result<(), Error> {
        let stack = self.stack;
        let half = self.orders.len().div_ceil(2);
        future::try_join(self.place(half, step), poison(stack)).await?;
        self.rebuild.drive(stack).await;
        Ok(())
    }

    /// Places orders until so many have been placed.
    async fn place(&mut self, until: usize, step: &Step) -> Result<(), Error> {
        step.say("placing");
        let stack = self.stack;
        let due = self.orders.iter_mut().take(until).skip(self.placed);
        let placing = stream::iter(due).map(|order| place(stack, order)).buffer_unordered(CLIENTS);
        placing.try_collect::<Vec<_>>().await?;
        self.placed = until;
        Ok(())
    }

    /// Follows the orders until each has ended, or `until`. Meanwhile the second half of them comes in, during an outage.
    pub(super) async fn follow(&mut self, step: &Step, until: Instant) -> Result<(), Error> {
        let mut ticked = Instant::now();
        while (self.unfinished() > 0 || !self.outage.is_over()) && Instant::now() < until {
            if step.elapsed() >= SECOND_HALF {
                if self.outage.is_ahead() {
                    step.note("the payment gateway is out of reach");
                    self.outage.begin().await?;
                }
                if self.placed < self.orders.len() {
                    self.place(self.orders.len(), step).await?;
                }
            }
            self.outage.watch(self.stack).await?;
            if self.outage.is_due_to_end() {
                self.outage.end(self.unfinished()).await?;
                step.note("the payment gateway answers again");
            }
            step.say("following");
            self.listen().await?;
            if ticked.elapsed() >= TICK {
                self.tick().await;
                ticked = Instant::now();
            }
            self.look(step).await?;
        }
        Ok(())
    }

    /// Notes the next events of the orders, and has some delivered again. Tells whether there was any event within a second.
    async fn listen(&mut self) -> Result<bool, Error> {
        let events = self.tap.hear().await?;
        let any = !events.is_empty();
        for event in events {
            let mut placed = self.orders.iter_mut().take(self.placed);
            let Some(order) = placed.find(|order| order.order_id == event.order_id) else { continue };
            if !self.heard.insert(event.event_id.clone()) {
                continue;
            }
            self.rebuild.meanwhile += usize::from(self.rebuild.is_under_way());
            order.events.push((event.name.clone(), event.cause.clone()));
            if order.scenario == Scenario::Duplicated {
                duplicate(self.stack, &self.tap, &event, order.saga).await?;
            }
        }
        Ok(any)
    }

    /// How many orders have not ended.
    fn unfinished(&self) -> usize {
        self.orders.iter().filter(|order| order.end == End::Unfinished).count()
    }

    /// What the schedules do on AWS, more often. A failure is the next tick's to repair.
    async fn tick(&mut self) {
        let stack = self.stack;
        let schedules = async {
            for function in ["expire-orders", "sweep-outbox", "close-sales"] {
                let _ = stack.invoke(function, b"{}").await;
            }
        };
        future::join(schedules, self.rebuild.drive(stack)).await;
    }

    /// Looks, as a customer would, at the orders whose last event has been seen.
    async fn look(&mut self, step: &Step) -> Result<(), Error> {
        for order in &mut self.orders {
            let last =
                order.events.iter().any(|(name, _)| name == "OrderConfirmed" || name == "OrderCancelled");
            if order.end != End::Unfinished || !last {
                continue;
            }
            let Ok(answer) = self.stack.get(&format!("/orders/{}", order.order_id)).await else {
                continue;
            };
            let status =
                answer.json::<Value>().ok().and_then(|view| Some(view.get("status")?.as_str()?.to_owned()));
            order.end = match status.as_deref() {
                Some("confirmed") => End::Confirmed,
                Some("cancelled") => End::Cancelled,
                _ => End::Unfinished,
            };
            if order.end != End::Unfinished {
                order.ended = Some(order.placed.elapsed());
                step.advance();
            }
        }
        Ok(())
    }

    /// Waits until nothing is under way: no execution runs, queues and outbox are empty, the poison is parked, the views are built and
    /// have caught up. Bounded by `until`. Tells how many events nobody has published even so.
    pub(super) async fn settle(&mut self, until: Instant) -> Result<usize, Error> {
        let mut ticked = Instant::now();
        while Instant::now() < until {
            if self.quiet().await? {
                return Ok(0);
            }
            if ticked.elapsed() >= TICK {
                self.tick().await;
                ticked = Instant::now();
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.unpublished().await
    }

    /// What leaves one place for another that has been looked at already is an event, and heard.
    async fn quiet(&mut self) -> Result<bool, Error> {
        if self.rebuild.is_under_way() || self.unpublished().await? > 0 {
            return Ok(false);
        }
        for queue in work_queues(self.stack) {
            if self.stack.queue_depth(&queue).await?.total() > 0 {
                return Ok(false);
            }
        }
        if self.stack.running_executions().await? > 0 {
            return Ok(false);
        }
        // They are fed by a stream, which does not tell how far behind its readers are.
        if !invariants::read(self).await?.views().is_empty() {
            return Ok(false);
        }
        Ok(!self.listen().await? && self.unpublished().await? == 0)
    }

    /// How many events nobody has published.
    async fn unpublished(&self) -> Result<usize, Error> {
        Ok(self.stack.items("OutboxTable").await?.len())
    }

    /// The gateway's books.
    pub(super) async fn ledger(&self) -> Result<Ledger, Error> {
        let url = format!("{}/_localcloud/ledger", self.gateway_url);
        let answer = self.http.get(&url).await?;
        answer.json().map_err(|error| Error::Content { path: url.into(), message: error.to_string() })
    }

    /// How many messages each dead-letter queue holds.
    pub(super) async fn parked(&self) -> Result<BTreeMap<String, u64>, Error> {
        let mut parked = BTreeMap::new();
        for queue in dead_letter_queues(self.stack) {
            parked.insert(queue.clone(), self.stack.queue_depth(&queue).await?.total());
        }
        Ok(parked)
    }

    /// What the dead-letter queues hold.
    pub(super) async fn letters(&self) -> Result<BTreeMap<String, Vec<Letter>>, Error> {
        let mut letters = BTreeMap::new();
        for queue in dead_letter_queues(self.stack) {
            letters.insert(queue.clone(), read(self.stack, &queue).await?);
        }
        Ok(letters)
    }

    pub(super) async fn report(
        self,
        invariants: Vec<Invariant>,
        outbox_pending: usize,
        timings: Timings,
    ) -> Result<Report, Error> {
        let count = |end: End| self.orders.iter().filter(|order| order.end == end).count();
        let orders = Orders {
            placed: self.orders.len(),
            confirmed: count(End::Confirmed),
            cancelled: count(End::Cancelled),
            unfinished: count(End::Unfinished),
        };
        let dlq = self.parked().await?;
        let sagas = self.orders.into_iter().map(|order| Saga {
            order_id: order.order_id,
            saga: order.saga,
            scenario: order.scenario,
            expected: order.scenario.expected(),
            outcome: order.end,
            events: order.events.into_iter().map(|(name, _)| name).collect(),
            duration_ms: millis(order.ended.unwrap_or_else(|| order.placed.elapsed())),
        });
        Ok(Report { orders, sagas: sagas.collect(), invariants, outbox_pending, dlq, timings })
    }
}

/// A message in a dead-letter queue.
pub(super) struct Letter {
    /// Its id on the queue from which it was parked.
    pub(super) original: String,
    pub(super) is_poison: bool,
}

/// How many messages of poison a queue got, and so its dead-letter queue must hold.
pub(super) const POISON_PER_QUEUE: usize = POISON.len();

/// Reads a queue without taking anything from it.
async fn read(stack: &Stack, queue: &str) -> Result<Vec<Letter>, Error> {
    let mut letters = BTreeMap::new();
    loop {
        let receive = stack.sqs().receive_message().queue_url(stack.output(queue)?);
        let receive = receive.max_number_of_messages(10).message_attribute_names("All");
        // Long enough that a message comes once only.
        let received =
            receive.visibility_timeout(30).send().await.map_err(Error::aws("sqs:ReceiveMessage"))?;
        let known = letters.len();
        for message in received.messages() {
            let id = message.message_id().unwrap_or_default();
            let original = message
                .message_attributes()
                .and_then(|all| all.get("originalMessageId")?.string_value())
                .unwrap_or(id);
            let is_poison = message.body().is_some_and(|body| POISON.contains(&body));
            letters.insert(id.to_owned(), Letter { original: original.to_owned(), is_poison });
        }
        if letters.len() == known {
            return Ok(letters.into_values().collect());
        }
    }
}

async fn poison(stack: &Stack) -> Result<(), Error> {
    for queue in work_queues(stack) {
        for body in POISON {
            stack.send_message(&queue, body).await?;
        }
    }
    Ok(())
}

/// The queues that feed functions: those with a dead-letter queue.
pub(super) fn work_queues(stack: &Stack) -> Vec<String> {
    let outputs = stack.outputs();
    let fed = outputs.keys().filter_map(|name| name.strip_suffix("DeadLetterQueue"));
    fed.map(|name| format!("{name}Queue")).filter(|name| outputs.contains_key(name)).collect()
}

/// The queues where messages end that nobody handled.
fn dead_letter_queues(stack: &Stack) -> Vec<String> {
    let queues = stack.outputs().keys().filter(|name| name.ends_with("Queue"));
    let work = work_queues(stack);
    queues.filter(|name| !work.contains(name)).cloned().collect()
}

fn stock_of(row: &Value) -> Option<(String, i64)> {
    Some((row.get("productId")?.as_str()?.to_owned(), row.get("available")?.as_i64()?))
}

/// Delivers an event again: published once more, and copied straight onto the queues of the step that it starts.
async fn duplicate(stack: &Stack, tap: &Tap, event: &Observed, saga: SagaStyle) -> Result<(), Error> {
    tap.repeat(event).await?;
    let queue = match event.name.as_str() {
        "OrderPlaced" if saga == SagaStyle::Orchestrated => "StartOrderSagaQueue",
        // The state machine hands its events over itself.
        _ if saga == SagaStyle::Orchestrated => return Ok(()),
        "OrderPlaced" => "ReserveInventoryQueue",
        "InventoryReserved" => "ProcessPaymentQueue",
        "PaymentProcessed" => "ShipOrderQueue",
        "OrderShipped" => "AggregateStepsQueue",
        "AllStepsComplete" => "ConfirmOrderQueue",
        _ => return Ok(()),
    };
    stack.send_message(queue, event.body.as_str()).await
}

async fn place(stack: &Stack, order: &mut Order) -> Result<(), Error> {
    order.placed = Instant::now();
    let first = post(stack, &order.key, &order.request).await?;
    let accepted: Value = first.json().unwrap_or_default();
    order.order_id = accepted.get("orderId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let location = format!("/orders/{}", order.order_id);
    order.answers_agree = first.status == 202 && first.header("location") == Some(location.as_str());
    if order.scenario == Scenario::RetriedWithSameKey {
        let mut other = order.request.clone();
        if let Some(currency) = other.get_mut("currency") {
            *currency = json!("EUR");
        }
        let (again, at_once, another) = future::try_join3(
            post(stack, &order.key, &order.request),
            post(stack, &order.key, &order.request),
            post(stack, &order.key, &other),
        )
        .await?;
        let same = |answer: &Answer| answer.status == first.status && answer.body == first.body;
        order.answers_agree &= same(&again) && same(&at_once) && another.status == 422;
    }
    Ok(())
}

/// Sends a request until the API answers it: with the same key, repeating is safe.
async fn post(stack: &Stack, key: &str, request: &Value) -> Result<Answer, Error> {
    let begun = Instant::now();
    loop {
        let answer = stack.post("/orders", &[("idempotency-key", key)], request).await;
        match answer {
            Ok(answer) if answer.status < 500 => return Ok(answer),
            answer if begun.elapsed() > PERSISTENCE => return answer,
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
