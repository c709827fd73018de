//! The simulated cloud: what exists, what is under way, and what a call does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_dynamodb::config::Region;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use eda::Failure;
use eda::aws::Aws;
use eda::testing::dynamodb::DynamoDb;
use eda::testing::wire::sdk_config;
use fastrand::Rng;
use jiff::SignedDuration;
use localcloud::gateway::{Gateway, Settings, Ticket};
use serde_json::Value;
use shop::customer::Customer;
use shop::testing::CUSTOMER;
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;
use uuid::Uuid;

use crate::asynchronous::Pending;
use crate::bus::{Delivered, Delivery};
use crate::client::Clients;
use crate::clock::Clock;
use crate::connector::{Network, Sent};
use crate::cost::Meter;
use crate::execution::{Execution, Machine};
use crate::executor::Executor;
use crate::fault::Faults;
use crate::fifo::Place;
use crate::functions::{Answer, Runner};
use crate::imports::Imports;
use crate::letters::{PERSON, Person};
use crate::options::Options;
use crate::queue::{Attributes, Message, Queue};
use crate::releases::Release;
use crate::stream::{Reader, Record};
use crate::system::System;
use crate::trace::Trace;
use crate::views::Doorbells;
use crate::watch::Watch;

/// The key of the payment gateway, as the secret holds it.
const GATEWAY_KEY: &str = "sk_test_simulation";

/// An invocation under way.
pub(crate) struct Invocation {
    pub(crate) function: usize,
    pub(crate) work: Work,
    /// When Lambda ends it.
    pub(crate) deadline: Instant,
    /// It carries a message that must not fail much more often: no fault strikes it.
    pub(crate) spared: bool,
    /// A fault has struck it.
    pub(crate) struck: bool,
}

impl Invocation {
    /// One that has just begun.
    pub(crate) fn new(function: usize, work: Work, deadline: Instant, spared: bool) -> Self {
        Self { function, work, deadline, spared, struck: false }
    }
}

/// What an invocation works on.
pub(crate) enum Work {
    Messages {
        queue: String,
        messages: Vec<Message>,
    },
    Records {
        reader: usize,
        lane: usize,
    },
    /// A batch of a stream that is read a second time; nobody waits for what becomes of it.
    Echo,
    Place {
        order: usize,
        changed: bool,
    },
    /// A client asks where its order stands.
    Read {
        order: usize,
    },
    /// A dead-letter queue.
    Drain,
    /// Whatever its caller wants, who waits for the answer.
    Asked(Box<Sent>),
    /// An event that the function is invoked with.
    Event(Pending),
    /// Somebody operates the system; nobody waits for what becomes of it.
    Operate,
    Tick {
        schedule: usize,
    },
    /// A task of an execution.
    Task {
        execution: String,
    },
}

/// A request on its way.
pub(crate) struct Call {
    pub(crate) sent: Sent,
    /// Who sent it; it may be gone when the request arrives.
    pub(crate) function: Option<usize>,
    pub(crate) not_before: Instant,
    /// It has been slowed down once.
    pub(crate) slow: bool,
}

/// A schedule. It is invoked once per interval, less often while nothing goes on.
pub(crate) struct Schedule {
    pub(crate) function: usize,
    pub(crate) interval: Duration,
    pub(crate) pause: Duration,
    pub(crate) next: Instant,
    pub(crate) running: bool,
    /// Writes that had been made when it began.
    pub(crate) writes: u64,
}

/// A gateway request that waits.
pub(crate) struct Waiting {
    pub(crate) at: Instant,
    pub(crate) ticket: Ticket,
    pub(crate) sent: Sent,
}

/// Everything.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) system: Rc<System>,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) network: Network,
    pub(crate) executor: Executor<Answer>,
    pub(crate) runners: Vec<Runner>,
    pub(crate) database: DynamoDb,
    /// How many items a page holds at most, where they are large.
    pub(crate) page: Option<u64>,
    pub(crate) gateway: Gateway,
    pub(crate) queues: BTreeMap<String, Queue>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) bus: Vec<Delivery>,
    /// What waits for its function.
    pub(crate) pending: Vec<Pending>,
    /// What the bus has delivered so far: an archive.
    pub(crate) archive: Vec<Delivery>,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) waiting: Vec<Waiting>,
    /// Until when the gateway is out of order.
    pub(crate) outage_until: Option<Instant>,
    pub(crate) invocations: BTreeMap<u64, Invocation>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) machines: BTreeMap<String, Rc<Machine>>,
    /// All executions, by name.
    pub(crate) executions: BTreeMap<String, Execution>,
    pub(crate) clients: Clients,
    pub(crate) person: Person,
    pub(crate) imports: Imports,
    pub(crate) watch: Watch,
    pub(crate) trace: Trace,
    pub(crate) meter: Meter,
    /// The rows of streamed tables, by their keys.
    pub(crate) existing: BTreeMap<String, BTreeMap<String, Rc<Value>>>,
    /// What queries of an index answered last, by what they asked for.
    pub(crate) stale: BTreeMap<String, String>,
    /// Client tokens of transactions that took effect.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    pub(crate) tokens: BTreeSet<String>,
    /// How orders are placed by releases of earlier days, and by today's.
    pub(crate) releases: BTreeMap<String, Release>,
    pub(crate) doorbells: Doorbells,
    pub(crate) sequence: u64,
    /// What the bus has delivered.
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) ids: u64,
    pub(crate) steps: u64,
    pub(crate) aws_calls: u64,
    pub(crate) decided: u64,
    pub(crate) writes: u64,
    /// When the last of them was made.
    pub(crate) written: Instant,
}

