//! What must hold at all times, and what must hold when all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use eda::breaker::{Circuit, CircuitState};
use eda::event_store::StoredEvent;
use eda::view::{CHECKPOINT, FIRST_GENERATION, GENERATION, Generations, place};
use serde_json::{Value, json};
use shop::books::{Books, Charged};
use shop::order::{ORDERS, OrderHead};
use shop::shipment::ShipmentState;
use simulation_cli::Kind;

use crate::feed::Feeds;
use crate::letters::{FAILURES, Letters};
use crate::receipts::Receipts;
use crate::sales;
use crate::shortages::Shortages;
use crate::world::World;

/// The longest pause of a circuit, or lease of a prober, in milliseconds.
const LONGEST_PAUSE: i64 = 300_000;

/// What an order may end for though nothing is wrong with it.
const EXCUSES: [Kind; 7] = [
    Kind::GatewayDecline,
    Kind::GatewayError,
    Kind::LostMessage,
    Kind::StreamStop,
    Kind::LostTask,
    Kind::ExecutionStop,
    Kind::SpentReceives,
];

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// How it was broken.
    pub detail: String,
}

/// An event that a transition announced.
#[derive(Clone, Debug)]
struct Announced {
    name: String,
    caused: bool,
}

/// What has been seen.
#[derive(Debug, Default)]
pub struct Watch {
    /// Available pieces before the first order.
    pub stock: BTreeMap<String, i64>,
    /// What was found broken, as soon as it was.
    pub broken: Vec<Violation>,
    announced: BTreeMap<String, BTreeMap<String, Announced>>,
    published: BTreeSet<String>,
    ends: BTreeMap<String, String>,
    pivots: BTreeMap<String, String>,
    poisoned: BTreeMap<String, BTreeSet<String>>,
    placed: BTreeSet<String>,
    completed: BTreeMap<String, String>,
    /// Who was to get which mail, and did.
    pub receipts: Receipts,
    /// Dead letters.
    pub letters: Letters,
    /// What ran short.
    pub shortages: Shortages,
    circuits: BTreeMap<String, Circuit>,
    /// Customers' feeds.
    pub feeds: Feeds,
    /// Generation and checkpoint of the views, by order and place.
    views: BTreeMap<(String, u64), (u64, u64)>,
    /// The views' generations, once somebody has built one.
    generations: Option<Generations>,
    /// What is summed up.
    pub sales: sales::Announced,
}

