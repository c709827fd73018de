//! `ops saga stuck`: orders past their deadline, and where each is stuck.

use aws_sdk_dynamodb::types::AttributeValue;
use eda::join::JoinRow;
use eda::row::{Key, Row, Table};
use eda::rows::Rows;
use eda::step::State as _;
use serde::Serialize;
use shop::order::{DEADLINE_INDEX, OrderHead, OrderStatus, open_shards};
use shop::payment::{Payment, PaymentState};
use shop::shipment::{Shipment, ShipmentState};
use shop::stock::{Reservation, ReservationState};

use crate::Verdict;
use crate::cli::Manner;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{age, print, print_json, table};
use crate::steps::Traces;

/// The rows of an order's saga.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standings {
    pub(crate) reservation: Option<ReservationState>,
    pub(crate) payment: Option<PaymentState>,
    pub(crate) shipment: Option<ShipmentState>,
}

/// An order that is still open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Open {
    pub(crate) order_id: String,
    /// Epoch seconds.
    pub(crate) deadline: i64,
    /// Which function has the next step.
    pub(crate) waits_for: &'static str,
    pub(crate) reservation: Option<&'static str>,
    pub(crate) payment: Option<&'static str>,
    pub(crate) shipment: Option<&'static str>,
    /// Version of the order's newest event.
    pub(crate) version: u64,
}

impl Standings {
    /// The function that has the next step, as the rows say.
    pub(crate) fn waits_for(self) -> &'static str {
        use PaymentState::{Charged, Declined, Pending, Undoing, Undone};
        match (self.shipment, self.payment, self.reservation) {
            (Some(ShipmentState::Shipped), ..) => "confirm-order",
            (Some(ShipmentState::Closed), Some(Undone), Some(ReservationState::Reserved)) => {
                "release-inventory"
            }
            (Some(ShipmentState::Closed), Some(Undone), _) => "cancel-order",
            (Some(ShipmentState::Closed), ..) => "refund-payment",
            (None, Some(Charged), _) => "ship-order",
            (None, Some(Pending), _) => "process-payment",
            (None, Some(Declined), Some(ReservationState::Reserved)) => "release-inventory",
            (None, Some(Undoing), _) => "refund-payment",
            (None, Some(Declined | Undone), _) => "cancel-order",
            (None, None, Some(ReservationState::Reserved)) => "process-payment",
            (None, None, Some(_)) => "cancel-order",
            (None, None, None) => "reserve-inventory",
        }
    }
}

impl From<&Traces> for Standings {
    fn from(rows: &Traces) -> Self {
        Self {
            reservation: rows.reservation.as_ref().map(|row| row.status),
            payment: rows.payment.as_ref().map(|row| row.status),
            shipment: rows.shipment.as_ref().map(|row| row.status),
        }
    }
}

/// Reads the rows of an order's saga.
pub(crate) async fn traces(deployment: &Deployment, order_id: &str) -> Result<Traces, Error> {
    let rows = Rows::new(deployment.aws.dynamodb());
    async fn read<R: Row>(rows: &Rows, table: Table<R>, key: Key<R>) -> Result<Option<R>, Error> {
        Ok(rows.read(&table, key).await?)
    }
    let (reservation, payment, shipment, join) = futures::try_join!(
        read::<Reservation>(&rows, deployment.table("ReservationsTable")?, Key::of(order_id)),
        read::<Payment>(&rows, deployment.table("PaymentsTable")?, Key::of(order_id)),
        read::<Shipment>(&rows, deployment.table("ShipmentsTable")?, Shipment::key(order_id)),
        read::<JoinRow>(&rows, deployment.table("JoinsTable")?, Key::of(order_id)),
    )?;
    Ok(Traces { reservation, payment, shipment, join })
}

