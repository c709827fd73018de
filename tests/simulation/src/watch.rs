//! What must hold at all times, and what must hold when all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use eda::event_store::StoredEvent;
use serde_json::Value;
use shop::books::{Books, Charged};
use shop::order::OrderHead;
use shop::shipment::ShipmentState;

use crate::world::World;

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
    receipts: BTreeMap<String, String>,
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item.get(field).and_then(|value| value.get("S")).and_then(Value::as_str).unwrap_or_default()
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

    /// How many orders are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.placed.len().saturating_sub(self.ends.len())
    }

    /// How many pieces of an item are left: never fewer than none.
    pub fn available(&mut self, item: &Value) {
        let available = item.get("available").and_then(|value| value.get("N")).and_then(Value::as_str);
        if available.is_some_and(|number| number.starts_with('-')) {
            let detail = format!("{} has {}", text(item, "productId"), available.unwrap_or_default());
            self.report("stock is never negative", detail);
        }
    }

    /// An idempotency record was changed: once completed, it stays as it is.
    pub fn completed(&mut self, record: &Value) {
        if text(record, "status") != "completed" {
            return;
        }
        let (key, result) = (text(record, "idempotencyKey"), text(record, "result"));
        if let Some(before) = self.receipts.insert(key.to_owned(), result.to_owned())
            && before != result
        {
            let detail = format!("the record of {key} was completed with {before}, then with {result}");
            self.report("a completed record stays as it is", detail);
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
            // Compensations answer each cause once.
            let causes = named("ShipmentFailed") + named("OrderExpired");
            let answers = named("PaymentFailed") + named("PaymentRefunded");
            let limited = [
                ("AllStepsComplete", joined, 1),
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
        let rows = self.row_count("OutboxTable");
        if rows > 0 {
            self.watch.report("every announced event is published", format!("{rows} rows in the outbox"));
        }
        self.audit_parked();
        self.audit_orders();
        self.watch_rows();
    }

    fn books(&self) -> Books {
        let mut books = Books {
            stock: self.watch.stock.clone(),
            products: self.rows("InventoryTable"),
            reservations: self.rows("ReservationsTable"),
            shipments: self.rows("ShipmentsTable"),
            views: self.rows("OrderViewsTable"),
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

    fn audit_parked(&mut self) {
        let mut broken = Vec::new();
        for (name, queue) in &self.queues {
            if self.system.is_work_queue(name) {
                continue;
            }
            // The addresses of stream records: the rows are in their table still, and what they are for is audited.
            if self.system.stream_mappings.iter().any(|m| m.on_failure.as_deref() == Some(name)) {
                continue;
            }
            let fed =
                self.system.queues.iter().find(|(_, settings)| {
                    settings.redrive.as_ref().is_some_and(|(_, target)| target == name)
                });
            let poison =
                fed.and_then(|(source, _)| self.watch.poisoned.get(source)).cloned().unwrap_or_default();
            let parked: BTreeSet<String> =
                queue.messages.iter().map(|message| message.body.to_string()).collect();
            broken.extend(
                queue
                    .messages
                    .iter()
                    .filter(|message| !poison.contains(&*message.body))
                    .map(|message| format!("{name} holds {}", message.label)),
            );
            broken.extend(poison.difference(&parked).map(|body| format!("{name} lacks the poison {body}")));
        }
        for detail in broken {
            self.watch.report("only poison is parked, and all of it", detail);
        }
    }

    /// What the clients were told is what became of their orders.
    fn audit_orders(&mut self) {
        let shipments: Vec<shop::shipment::Shipment> = self.rows("ShipmentsTable");
        let calm = self.options.most_faults == 0;
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

    /// Rows of a saga outlive the archive.
    fn watch_rows(&mut self) {
        let limit = self.clock.now().as_second() + 365 * 86_400;
        let mut broken = Vec::new();
        for (table, attribute) in &self.system.expiring {
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
