//! What holds in every state.

use shop::order::OrderStatus;
use shop::payment::PaymentState;
use shop::shipment::ShipmentState;
use shop::stock::ReservationState;
use stateright::Property;

use crate::gateway::Intent;
use crate::saga::{Saga, State};

/// The promises, and what must be possible.
#[must_use]
pub fn all() -> Vec<Property<Saga>> {
    vec![
        Property::always("an order is charged at most once", |_, state: &State| state.gateway.charges() <= 1),
        Property::always("stock is conserved and never negative", |saga, state| {
            let seen = saga.look(state);
            let reserved = i64::from(seen.reservation == Some(ReservationState::Reserved));
            seen.available >= 0 && seen.available + reserved + i64::from(state.other) == 1
        }),
        Property::always("an order ends once", |saga, state| saga.look(state).version <= 2),
        Property::always("what has shipped is charged, reserved and not cancelled", |saga, state| {
            let seen = saga.look(state);
            seen.shipment != Some(ShipmentState::Shipped)
                || (state.gateway.charges() == 1
                    && seen.reservation == Some(ReservationState::Reserved)
                    && seen.payment == Some(PaymentState::Charged)
                    && seen.order != Some(OrderStatus::Cancelled))
        }),
        Property::always("a payment that says charged is charged", |saga, state| {
            saga.look(state).payment != Some(PaymentState::Charged) || state.gateway.charges() == 1
        }),
        Property::always("nothing is given back unless the shipment is closed", |saga, state: &State| {
            !state.gateway.intents.contains(&Intent::Refunded)
                || saga.look(state).shipment == Some(ShipmentState::Closed)
        }),
        Property::always("a confirmed order is shipped", |saga, state| {
            let seen = saga.look(state);
            seen.order != Some(OrderStatus::Confirmed) || seen.shipment == Some(ShipmentState::Shipped)
        }),
        Property::always("a cancelled order holds no money and no stock", |saga, state| {
            let seen = saga.look(state);
            seen.order != Some(OrderStatus::Cancelled)
                || (state.gateway.charges() == 0 && seen.reservation != Some(ReservationState::Reserved))
        }),
        Property::always("a join is complete or has timed out, and not both", |saga, state| {
            let seen = saga.look(state);
            !(seen.joined && seen.timed_out)
        }),
        Property::sometimes("a join times out", |saga, state| saga.look(state).timed_out),
        Property::sometimes("an order is confirmed", |saga, state| {
            saga.look(state).order == Some(OrderStatus::Confirmed)
        }),
        Property::sometimes("an order is cancelled", |saga, state| {
            saga.look(state).order == Some(OrderStatus::Cancelled)
        }),
    ]
}