/// Who places the orders.
fn customer() -> Customer {
    Customer {
        customer_id: CUSTOMER.to_owned(),
        name: Some("Jo Doe".to_owned()),
        tier: None,
        email: Some("jo@example.com".to_owned()),
    }
}

impl World {
    /// The system, deployed, with stock and clients, and nothing under way. Must be called within the runtime.
    ///
    /// # Errors
    /// [`Failure`] where nobody can look after dead letters.
    pub(crate) fn new(system: Rc<System>, options: Options, run: u64) -> Result<Self, Failure> {
        // The SDK's retries and every back-off draw from this thread's generator.
        fastrand::seed(options.seed);
        let clock = Clock::start(options.seed ^ 0x1D5);
        let now = Instant::now();
        let mut rng = Rng::with_seed(options.seed);
        let mut faults = Faults::new(options.seed, &options.faults, options.most_faults, options.times);
        let network = Network::default();
        let client = SharedHttpClient::new(network.clone());
        // A region of its own: clients of one region share their retry budget across the process.
        let sdk = sdk_config(client, Region::new(format!("simulation-{run}")));
        let aws = Aws::from_parts(sdk, clock.skewed(SignedDuration::ZERO)).unsigned();
        let mut runners = Vec::with_capacity(system.functions.len());
        for function in &system.functions {
            let mut skew = SignedDuration::ZERO;
            if faults.strike(Kind::ClockSkew) {
                skew = SignedDuration::from_millis(faults.rng().i64(-30_000..=30_000));
            }
            let aws = aws.with_ambient(clock.skewed(skew));
            let variables = function.environment.clone().into_iter().collect();
            runners.extend(Runner::of(&function.name, aws, variables));
        }
        let database = DynamoDb::with_tables(&system.tables, clock.skewed(SignedDuration::ZERO));
        let page = faults.strike(Kind::LargeItems).then(|| faults.rng().u64(1..=3));
        let mut settings = Settings::new(GATEWAY_KEY);
        settings.id_seed = Uuid::from_u128(options.seed.into());
        let clients = Clients::new(&mut rng, &options, now);
        let mut watch = Watch::default();
        let mut seeds = Vec::new();
        for product in clients.products() {
            watch.stock.insert(product.product_id.clone(), product.available);
            if let Ok(item) = eda::row::to_item(&product) {
                let item = eda::testing::dynamodb::plain(item);
                database.put("InventoryTable", &item);
                seeds.push(item);
            }
        }
        if let Ok(item) = eda::row::to_item(&customer()) {
            database.put("CustomersTable", &eda::testing::dynamodb::plain(item));
        }
        let queues = system.queues.iter();
        let queues = queues.map(|(name, settings)| {
            let mut queue = Queue::new(name, settings.clone());
            queue.locked = options.planted != Some(Planted::Overtaking);
            (name.clone(), queue)
        });
        let queues = queues.collect();
        let schedules = system.schedules.iter().filter(|(function, _)| {
            let sweeper = system.functions.get(*function).is_some_and(|f| f.name == "sweep-outbox");
            !(sweeper && options.planted == Some(Planted::SweeperOff))
        });
        let schedules = schedules.map(|(function, interval)| Schedule {
            function: *function,
            interval: *interval,
            pause: *interval,
            next: now + *interval,
            running: false,
            writes: 0,
        });
        let mut world = Self {
            imports: Imports::default(),
            person: Person::new(&aws, &queues)?,
            queues,
            readers: system.stream_mappings.iter().map(|mapping| Reader::new(mapping.clone(), now)).collect(),
            schedules: schedules.collect(),
            trace: Trace::new(options.traced),
            meter: Meter::new(options.metered),
            gateway: Gateway::new(settings),
            executor: Executor::new(),
            bus: Vec::new(),
            pending: Vec::new(),
            archive: Vec::new(),
            calls: BTreeMap::new(),
            waiting: Vec::new(),
            outage_until: None,
            invocations: BTreeMap::new(),
            machines: BTreeMap::new(),
            executions: BTreeMap::new(),
            existing: BTreeMap::new(),
            stale: BTreeMap::new(),
            options,
            system,
            clock,
            rng,
            faults,
            network,
            runners,
            database,
            page,
            clients,
            watch,
            tokens: BTreeSet::new(),
            releases: BTreeMap::new(),
            doorbells: Doorbells::default(),
            sequence: 0,
            delivered: Vec::new(),
            ids: 0,
            steps: 0,
            aws_calls: 0,
            decided: 0,
            writes: 0,
            written: now,
        };
        world.install_machines();
        for item in seeds {
            world.note_put("InventoryTable", &item);
        }
        for queue in world.options.poisoned.clone() {
            world.poison_queue(&queue, format!("poison of {queue}"));
        }
        world.upload();
        Ok(world)
    }

