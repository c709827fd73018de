//! What happened to an order, step by step, as the rows remember it.
//!
//! Nothing is stored for this: an event's id holds the moment when it was made (UUIDv7), and rows keep the ids of the events
//! that moved them. So the events between the first and the last, which only passed over the bus, are found in what they left.

use std::collections::BTreeMap;

use eda::event_store::StoredEvent;
use eda::join::JoinRow;
use serde::Serialize;
use serde_json::Value;
use shop::events::{
    AllStepsComplete, InventoryReleased, InventoryReservationFailed, InventoryReserved, OrderExpired,
    OrderShipped, PaymentFailed, PaymentProcessed, PaymentRefunded, ShipmentFailed,
};
use shop::payment::{Payment, PaymentState};
use shop::saga::{INVENTORY, PAYMENT, SHIPMENT, reason};
use shop::shipment::Shipment;
use shop::stock::{Reservation, ReservationState};
use uuid::Uuid;

use eda::event::{Contract, made_at};

/// The rows that an order's saga has left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces {
    pub(crate) reservation: Option<Reservation>,
    pub(crate) payment: Option<Payment>,
    pub(crate) shipment: Option<Shipment>,
    pub(crate) join: Option<JoinRow>,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// Epoch milliseconds; none where the id does not tell.
    pub(crate) at: Option<i64>,
    /// How long after the step before it.
    pub(crate) after_ms: Option<i64>,
    /// The event's name.
    pub(crate) event: String,
    /// Which function said it; none where several may.
    pub(crate) by: Option<&'static str>,
    pub(crate) event_id: String,
}

