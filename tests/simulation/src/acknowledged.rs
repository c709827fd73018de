//! Nothing that is acknowledged is lost: when a message is deleted, what it asked for has been done.

use eda::testing::dynamodb::typed;
use serde_json::{Value, json};
use shop::replenishment::Replenishment;

use crate::queue::Message;
use crate::world::World;

impl World {
    /// A message was deleted: its effect must be in the rows, or it must be parked.
    pub(crate) fn acknowledged(&mut self, function: &str, message: &Message) {
        let event: Value = serde_json::from_str(&message.body).unwrap_or_default();
        if function == "reorder-stock" && !self.knows_of(&event) {
            let detail = format!("{function} acknowledged {event} and does not know it");
            self.watch.report("nothing acknowledged is lost", detail);
        }
        let Some(order) = event.pointer("/detail/orderId").and_then(Value::as_str) else {
            // Undecodable: whether it is parked is looked at when all is quiet.
            return;
        };
        let name = event.get("detail-type").and_then(Value::as_str).unwrap_or_default();
        let id = event.pointer("/detail/metadata/eventId").and_then(Value::as_str).unwrap_or_default();
        let row = |table: &str, key: &str| self.database.get(table, &json!({ key: { "S": order } }));
        let status = |row: Option<&Value>| {
            let status = row.and_then(|row| row.pointer("/status/S")).and_then(Value::as_str);
            status.map(ToOwned::to_owned)
        };
        let answered = |row: Option<&Value>| {
            let causes = row.and_then(|row| row.pointer("/answered/SS")).and_then(Value::as_array);
            causes.into_iter().flatten().any(|cause| cause == id)
        };
        let done = match function {
            "reserve-inventory" => row("ReservationsTable", "orderId").is_some(),
            "process-payment" => {
                let status = status(row("PaymentsTable", "orderId").as_ref());
                status.is_some_and(|status| status != "pending")
            }
            "ship-order" => row("ShipmentsTable", "orderId").is_some(),
            "aggregate-steps" => {
                let part = match name {
                    "InventoryReserved" => shop::saga::INVENTORY,
                    "PaymentProcessed" => shop::saga::PAYMENT,
                    _ => shop::saga::SHIPMENT,
                };
                row("JoinsTable", "joinId").is_some_and(|row| row.get(part).is_some())
            }
            "start-order-saga" => {
                let started = self.executions.values().any(|execution| {
                    execution.input().pointer("/detail/orderId").is_some_and(|id| id == order)
                });
                started && name == "OrderPlaced"
            }
            "refund-payment" => answered(row("PaymentsTable", "orderId").as_ref()),
            "release-inventory" => answered(row("ReservationsTable", "orderId").as_ref()),
            "confirm-order" | "cancel-order" => {
                let key = json!({ "aggregateId": { "S": order }, "version": { "N": "0" } });
                let head = self.database.get("EventStoreTable", &key);
                let ended = if function == "confirm-order" { "confirmed" } else { "cancelled" };
                status(head.as_ref()).as_deref() == Some(ended)
            }
            "record-activity" => {
                let customer =
                    event.pointer("/detail/customerId").and_then(Value::as_str).unwrap_or_default();
                let key = json!({ "customerId": { "S": customer }, "eventId": { "S": id } });
                self.database.get("ActivityTable", &key).is_some() || self.watch.letters.has(&message.body)
            }
            "enrich-order" => self.watch.receipts.is_enriched(order),
            _ => true,
        };
        if !done {
            let detail = format!("{function} acknowledged {name} of {order} and has not done it");
            self.watch.report("nothing acknowledged is lost", detail);
        }
    }

    /// A stock update has been taken into account: its product's row is of its version or a newer one.
    fn knows_of(&self, event: &Value) -> bool {
        let Some(product) = event.pointer("/detail/productId") else { return true };
        let row = self.database.get("ReplenishmentsTable", &json!({ "productId": { "S": product } }));
        let row = row.and_then(|row| eda::row::from_item::<Replenishment>(typed(&row)).ok());
        let version = event.pointer("/detail/stockVersion").and_then(Value::as_u64).unwrap_or(u64::MAX);
        row.is_some_and(|row| u64::from(row.version.max(row.low_version)) >= version)
    }
}
