//! Receipts: the mail service, and who got which mail. Each order has one at most, and one it is, unless a person has been told.
//!
//! <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>

use std::collections::{BTreeMap, BTreeSet};

use eda::testing::template::at;
use serde_json::{Value, json};

use crate::watch::text;
use crate::world::World;

const ONCE: &str = "a receipt is mailed once";
const RIGHT: &str = "a receipt says what was ordered, to whoever ordered it";
const SENT: &str = "each enriched order has a receipt, or somebody knows why not";

/// A receipt that is to be mailed.
#[derive(Debug)]
struct Awaited {
    order: String,
    address: String,
    amount: String,
}

/// What is to be mailed, and what was.
#[derive(Debug, Default)]
pub struct Receipts {
    enriched: BTreeSet<String>,
    /// By the event that tells of the order.
    awaited: BTreeMap<String, Awaited>,
    mailed: BTreeMap<String, u32>,
    /// Orders of which an event, or an attempt to mail the receipt, met a fault.
    troubled: BTreeSet<String>,
    /// Orders of which an event was lost for good.
    lost: BTreeSet<String>,
}

impl Receipts {
    /// An event was published.
    pub fn published(&mut self, detail_type: &str, detail: &Value) {
        if detail_type != "OrderEnriched" {
            return;
        }
        let said = |pointer: &str| at(detail, pointer).as_str().map(ToOwned::to_owned);
        let Some(order) = said("/orderId") else { return };
        self.enriched.insert(order.clone());
        if let (Some(event), Some(address)) = (said("/metadata/eventId"), said("/customerEmail")) {
            let currency = said("/currency").unwrap_or_default();
            let amount = format!("{} {currency}", at(detail, "/totalAmount"));
            self.awaited.insert(event, Awaited { order, address, amount });
        }
    }

    /// Whether an order was enriched.
    #[must_use]
    pub fn is_enriched(&self, order: &str) -> bool {
        self.enriched.contains(order)
    }

    /// A mail went out. Gives what is wrong about it.
    fn mailed(&mut self, mail: &Value) -> Option<(&'static str, String)> {
        let event = at(mail, "/EmailTags/0/Value").as_str().unwrap_or_default();
        let Some(Awaited { order, address, amount }) = self.awaited.get(event) else {
            return Some((RIGHT, format!("a mail follows from {event}, which asks for none")));
        };
        let said = at(mail, "/Content/Simple/Body/Text/Data").as_str().unwrap_or_default();
        let to = at(mail, "/Destination/ToAddresses");
        if *to != json!([address]) || !said.contains(order) || !said.contains(amount) {
            return Some((RIGHT, format!("the receipt of {order} is wrong: to {to}, {said:?}")));
        }
        let times = self.mailed.entry(order.clone()).or_default();
        *times += 1;
        (*times > 1).then(|| (ONCE, format!("that of {order} was mailed {times} times")))
    }
}

/// The order that the input of a function, or what its destination is told of it, is about.
fn order_of(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let order = document.get("orderId").or_else(|| document.pointer("/requestPayload/orderId"))?;
    order.as_str().map(ToOwned::to_owned)
}

impl World {
    /// Sends a mail.
    pub(crate) fn send_mail(&mut self, mail: &Value) -> (u16, String) {
        if let Some((promise, detail)) = self.watch.receipts.mailed(mail) {
            self.watch.report(promise, detail);
        }
        let id = self.next_id();
        (200, json!({ "MessageId": format!("mail-{id}") }).to_string())
    }

    /// Something that is no fault of ours keeps an event from its function, or an attempt of it from its end.
    pub(crate) fn troubled(&mut self, payload: &str) {
        self.watch.receipts.troubled.extend(order_of(payload));
    }

    /// An event will never reach its function.
    pub(crate) fn lost(&mut self, payload: &str) {
        self.watch.receipts.lost.extend(order_of(payload));
    }

    /// Looks at the receipts when all is quiet.
    pub(crate) fn audit_receipts(&mut self) {
        let queues = self.queues.keys().filter(|queue| self.system.is_destination(queue));
        let letters = queues.flat_map(|queue| self.watch.letters.of(queue));
        let told: BTreeSet<String> = letters.filter_map(|letter| order_of(letter)).collect();
        let receipts = &self.watch.receipts;
        let mut broken = Vec::new();
        for order in receipts.awaited.values().map(|awaited| &awaited.order) {
            let key = json!({ "idempotencyKey": { "S": format!("receipt#{order}") } });
            let record = self.database.get("IdempotencyTable", &key);
            let uncertain = record.is_some_and(|record| text(&record, "status") == "sending");
            let excused = uncertain || receipts.troubled.contains(order);
            let is_told = told.contains(order) || receipts.lost.contains(order);
            match receipts.mailed.get(order) {
                _ if told.contains(order) && !excused => {
                    broken.push(format!("that of {order} was given up on though nothing went wrong"));
                }
                None if !is_told => broken.push(format!("{order} has none, and nobody was told")),
                _ => {}
            }
        }
        for detail in broken {
            self.watch.report(SENT, detail);
        }
    }
}