    /// The name of a function.
    pub(crate) fn name_of(&self, function: usize) -> &str {
        match function {
            PERSON => "ops",
            _ => self.system.functions.get(function).map_or("?", |function| function.name.as_str()),
        }
    }

    /// The invocation's function and number, for people.
    pub(crate) fn label_of(&self, invocation: u64) -> String {
        match self.invocations.get(&invocation) {
            Some(found) => format!("{}#{invocation}", self.name_of(found.function)),
            None => format!("(gone)#{invocation}"),
        }
    }

    /// A line of the trace.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.trace.is_on() {
            let at = self.clock.elapsed();
            self.trace.push(at, &line());
        }
    }

    /// A fault strikes, unless the invocation is spared.
    pub(crate) fn strikes(&mut self, kind: Kind, invocation: u64) -> bool {
        let spared = self.invocations.get(&invocation).is_some_and(|found| found.spared);
        let struck = !spared && self.strike(kind);
        if struck {
            self.struck(invocation);
        }
        struck
    }

    /// What an invocation comes to is not its fault alone.
    pub(crate) fn struck(&mut self, invocation: u64) {
        if let Some(found) = self.invocations.get_mut(&invocation) {
            found.struck = true;
        }
    }

    /// A fault strikes.
    pub(crate) fn strike(&mut self, kind: Kind) -> bool {
        let struck = self.faults.strike(kind);
        if struck {
            self.say(|| format!("        ✗ {kind}"));
        }
        struck
    }

    /// All items of a table.
    pub(crate) fn rows<R: eda::row::Row>(&self, table: &str) -> Vec<R> {
        let items = self.database.items(table);
        items
            .iter()
            .filter_map(|item| eda::row::from_item(eda::testing::dynamodb::typed(item)).ok())
            .collect()
    }

    /// A change of a streamed table's item.
    pub(crate) fn changed(&mut self, table: &str, key: &Value, image: Option<&Value>) {
        if !self.readers.iter().any(|reader| reader.mapping.table == table) {
            return;
        }
        let system = self.system.clone();
        let names = system.keys.get(table).map(Vec::as_slice).unwrap_or_default();
        let part = |name: Option<&String>| {
            let value = name.and_then(|name| key.get(name)).and_then(Value::as_object);
            let text = value.and_then(|value| value.values().next()).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let partition = part(names.first());
        let key = format!("{partition}/{}", part(names.get(1)));
        let rows = self.existing.entry(table.to_owned()).or_default();
        let image = image.cloned().map(Rc::new);
        let old = match &image {
            None => rows.remove(&key),
            Some(image) => rows.insert(key.clone(), image.clone()),
        };
        let event_name = match (&old, &image) {
            (_, None) if old.is_none() => return,
            (_, None) => "REMOVE",
            (None, Some(_)) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
        };
        self.sequence += 1;
        let record = Record {
            sequence: self.sequence,
            event_name,
            key,
            old: old.unwrap_or_default(),
            image: image.unwrap_or_default(),
            at: Instant::now(),
        };
        let overtaking = self.faults.has(Kind::Reorder);
        for index in 0..self.readers.len() {
            if self.readers.get(index).is_none_or(|reader| reader.mapping.table != table) {
                continue;
            }
            // Nothing looks at the stock again but its next change: what a lost record of it leads to says nothing.
            if table != "InventoryTable" && self.strike(Kind::LostRecord) {
                self.overslept(table);
                continue;
            }
            if let Some(reader) = self.readers.get_mut(index) {
                reader.take(&record, &partition, overtaking.then_some(&mut self.rng));
            }
        }
    }

    /// How many rows a streamed table has.
    pub(crate) fn row_count(&self, table: &str) -> usize {
        self.existing.get(table).map_or(0, BTreeMap::len)
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, queue: &str, body: Rc<str>, label: Rc<str>, at: Instant) {
        self.send_in(queue, body, label, at, None, Rc::default());
    }

    /// Sends a message, to its place where the queue is a FIFO queue.
    pub(crate) fn send_in(
        &mut self,
        queue: &str,
        body: Rc<str>,
        label: Rc<str>,
        at: Instant,
        place: Option<Place>,
        attributes: Rc<Attributes>,
    ) {
        let worked = self.system.is_work_queue(queue);
        let Some(found) = self.queues.get_mut(queue) else { return };
        let message = found.send(body, label, at, place, attributes);
        if let Some(message) = message.filter(|_| !worked) {
            self.watch.letters.arrived(queue, message);
        }
    }

    /// The secret that functions read.
    pub(crate) fn secret(&self) -> &'static str {
        GATEWAY_KEY
    }
}