/// A text of a row.
pub(crate) fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item.get(field).and_then(|value| value.get("S")).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a row.
pub(crate) fn number(item: &Value, field: &str) -> u64 {
    let number = item.get(field).and_then(|value| value.get("N")).and_then(Value::as_str);
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl Watch {
    /// A promise is broken.
    pub fn report(&mut self, promise: &'static str, detail: String) {
        self.broken.push(Violation { promise, detail });
    }

    /// An item was put.
    pub fn put(&mut self, table: &str, item: &Value) {
        match table {
            "EventStoreTable" => self.stored(item),
            "OutboxTable" => self.announce(item),
            "ActivityTable" => {
                let broken = self.feeds.written(text(item, "eventId"), text(item, "eventType"));
                self.broken.extend(broken);
            }
            "InventoryTable" => self.shortages.stock(item),
            "OrderViewsTable" => self.viewed(item),
            "ProjectionsTable" => self.switched(item),
            "ShipmentsTable" => {
                let (order, status) = (text(item, "orderId"), text(item, "status"));
                if let Some(before) = self.pivots.insert(order.to_owned(), status.to_owned())
                    && before != status
                {
                    let detail = format!("the shipment of {order} was {before} and became {status}");
                    self.report("both states of the pivot are final", detail);
                }
            }
            _ => {}
        }
    }

    fn stored(&mut self, item: &Value) {
        let (order, name) = (text(item, "aggregateId"), text(item, "eventType"));
        match name {
            "OrderPlaced" => {
                self.placed.insert(order.to_owned());
            }
            "OrderConfirmed" | "OrderCancelled" => {
                if let Some(before) = self.ends.insert(order.to_owned(), name.to_owned()) {
                    self.report("every order has one end", format!("{order}: {before}, then {name}"));
                }
            }
            _ => {}
        }
    }

    fn announce(&mut self, row: &Value) {
        let detail: Value = serde_json::from_str(text(row, "detail")).unwrap_or_default();
        if text(row, "detailType") == "StockReorderRequested" {
            self.shortages.request(&detail);
        }
        let said = self.sales.event(text(row, "detailType"), text(row, "source"), &detail);
        let promise = "a window is closed once, and corrected after that";
        self.broken.extend(said.map(|detail| Violation { promise, detail }));
        self.broken.extend(self.feeds.announced(text(row, "eventId"), &detail, text(row, "group")));
        let caused = detail.pointer("/metadata/causationId").is_some_and(|id| !id.is_null());
        let announced = Announced { name: text(row, "detailType").to_owned(), caused };
        let order = self.announced.entry(text(row, "orderingKey").to_owned()).or_default();
        order.insert(text(row, "eventId").to_owned(), announced);
    }

    /// The bus took an event.
    pub fn publish(&mut self, event_id: &str) {
        self.published.insert(event_id.to_owned());
    }

    /// Something undecodable was put on a queue.
    pub fn poison(&mut self, queue: &str, body: &str) {
        self.poisoned.entry(queue.to_owned()).or_default().insert(body.to_owned());
    }

    /// What undecodable was put on a queue.
    pub fn poisoned(&self, queue: &str) -> BTreeSet<String> {
        self.poisoned.get(queue).cloned().unwrap_or_default()
    }

    /// All orders that were placed.
    pub fn placed(&self) -> impl Iterator<Item = &String> {
        self.placed.iter()
    }

    /// How many orders are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.placed.len().saturating_sub(self.ends.len())
    }

    /// How many pieces of an item are left: never fewer than none.
    pub fn available(&mut self, item: &Value) {
        self.shortages.stock(item);
        let available = item.get("available").and_then(|value| value.get("N")).and_then(Value::as_str);
        if available.is_some_and(|number| number.starts_with('-')) {
            let detail = format!("{} has {}", text(item, "productId"), available.unwrap_or_default());
            self.report("stock is never negative", detail);
        }
    }

    /// A view was written: it moves forward only, within its generation and from one to the next.
    fn viewed(&mut self, row: &Value) {
        let (order, now) =
            (text(row, "orderId").to_owned(), (number(row, GENERATION), number(row, CHECKPOINT)));
        if let Some(before) = self.views.insert((order.clone(), place(now.0)), now)
            && before > now
        {
            let detail = format!("the view of {order} was at {before:?} and is at {now:?}");
            self.report("a view never goes back", detail);
        }
    }

    /// The views' generations were changed: wherever readers are sent, nothing is older than what they have seen.
    fn switched(&mut self, row: &Value) {
        let generations = eda::row::from_item::<Generations>(eda::testing::dynamodb::typed(row));
        let Some(next) = generations.ok().filter(|generations| generations.projection == ORDERS) else {
            return;
        };
        let before = self.live();
        let live = next.live;
        self.generations = Some(next);
        if before == live {
            return;
        }
        let seen = self.views.iter().filter(|(_, (generation, _))| *generation == before);
        let older = seen.filter(|((order, _), (_, version))| !self.is_viewed(order, *version));
        let older: Vec<_> = older.map(|((order, _), (_, version))| format!("{order} at {version}")).collect();
        for seen in older {
            let detail = format!("readers of generation {before} saw {seen}, those of {live} do not");
            self.report("readers are sent to nothing older than what they have seen", detail);
        }
    }

    /// The generation that readers see.
    pub(crate) fn live(&self) -> u64 {
        self.generations.as_ref().map_or(FIRST_GENERATION, |generations| generations.live)
    }

    /// Whether a generation is being built.
    pub(crate) fn is_building(&self) -> bool {
        self.generations.as_ref().is_some_and(|generations| generations.building().is_some())
    }

    /// Whether readers see this version of an order.
    pub(crate) fn is_viewed(&self, order: &str, version: u64) -> bool {
        let live = self.live();
        let view = self.views.get(&(order.to_owned(), place(live)));
        view.is_some_and(|(generation, checkpoint)| *generation == live && *checkpoint >= version)
    }

    /// An idempotency record was changed: once completed, it stays as it is.
    pub fn completed(&mut self, record: &Value) {
        let (key, status, result) =
            (text(record, "idempotencyKey"), text(record, "status"), text(record, "result"));
        let before = self.completed.get(key);
        if let Some(before) = before.filter(|before| *before != result || status != "completed") {
            let detail = format!("the record of {key} was completed with {before} and is {status} {result}");
            self.report("a completed record stays as it is", detail);
        } else if status == "completed" {
            self.completed.insert(key.to_owned(), result.to_owned());
        }
    }

    /// A circuit breaker's row was written. Times in it are by the clock of whoever wrote it.
    pub fn circuit(&mut self, image: &Value) {
        let Ok(circuit) = eda::row::from_item::<Circuit>(eda::testing::dynamodb::typed(image)) else {
            return;
        };
        if circuit.status != CircuitState::Closed && circuit.until > circuit.since + LONGEST_PAUSE {
            let detail = format!("the circuit of {} stays {}", circuit.resource, circuit.status);
            self.report("an open circuit is tried again", detail);
        }
        let before = self.circuits.insert(circuit.resource.clone(), circuit.clone());
        let leased = before.filter(|before| before.prober.is_some() && before.until > circuit.since);
        if let Some(before) = leased
            && circuit.status == CircuitState::HalfOpen
        {
            let detail = format!("{:?} probes while {:?} does", circuit.prober, before.prober);
            self.report("one prober at a time holds the lease", detail);
        }
    }

    /// Each event has had its effect once: what each step may announce of an order follows from what it was asked.
    fn applied_once(&mut self) {
        let mut broken = Vec::new();
        for (order, events) in &self.announced {
            let count = |wanted: &dyn Fn(&Announced) -> bool| events.values().filter(|e| wanted(e)).count();
            let named = |name: &str| count(&|event| event.name == name);
            let once = [
                "OrderPlaced",
                "InventoryReserved",
                "InventoryReservationFailed",
                "PaymentProcessed",
                "PaymentFailed",
                "OrderShipped",
                "ShipmentFailed",
                "OrderConfirmed",
                "OrderCancelled",
            ];
            let twice = once.into_iter().map(|name| (name, named(name), 1));
            // Expiry repeats what completes a shipped order, without a cause; the join completes it once.
            let joined = count(&|event| event.name == "AllStepsComplete" && event.caused);
            let timed_out = named("JoinTimedOut");
            // Compensations answer each cause once.
            let causes = named("ShipmentFailed") + named("OrderExpired");
            let answers = named("PaymentFailed") + named("PaymentRefunded");
            let limited = [
                ("AllStepsComplete or JoinTimedOut", joined + timed_out, 1),
                ("PaymentRefunded", named("PaymentRefunded"), causes),
                ("InventoryReleased", named("InventoryReleased"), answers),
            ];
            for (name, times, most) in twice.chain(limited) {
                if times > most {
                    broken.push(format!("{order} has {times} different {name}, not {most} at most"));
                }
            }
        }
        for detail in broken {
            self.report("each event takes effect once", detail);
        }
    }

    fn all_published(&mut self) {
        let announced = self.announced.values().flatten();
        let silent = announced.filter(|(id, _)| !self.published.contains(*id));
        let silent: Vec<_> = silent.map(|(id, event)| format!("{} {id}", event.name)).collect();
        for detail in silent {
            self.report("every announced event is published", detail);
        }
    }
}