/// All that happened, in order.
pub(crate) fn steps(events: &[StoredEvent], rows: &Traces) -> Vec<Step> {
    let mut told: BTreeMap<String, (&str, Option<&'static str>)> = BTreeMap::new();
    let Traces { reservation, payment, shipment, join } = rows;
    let join = join.as_ref();
    for (part, name, by) in [
        (INVENTORY, InventoryReserved::DETAIL_TYPE, "reserve-inventory"),
        (PAYMENT, PaymentProcessed::DETAIL_TYPE, "process-payment"),
        (SHIPMENT, OrderShipped::DETAIL_TYPE, "ship-order"),
    ] {
        if let Some(id) = join.and_then(|join| join.parts.get(part)) {
            told.insert(id.clone(), (name, Some(by)));
        }
    }
    let expired = shipment.as_ref().and_then(|row| row.reason.as_deref()) == Some(reason::EXPIRED);
    let closed = match expired {
        true => (OrderExpired::DETAIL_TYPE, Some("expire-orders")),
        false => (ShipmentFailed::DETAIL_TYPE, Some("ship-order")),
    };
    for id in payment.iter().flat_map(|row| &row.answered) {
        told.insert(id.clone(), closed);
    }
    let declined = payment.as_ref().is_some_and(|row| row.status == PaymentState::Declined);
    let undone = match declined {
        true => (PaymentFailed::DETAIL_TYPE, Some("process-payment")),
        false => (PaymentRefunded::DETAIL_TYPE, Some("refund-payment")),
    };
    for id in reservation.iter().flat_map(|row| &row.answered) {
        told.insert(id.clone(), undone);
    }
    let rejected = reservation.as_ref().is_some_and(|row| row.status == ReservationState::Rejected);
    let mut steps = Vec::new();
    for event in events {
        let detail: Value = serde_json::from_str(&event.detail).unwrap_or_default();
        let metadata = |name: &str| detail.get("metadata")?.get(name)?.as_str();
        let (cause, by) = match event.event_type.as_str() {
            "OrderConfirmed" => {
                (Some((AllStepsComplete::DETAIL_TYPE, Some("aggregate-steps"))), Some("confirm-order"))
            }
            "OrderCancelled" if rejected => (
                Some((InventoryReservationFailed::DETAIL_TYPE, Some("reserve-inventory"))),
                Some("cancel-order"),
            ),
            "OrderCancelled" => {
                (Some((InventoryReleased::DETAIL_TYPE, Some("release-inventory"))), Some("cancel-order"))
            }
            _ => (None, None),
        };
        if let (Some(cause), Some(id)) = (cause, metadata("causationId")) {
            told.entry(id.to_owned()).or_insert(cause);
        }
        let at = metadata("eventTime")
            .and_then(|time| Some(time.parse::<jiff::Timestamp>().ok()?.as_millisecond()));
        steps.push(step(at.or_else(|| moment_of(&event.event_id)), &event.event_type, by, &event.event_id));
    }
    steps.extend(told.iter().map(|(id, (name, by))| step(moment_of(id), name, *by, id)));
    steps.sort_by_key(|step| step.at);
    let mut before: Option<i64> = None;
    for step in &mut steps {
        step.after_ms = before.zip(step.at).map(|(before, at)| at - before);
        before = step.at.or(before);
    }
    steps
}

fn step(at: Option<i64>, event: &str, by: Option<&'static str>, event_id: &str) -> Step {
    Step { at, after_ms: None, event: event.to_owned(), by, event_id: event_id.to_owned() }
}

/// When an event was made, as its id tells, in epoch milliseconds.
fn moment_of(event_id: &str) -> Option<i64> {
    made_at(Uuid::parse_str(event_id).ok()?).map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id of an event that was made so many seconds after some moment.
    fn id(seconds: u64) -> String {
        let time = uuid::Timestamp::from_unix(uuid::NoContext, 1_768_473_000 + seconds, 0);
        Uuid::new_v7(time).to_string()
    }

    fn stored(version: u64, event_type: &str, event_id: &str, caused_by: Option<&str>) -> StoredEvent {
        let detail = serde_json::json!({ "metadata": { "causationId": caused_by } });
        StoredEvent {
            aggregate_id: "o1".into(),
            version,
            event_type: event_type.into(),
            event_id: event_id.into(),
            detail: detail.to_string(),
        }
    }

    fn row<T: serde::de::DeserializeOwned>(row: Value) -> Option<T> {
        serde_json::from_value(row).ok()
    }

    fn story(steps: &[Step]) -> Vec<(&str, Option<i64>)> {
        steps.iter().map(|step| (step.event.as_str(), step.after_ms)).collect()
    }

    #[test]
    fn a_fulfilled_order_is_told_by_the_parts_of_its_join() {
        let [placed, reserved, paid, shipped, complete, confirmed] = [0, 1, 3, 4, 6, 7].map(id);
        let join = row(serde_json::json!({
            "joinId": "o1", INVENTORY: reserved, PAYMENT: paid, SHIPMENT: shipped, "completedAt": 1,
        }));
        let events = [
            stored(1, "OrderPlaced", &placed, None),
            stored(2, "OrderConfirmed", &confirmed, Some(&complete)),
        ];
        let steps = steps(&events, &Traces { join, ..Traces::default() });
        let expected = [
            ("OrderPlaced", None),
            ("InventoryReserved", Some(1_000)),
            ("PaymentProcessed", Some(2_000)),
            ("OrderShipped", Some(1_000)),
            ("AllStepsComplete", Some(2_000)),
            ("OrderConfirmed", Some(1_000)),
        ];
        assert_eq!(story(&steps), expected);
        assert_eq!((steps[1].by, steps[5].by), (Some("reserve-inventory"), Some("confirm-order")));
    }

    #[test]
    fn a_compensated_order_is_told_by_the_causes_that_its_rows_have_answered() {
        let [placed, expired, refunded, released, cancelled] = [0, 60, 61, 62, 63].map(id);
        let payment = row(serde_json::json!({
            "orderId": "o1", "status": "undone", "answered": [expired], "expiresAt": 1,
        }));
        let reservation = row(serde_json::json!({
            "orderId": "o1", "status": "released", "items": [], "answered": [refunded], "expiresAt": 1,
        }));
        let shipment = row(serde_json::json!({
            "orderId": "o1", "status": "closed", "reason": "expired", "expiresAt": 1,
        }));
        let events = [
            stored(1, "OrderPlaced", &placed, None),
            stored(2, "OrderCancelled", &cancelled, Some(&released)),
        ];
        let steps = steps(&events, &Traces { reservation, payment, shipment, join: None });
        let names: Vec<_> = steps.iter().map(|step| step.event.as_str()).collect();
        let expected =
            ["OrderPlaced", "OrderExpired", "PaymentRefunded", "InventoryReleased", "OrderCancelled"];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_order_without_stock_is_told_by_the_end_alone() {
        let [placed, short, cancelled] = [0, 1, 2].map(id);
        let reservation = row(serde_json::json!({
            "orderId": "o1", "status": "rejected", "items": [], "expiresAt": 1,
        }));
        let events =
            [stored(1, "OrderPlaced", &placed, None), stored(2, "OrderCancelled", &cancelled, Some(&short))];
        let steps = steps(&events, &Traces { reservation, ..Traces::default() });
        let names: Vec<_> = steps.iter().map(|step| step.event.as_str()).collect();
        assert_eq!(names, ["OrderPlaced", "InventoryReservationFailed", "OrderCancelled"]);
    }
}