/// Orders that are open with a deadline before this moment (epoch seconds), the most overdue first.
pub(crate) async fn open_before(deployment: &Deployment, moment: i64) -> Result<Vec<Open>, Error> {
    let heads: Table<OrderHead> = deployment.table("EventStoreTable")?;
    let dynamodb = deployment.aws.dynamodb();
    let rows = Rows::new(dynamodb.clone());
    let mut open = Vec::new();
    for shard in open_shards() {
        let mut pages = dynamodb
            .query()
            .table_name(heads.name())
            .index_name(DEADLINE_INDEX)
            .key_condition_expression("#openShard = :shard AND #deadline <= :moment")
            .expression_attribute_names("#openShard", "openShard")
            .expression_attribute_names("#deadline", "deadline")
            .expression_attribute_values(":shard", AttributeValue::S(shard))
            .expression_attribute_values(":moment", AttributeValue::N(moment.to_string()))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            let item = item.map_err(Error::aws("dynamodb:Query"))?;
            let Some(id) = item.get("aggregateId").and_then(|id| id.as_s().ok()) else { continue };
            // The index may be late; only the row counts.
            let Some(head) = rows.read(&heads, OrderHead::key(id)).await? else { continue };
            let Some(deadline) = head.deadline.filter(|_| head.status == OrderStatus::Open) else { continue };
            if deadline > moment {
                continue;
            }
            let standings = Standings::from(&traces(deployment, id).await?);
            open.push(Open {
                order_id: id.clone(),
                deadline,
                waits_for: standings.waits_for(),
                reservation: standings.reservation.map(|state| state.name()),
                payment: standings.payment.map(|state| state.name()),
                shipment: standings.shipment.map(|state| state.name()),
                version: head.current_version,
            });
        }
    }
    open.sort_by_key(|order| order.deadline);
    Ok(open)
}

pub(crate) async fn run(deployment: &Deployment, manner: Manner, all: bool) -> Result<Verdict, Error> {
    let now = deployment.now() / 1_000;
    let open = open_before(deployment, if all { i64::MAX / 2_000 } else { now }).await?;
    if manner.json {
        print_json(&open)?;
    } else if open.is_empty() {
        print(if all { "No order is open." } else { "No order is past its deadline." })?;
    } else {
        let none = || "–".to_owned();
        let lines: Vec<_> = open
            .iter()
            .map(|order| {
                let overdue = now - order.deadline;
                let overdue = if overdue > 0 { age(overdue * 1_000) } else { none() };
                vec![
                    order.order_id.clone(),
                    overdue,
                    order.waits_for.to_owned(),
                    order.reservation.map_or_else(none, ToOwned::to_owned),
                    order.payment.map_or_else(none, ToOwned::to_owned),
                    order.shipment.map_or_else(none, ToOwned::to_owned),
                ]
            })
            .collect();
        print(table(&["ORDER", "OVERDUE", "WAITS FOR", "RESERVATION", "PAYMENT", "SHIPMENT"], &lines))?;
        print(
            "\nexpire-orders pushes each of them on once an hour. See what holds one with `ops order ORDER`.",
        )?;
    }
    let overdue = open.iter().any(|order| order.deadline <= now);
    Ok(if overdue { Verdict::Attention } else { Verdict::Well })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_say_which_step_is_next() {
        let rows = |reservation, payment, shipment| Standings { reservation, payment, shipment };
        let reserved = Some(ReservationState::Reserved);
        assert_eq!(rows(None, None, None).waits_for(), "reserve-inventory");
        assert_eq!(rows(reserved, None, None).waits_for(), "process-payment");
        assert_eq!(rows(reserved, Some(PaymentState::Charged), None).waits_for(), "ship-order");
        let shipped = Some(ShipmentState::Shipped);
        assert_eq!(rows(reserved, Some(PaymentState::Charged), shipped).waits_for(), "confirm-order");
        let closed = Some(ShipmentState::Closed);
        assert_eq!(rows(reserved, Some(PaymentState::Charged), closed).waits_for(), "refund-payment");
        assert_eq!(rows(reserved, Some(PaymentState::Undone), closed).waits_for(), "release-inventory");
        let released = Some(ReservationState::Released);
        assert_eq!(rows(released, Some(PaymentState::Undone), closed).waits_for(), "cancel-order");
    }
}