impl World {
    /// Looks at the tables and the gateway's books when all is quiet.
    pub(crate) fn audit(&mut self) {
        for (law, detail) in self.books().broken() {
            self.watch.report(law, detail);
        }
        self.watch.applied_once();
        self.watch.all_published();
        self.audit_feeds();
        self.audit_sales();
        self.audit_receipts();
        self.audit_imports();
        let rows = self.row_count("OutboxTable");
        if rows > 0 {
            self.watch.report("every announced event is published", format!("{rows} rows in the outbox"));
        }
        for detail in self.watch.shortages.broken() {
            self.watch.report("what runs short is reordered once per shortage", detail);
        }
        self.audit_letters();
        self.audit_orders();
        self.audit_executions();
        self.watch_rows();
    }

    fn books(&self) -> Books {
        let mut books = Books {
            stock: self.watch.stock.clone(),
            products: self.rows("InventoryTable"),
            reservations: self.rows("ReservationsTable"),
            shipments: self.rows("ShipmentsTable"),
            views: self.rows("OrderViewsTable"),
            generations: self.watch.generations.clone(),
            ..Books::default()
        };
        for item in self.database.items("EventStoreTable") {
            let event = item.get("eventType").is_some();
            let item = eda::testing::dynamodb::typed(&item);
            if event {
                books.events.extend(eda::row::from_item::<StoredEvent>(item).ok());
            } else {
                books.heads.extend(eda::row::from_item::<OrderHead>(item).ok());
            }
        }
        for intent in self.gateway.ledger(self.clock.now()).intents {
            let order = intent.metadata.get("orderId").cloned().unwrap_or_default();
            let charged: &mut Charged = books.charges.entry(order).or_default();
            charged.times += intent.charges;
            charged.charged += intent.charged;
            charged.refunded += intent.refunded;
        }
        books
    }

