//! Views under traffic: doorbells that nobody hears, reconciliation, rebuilds, and clients who look.

use eda::event_store::{Fold, StoredEvent};
use eda::testing::dynamodb::typed;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shop::order::OrderView;
use simulation_cli::Kind;
use tokio::time::Instant;

use crate::client::body_of;
use crate::functions::{Answer, Payload};
use crate::stream::Record;
use crate::watch::{number, text};
use crate::world::{Work, World};

/// The most that is asked of the views' rebuild in a run.
const MOST_REQUESTS: u32 = 4;

/// What is known of the event store's doorbells.
#[derive(Debug, Default)]
pub(crate) struct Doorbells {
    /// Events that were appended.
    pub(crate) appended: u64,
    /// One was not heard: only a reconciliation brings the view up to date.
    unheard: bool,
    /// Events that had been appended when the pass of the reconciliation began that is under way.
    pass: Option<u64>,
    /// Events that had been appended when the last whole pass began.
    reconciled: Option<u64>,
    /// What was asked of the rebuild.
    requests: u32,
}

impl World {
    /// Records of a stream were answered for: of the event store's, what readers see is as new as they are at least.
    pub(crate) fn rung(&mut self, reader: usize, answered: &[Record]) {
        let function = self.readers.get(reader).map(|reader| reader.mapping.function);
        if function.is_none_or(|function| self.name_of(function) != "project-orders") {
            return;
        }
        for record in answered {
            let (order, version) = (text(&record.image, "aggregateId"), number(&record.image, "version"));
            if !self.watch.is_viewed(order, version) {
                let detail = format!("the doorbell of {order} at {version} was answered, its view is older");
                self.watch.report("nothing acknowledged is lost", detail);
            }
        }
    }

    /// A record of this table's stream will not be read.
    pub(crate) fn overslept(&mut self, table: &str) {
        match table {
            "EventStoreTable" => self.doorbells.unheard = true,
            "InventoryTable" => self.watch.shortages.excuse(),
            _ => {}
        }
    }

    /// A schedule invokes this function.
    pub(crate) fn reconciling(&mut self, function: usize) {
        if self.name_of(function) == "reconcile-views" && self.doorbells.pass.is_none() {
            self.doorbells.pass = Some(self.doorbells.appended);
        }
    }

    /// A schedule's invocation has ended.
    pub(crate) fn reconciled(&mut self, function: &str, answer: Option<&Answer>) {
        if let ("reconcile-views", Some(Answer::Task(report))) = (function, answer)
            && report.get("complete") == Some(&json!(true))
        {
            self.doorbells.reconciled = self.doorbells.pass.take();
        }
    }

    /// Whether no build is under way, and everything is seen that nobody rang for.
    pub(crate) fn views_are_at_rest(&self) -> bool {
        let doorbells = &self.doorbells;
        let seen = !doorbells.unheard || doorbells.reconciled == Some(doorbells.appended);
        seen && !self.watch.is_building()
    }

    /// Somebody has the views built anew, gives a build up, or sends readers back.
    pub(crate) fn operate(&mut self) {
        self.doorbells.requests += 1;
        if self.doorbells.requests == MOST_REQUESTS {
            self.faults.never_again(Kind::Rebuild);
        }
        let Some(function) = self.system.function("rebuild-orders-view") else { return };
        let rng = self.faults.rng();
        let request = match rng.u8(0..4) {
            0 => json!({ "action": "cancel" }),
            1 => json!({ "action": "rollback" }),
            _ => json!({ "action": "start", "rate": rng.u32(1..=20) }),
        };
        let next = self.ids + 1;
        self.say(|| format!("  rebuild-orders-view#{next} is asked to {request}"));
        let request = RawValue::from_string(request.to_string());
        let request = request.unwrap_or_else(|_| RawValue::NULL.to_owned());
        self.invoke(function, Work::Operate, Payload::Task(request), false);
    }

    /// A client looks where its order stands.
    pub(crate) fn look(&mut self, index: usize) {
        let Some(function) = self.system.function("get-order") else { return };
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        order.look = None;
        let request = order.read();
        let next = self.ids + 1;
        self.say(|| format!("  get-order#{next} is asked where order {index} stands"));
        self.invoke(function, Work::Read { order: index }, Payload::Http(Box::new(request)), false);
    }

    /// Each client looks where its order stands, when all is quiet.
    pub(crate) fn read_orders(&mut self) {
        self.faults.end();
        self.clients.closing = true;
        for index in 0..self.clients.orders.len() {
            // A client asks again where its connection broke.
            while self.clients.orders.get(index).is_some_and(|order| order.id.is_some() && !order.told) {
                self.look(index);
                self.settle();
                while let Some(id) = self.calls.keys().next().copied() {
                    self.decide(id);
                    self.settle();
                }
            }
        }
    }

    /// A client was told where its order stands: what the order's events came to at some version.
    pub(crate) fn was_read(&mut self, index: usize, answer: Option<Answer>) {
        let quiet = self.clients.closing;
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        let Some(Answer::Http(response)) = answer.filter(|answer| !is_trouble(answer)) else {
            if !quiet {
                order.look_again(Instant::now(), &mut self.rng);
            }
            return;
        };
        if quiet {
            order.told = true;
        } else {
            order.look_again(Instant::now(), &mut self.rng);
        }
        let id = order.id.clone().unwrap_or_default();
        let told = body_of(&response);
        let view: Option<OrderView> = serde_json::from_value(told.clone()).ok();
        let history = self.history(&id);
        let past =
            history.iter().filter(|event| view.as_ref().is_some_and(|view| event.version <= view.version));
        let past: Vec<_> = past.cloned().collect();
        let folded = OrderView::fold(None, &past).ok().flatten();
        if view.is_none() || view != folded {
            let detail = format!("order {index} is said to be {told}, its events say {folded:?}");
            self.watch.report("clients are told what the events say", detail);
        }
        let status = told.get("status").cloned().unwrap_or_default();
        if quiet && status != "confirmed" && status != "cancelled" {
            let detail = format!("order {index} is said to be {status}");
            self.watch.report("clients are told how their orders ended", detail);
        }
    }

    /// An order's events, in their order.
    fn history(&self, order: &str) -> Vec<StoredEvent> {
        let query = json!({
            "TableName": "EventStoreTable",
            "KeyConditionExpression": "aggregateId = :order AND version > :head",
            "ExpressionAttributeValues": { ":order": { "S": order }, ":head": { "N": "0" } },
            "ConsistentRead": true,
        });
        let (_, answer) = self.database.call("Query", &query);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let items = answer.get("Items").and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| eda::row::from_item(typed(item)).ok()).collect()
    }
}

/// Whether a client asks again: it was not answered, or told that something is wrong for now.
fn is_trouble(answer: &Answer) -> bool {
    match answer {
        Answer::Http(response) => response.status_code >= 500,
        _ => true,
    }
}
