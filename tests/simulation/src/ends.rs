//! How orders have ended: the rows that decide, and the money.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::execution::Status;
use crate::world::World;

/// An order at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its head's status.
    pub order: String,
    /// Its reservation's.
    pub reservation: String,
    /// Its payment's.
    pub payment: String,
    /// Its shipment's.
    pub shipment: String,
    /// What was charged, in minor units.
    pub charged: i64,
    /// What went back.
    pub refunded: i64,
    /// How its execution ended, if it had one.
    pub execution: Option<Status>,
}

impl World {
    /// The ends of all orders, in the order in which they were placed.
    pub(crate) fn ends(&self) -> Vec<End> {
        let mut money: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for intent in self.gateway.ledger(self.clock.now()).intents {
            let order = intent.metadata.get("orderId").cloned().unwrap_or_default();
            let (charged, refunded) = money.entry(order).or_default();
            *charged += intent.charged;
            *refunded += intent.refunded;
        }
        let status = |table: &str, key: &Value| {
            let row = self.database.get(table, key);
            let status = row.as_ref().and_then(|row| row.pointer("/status/S")).and_then(Value::as_str);
            status.unwrap_or("none").to_owned()
        };
        let ids = self.clients.orders.iter().filter_map(|order| order.id.clone());
        ids.map(|id| {
            let key = json!({ "orderId": { "S": id } });
            let (charged, refunded) = money.get(&id).copied().unwrap_or_default();
            End {
                order: status(
                    "EventStoreTable",
                    &json!({ "aggregateId": { "S": id }, "version": { "N": "0" } }),
                ),
                reservation: status("ReservationsTable", &key),
                payment: status("PaymentsTable", &key),
                shipment: status("ShipmentsTable", &key),
                charged,
                refunded,
                execution: self.executions.get(&id).map(|execution| execution.status.clone()),
            }
        })
        .collect()
    }
}