    /// The gateway charged somebody: once per order, at most.
    pub(crate) fn watch_charges(&mut self) {
        let mut charges: BTreeMap<String, u32> = BTreeMap::new();
        for intent in self.gateway.ledger(self.clock.now()).intents {
            *charges.entry(intent.metadata.get("orderId").cloned().unwrap_or_default()).or_default() +=
                intent.charges;
        }
        for (order, times) in charges.into_iter().filter(|(_, times)| *times > 1) {
            self.watch.report("nobody is charged twice", format!("{order} was charged {times} times"));
        }
    }

    /// What the clients were told is what became of their orders.
    fn audit_orders(&mut self) {
        let shipments: Vec<shop::shipment::Shipment> = self.rows("ShipmentsTable");
        let deadline = self.system.template.resolve(&json!({ "Ref": "OrderDeadlineSeconds" }));
        let excused = EXCUSES.iter().any(|excuse| self.faults.struck().contains_key(excuse));
        // Whatever else happens, an outage of the gateway among it, only takes time: less than an order has.
        let asked_for = self.options.lost.is_some() || !self.options.unheard.is_empty();
        let calm = !asked_for && self.options.most_faults == 0
            || self.options.story.is_some() && !excused && !asked_for && deadline.as_i64() == Some(43_200);
        let mut broken = Vec::new();
        for order in &self.clients.orders {
            let Some(id) = &order.id else {
                broken.push("an order was never accepted".to_owned());
                continue;
            };
            let shipped = shipments.iter().any(|s| s.order_id == *id && s.status == ShipmentState::Shipped);
            match self.watch.ends.get(id).map(String::as_str) {
                None => broken.push(format!("{id} ({:?}) has not ended", order.story)),
                Some("OrderConfirmed") if !shipped => broken.push(format!("{id} is confirmed, not shipped")),
                Some("OrderCancelled") if shipped => broken.push(format!("{id} is cancelled and shipped")),
                Some(end) if calm && (end == "OrderConfirmed") != order.story.ends_well() => {
                    broken.push(format!("{id} ({:?}) ended with {end} though all went well", order.story));
                }
                Some(_) => {}
            }
        }
        for detail in broken {
            self.watch.report("every accepted order ends, once, as its shipment says", detail);
        }
    }

    /// Rows of a saga outlive the archive. What has failed is no part of one, and is kept for as long as somebody may ask.
    fn watch_rows(&mut self) {
        let limit = self.clock.now().as_second() + 365 * 86_400;
        let mut broken = Vec::new();
        let sagas = self.system.expiring.iter().filter(|(table, _)| *table != FAILURES);
        for (table, attribute) in sagas {
            for item in self.database.items(table) {
                let at = item.get(attribute).and_then(|value| value.get("N")).and_then(Value::as_str);
                let at: i64 = at.and_then(|at| at.parse().ok()).unwrap_or_default();
                if at < limit {
                    broken.push(format!("a row of {table} expires before the archive does"));
                }
            }
        }
        // A mistake planted here is to be found by what it leads to, not by its looks.
        if self.options.planted.is_none() {
            for detail in broken {
                self.watch.report("rows of a saga outlive the archive", detail);
            }
        }
    }
}
