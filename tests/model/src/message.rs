//! What is on its way about one order: each event to each of its consumers.

use crate::rows::{REFUND_CAUSES, RELEASE_CAUSES};

/// A delivery: an event on its way to one of its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// `OrderPlaced` → reserve-inventory.
    OrderPlaced,
    /// `InventoryReserved` → process-payment.
    ReservedToPayment,
    /// A part of the join → aggregate-steps, in the order of the saga's steps.
    Part(u8),
    /// `InventoryReservationFailed` → cancel-order.
    ReservationFailed,
    /// `PaymentProcessed` → ship-order.
    PaidToShipping,
    /// What releases stock: `PaymentFailed` (0), or the `PaymentRefunded` that answers a cause of a refund.
    Unpaid(u8),
    /// What refunds: `ShipmentFailed` (0), the first `OrderExpired` (1), a repeated one (2).
    Closed(u8),
    /// `InventoryReleased` → cancel-order, by the cause of the release.
    Released(u8),
    /// `AllStepsComplete` → confirm-order.
    Complete,
}

use Message::{
    Closed, Complete, OrderPlaced, PaidToShipping, Released, ReservationFailed, ReservedToPayment, Unpaid,
};

impl Message {
    pub(crate) const fn bit(self) -> u32 {
        1 << match self {
            OrderPlaced => 0,
            ReservedToPayment => 1,
            Self::Part(part) => 2 + part,
            ReservationFailed => 5,
            PaidToShipping => 6,
            Unpaid(cause) => 7 + cause,
            Closed(cause) => 11 + cause,
            Released(cause) => 14 + cause,
            Complete => 18,
        }
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let single = [OrderPlaced, ReservedToPayment, ReservationFailed, PaidToShipping, Complete];
        let parts = (0..3).map(Self::Part);
        let causes = (0..RELEASE_CAUSES)
            .flat_map(|cause| [Unpaid(cause), Released(cause)])
            .chain((0..REFUND_CAUSES).map(Closed));
        single.into_iter().chain(parts).chain(causes)
    }
}
