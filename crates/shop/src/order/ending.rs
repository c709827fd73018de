//! The two ends of an order. Each is appended once, to an open order.

use eda::event::Emission;
use eda::event_store::Appendable;
use eda::saga::Stepped;
use eda::write::{ConditionalWrite, Write};
use eda::{Failure, telemetry};

use super::{CANCEL, CONFIRM, Command, OrderHead, OrderState, OrderStatus, Rejection, decide};
use crate::events::{OrderCancelled, OrderConfirmed};
use crate::saga::Refused;

/// Version of an order that was placed and has not ended.
const PLACED: u64 = 1;

impl OrderState {
    /// Where the order with this head stands.
    #[must_use]
    pub fn of(head: Option<&OrderHead>) -> Self {
        match head.map(|head| head.status) {
            None => Self::Absent,
            Some(OrderStatus::Open) => Self::Open,
            Some(OrderStatus::Confirmed) => Self::Confirmed,
            Some(OrderStatus::Cancelled) => Self::Cancelled,
        }
    }
}

impl Appendable<OrderHead> for OrderConfirmed {
    type Rejection = Rejection;
    const USUALLY_AT: u64 = PLACED;

    fn change(&self, head: Write<OrderHead>) -> ConditionalWrite<OrderHead> {
        OrderHead::end(head, CONFIRM)
    }

    fn decide(&self, head: Option<&OrderHead>) -> Result<(), Rejection> {
        decide(OrderState::of(head), Command::Confirm(self.clone())).map(drop)
    }
}

impl Appendable<OrderHead> for OrderCancelled {
    type Rejection = Rejection;
    const USUALLY_AT: u64 = PLACED;

    fn change(&self, head: Write<OrderHead>) -> ConditionalWrite<OrderHead> {
        OrderHead::end(head, CANCEL)
    }

    fn decide(&self, head: Option<&OrderHead>) -> Result<(), Rejection> {
        decide(OrderState::of(head), Command::Cancel(self.clone())).map(drop)
    }
}

/// Metric that counts the opposite ends that `function` met. Any is a bug.
pub const OPPOSITE_END: &str = "OppositeEnd";

impl Rejection {
    /// What came of it that `function` wanted to give an order this end. A duplicate is done; the opposite end, which no
    /// repetition can mend, is refused, after it has been logged and counted ([`OPPOSITE_END`]).
    ///
    /// # Errors
    /// [`Failure`] (permanent) for an order that was never placed.
    pub fn settle(self, function: &'static str, end: Emission) -> Result<Stepped, Failure> {
        match self {
            Self::AlreadyPlaced | Self::AlreadyEnded => {
                telemetry::duplicate();
                Ok(Stepped::Done(end))
            }
            Self::OppositeEnd => {
                tracing::error!("{self}: a bug");
                telemetry::report(function, OPPOSITE_END, 1);
                Ok(Refused::OppositeEnd.because("opposite_end"))
            }
            Self::NoSuchOrder => Err(Failure::permanent(self.to_string())),
        }
    }
}
