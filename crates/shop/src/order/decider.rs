use eda::Failure;
use eda::event::{Contract, Event};
use eda::event_store::StoredEvent;
use jiff::Timestamp;

use super::PlaceOrder;
use crate::events::{OrderCancelled, OrderConfirmed, OrderPlaced};

/// What happened to an order, in its newest form.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, never stored in bulk")]
pub enum OrderEvent {
    /// It was placed.
    Placed(OrderPlaced),
    /// It was fulfilled.
    Confirmed(OrderConfirmed),
    /// It was cancelled.
    Cancelled(OrderCancelled),
}

impl OrderEvent {
    /// Reads a stored event, of any version that was ever stored, and when it happened.
    ///
    /// # Errors
    /// [`Failure`] (permanent) for an event that orders do not have.
    pub fn decode(stored: &StoredEvent) -> Result<(Self, Timestamp), Failure> {
        fn read<T: Contract>(
            stored: &StoredEvent,
            event: fn(T) -> OrderEvent,
        ) -> Result<(OrderEvent, Timestamp), Failure> {
            let decoded = Event::<T>::from_detail(&stored.detail, Timestamp::UNIX_EPOCH)?;
            Ok((event(decoded.data), decoded.metadata.event_time))
        }
        match stored.event_type.as_str() {
            OrderPlaced::DETAIL_TYPE => read(stored, Self::Placed),
            OrderConfirmed::DETAIL_TYPE => read(stored, Self::Confirmed),
            OrderCancelled::DETAIL_TYPE => read(stored, Self::Cancelled),
            other => Err(Failure::permanent(format!("an order has no event {other}"))),
        }
    }
}

/// Where an order stands, as far as decisions need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderState {
    /// There is no such order.
    #[default]
    Absent,
    /// Its saga runs.
    Open,
    /// Fulfilled.
    Confirmed,
    /// Cancelled.
    Cancelled,
}

/// What can be asked of an order.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, never stored in bulk")]
pub enum Command {
    /// Place it.
    Place {
        /// Its id.
        order_id: String,
        /// What is ordered.
        order: PlaceOrder,
        /// When.
        now: Timestamp,
    },
    /// All steps are done.
    Confirm(OrderConfirmed),
    /// Everything is undone.
    Cancel(OrderCancelled),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It was placed before.
    #[error("the order was placed before")]
    AlreadyPlaced,
    /// There is no such order.
    #[error("there is no such order")]
    NoSuchOrder,
    /// It has this end already: a duplicate.
    #[error("the order has ended so before")]
    AlreadyEnded,
    /// It has the opposite end: a bug, never to be seen.
    #[error("the order has the opposite end")]
    OppositeEnd,
}

/// Decides what happens.
///
/// # Errors
/// Why nothing does.
pub fn decide(state: OrderState, command: Command) -> Result<OrderEvent, Rejection> {
    match (state, command) {
        (OrderState::Absent, Command::Place { order_id, order, now }) => {
            Ok(OrderEvent::Placed(order.placed(order_id, now)))
        }
        (_, Command::Place { .. }) => Err(Rejection::AlreadyPlaced),
        (OrderState::Open, Command::Confirm(confirmed)) => Ok(OrderEvent::Confirmed(confirmed)),
        (OrderState::Open, Command::Cancel(cancelled)) => Ok(OrderEvent::Cancelled(cancelled)),
        (OrderState::Absent, Command::Confirm(_) | Command::Cancel(_)) => Err(Rejection::NoSuchOrder),
        (OrderState::Confirmed, Command::Confirm(_)) | (OrderState::Cancelled, Command::Cancel(_)) => {
            Err(Rejection::AlreadyEnded)
        }
        (OrderState::Confirmed, Command::Cancel(_)) | (OrderState::Cancelled, Command::Confirm(_)) => {
            Err(Rejection::OppositeEnd)
        }
    }
}

/// The state after an event.
#[must_use]
pub fn evolve(_state: OrderState, event: &OrderEvent) -> OrderState {
    match event {
        OrderEvent::Placed(_) => OrderState::Open,
        OrderEvent::Confirmed(_) => OrderState::Confirmed,
        OrderEvent::Cancelled(_) => OrderState::Cancelled,
    }
}
