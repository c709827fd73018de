//! The event bus: every rule that an event fits hands it to its target, at least once and in no order.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html>

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;

use crate::imports::CREATED;
use crate::pattern::fits;
use crate::queue::later;
use crate::world::World;

/// How long a message may be delayed.
const DELAY: Duration = Duration::from_secs(600);

/// An event on its way from the bus to a rule's target.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) rule: usize,
    /// The queue or function.
    pub(crate) target: String,
    pub(crate) body: Rc<str>,
    pub(crate) label: Rc<str>,
    pub(crate) since: Instant,
    pub(crate) not_before: Instant,
    /// How often the target did not take it.
    pub(crate) tried: u32,
}

/// A delivery that was made, or lost.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// To which queue or function.
    pub target: String,
    /// The number of the call that came next.
    pub call: u64,
}

impl World {
    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
    pub(crate) fn put_events(&mut self, body: &Value, invocation: u64) -> (u16, String) {
        let entries = body.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
        let partial = self.strikes(Kind::PartialPut, invocation);
        let mut failed = 0;
        let mut results = Vec::with_capacity(entries.len());
        for entry in &entries {
            if partial && self.faults.rng().bool() {
                failed += 1;
                let code = ["ThrottlingException", "InternalFailure"][self.faults.rng().usize(0..2)];
                results.push(json!({ "ErrorCode": code, "ErrorMessage": "try again" }));
                continue;
            }
            let id = format!("bus-{}", self.next_id());
            results.push(json!({ "EventId": id }));
            self.publish(&id, entry);
        }
        (200, json!({ "FailedEntryCount": failed, "Entries": results }).to_string())
    }

    /// The bus takes an event.
    pub(crate) fn publish(&mut self, id: &str, entry: &Value) {
        let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut detail: Value = serde_json::from_str(field("Detail")).unwrap_or_default();
        let event_id = detail.pointer("/metadata/eventId").and_then(Value::as_str).unwrap_or_default();
        self.watch.publish(event_id);
        self.meter.event();
        if self.options.planted == Some(Planted::BusId)
            && let Some(event_id) = detail.pointer_mut("/metadata/eventId")
        {
            *event_id = json!(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes()));
        }
        self.watch.receipts.published(field("DetailType"), &detail);
        let label: Rc<str> = match detail.get("orderId").and_then(Value::as_str) {
            Some(order) => format!("{}({order})", field("DetailType")).into(),
            None => field("DetailType").into(),
        };
        let event = json!({
            "version": "0", "id": id, "detail-type": field("DetailType"), "source": field("Source"),
            "account": "111122223333", "time": "2026-01-15T10:30:00Z", "region": "us-east-1",
            "resources": [], "detail": detail,
        });
        let body: Rc<str> = event.to_string().into();
        let system = self.system.clone();
        let now = Instant::now();
        let fitting = system.rules.iter().enumerate().filter(|(_, rule)| fits(&rule.pattern, &event));
        for (index, rule) in fitting {
            let body = match &rule.transformer {
                Some(transformer) => self.transformed(transformer.apply(&event)).into(),
                None => body.clone(),
            };
            let (label, target) = (label.clone(), rule.target.clone());
            let delivery =
                Delivery { rule: index, target, body, label, since: now, not_before: now, tried: 0 };
            self.archive.push(delivery.clone());
            self.bus.push(delivery);
        }
        if self.strike(Kind::Replay) {
            self.faults.never_again(Kind::Replay);
            for delivery in self.archive.clone() {
                let not_before = self.soon_or_later(now);
                self.bus.push(Delivery { since: now, not_before, ..delivery });
            }
        }
    }

    pub(crate) fn deliver(&mut self, index: usize) {
        let delivery = self.bus.remove(index);
        let number = u64::try_from(self.delivered.len()).ok();
        let lost = self.options.lost.is_some() && self.options.lost == number;
        self.delivered.push(Delivered { target: delivery.target.clone(), call: self.decided });
        let function = self.system.target(&delivery.target);
        if lost || self.strike(Kind::LostMessage) {
            self.faults.never_again(Kind::LostMessage);
            if &*delivery.label == "StockUpdate" {
                self.watch.shortages.excuse();
            }
            if function.is_some() {
                self.lost(&delivery.body);
            }
            self.imports.unheard |= &*delivery.label == CREATED;
            self.say(|| format!("        ✗ {} to {} is lost for good", delivery.label, delivery.target));
            return;
        }
        let now = Instant::now();
        if self.strike(Kind::Duplicate) {
            let not_before = self.soon_or_later(now);
            self.bus.push(Delivery { not_before, ..delivery.clone() });
        }
        if let Some(function) = function {
            self.hand_over(function, delivery);
            return;
        }
        let Delivery { target: queue, body, label, .. } = delivery;
        let visible = if self.strike(Kind::Delay) { later(now, self.faults.rng(), DELAY) } else { now };
        self.say(|| format!("{label} → {queue}"));
        self.meter.message();
        self.send(&queue, body, label, visible);
        if self.strike(Kind::Poison) {
            self.poison();
        }
        if self.strike(Kind::Rebuild) {
            self.operate();
        }
        if self.strike(Kind::Operator) {
            self.come();
        }
    }

    /// At once, so that two deliveries race, or up to ten minutes later.
    pub(crate) fn soon_or_later(&mut self, now: Instant) -> Instant {
        let rng = self.faults.rng();
        if rng.bool() { now } else { later(now, rng, DELAY) }
    }

    fn poison(&mut self) {
        let queues = &self.system.queue_mappings;
        let Some(mapping) = queues.get(self.faults.rng().usize(0..queues.len().max(1))) else { return };
        let queue = mapping.queue.clone();
        // Each its own: dead letters are told apart by what they say.
        let number = self.next_id();
        let body = match self.faults.rng().bool() {
            true => format!("poison {number}"),
            false => json!({ "detail-type": "Poisoned", "source": "nobody", "detail": { "n": number } })
                .to_string(),
        };
        self.poison_queue(&queue, body);
    }

    /// The mistake of a publisher that puts events on the bus before the ordered queue has them.
    pub(crate) fn put_on_the_bus(&mut self, messages: &[Value]) {
        for message in messages {
            let document = message.get("MessageBody").and_then(Value::as_str).unwrap_or_default();
            let event: Value = serde_json::from_str(document).unwrap_or_default();
            let detail = event.get("detail").map(Value::to_string).unwrap_or_default();
            let entry = json!({
                "Source": event.get("source"), "DetailType": event.get("detail-type"), "Detail": detail,
            });
            let id = format!("bus-{}", self.next_id());
            self.publish(&id, &entry);
        }
    }
}
