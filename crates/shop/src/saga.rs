//! The order's saga: who coordinates it, the join of its steps, and why it may end badly.

use eda::event::{SagaStyle, made_at};
use eda::join::Parts;
use eda::saga::{Refusal, Stepped};
use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::money::Money;

/// Orders of a higher total, in whatever currency, are of high value.
pub const HIGH_VALUE: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);

/// Who coordinates the saga of an order with this total: an orchestrator, where the value is high. The rules that choose
/// between the two ways say the same.
#[must_use]
pub fn style(total: Money) -> SagaStyle {
    if total.amount() > HIGH_VALUE { SagaStyle::Orchestrated } else { SagaStyle::Choreographed }
}

/// When the saga of an order is closed or pushed on, and the join of its steps waits no longer: so many seconds after its
/// first event, by whose id the transaction is called. Epoch seconds; counted from `now` where that id tells no time.
#[must_use]
pub fn deadline(correlation_id: Uuid, seconds: u32, now: Timestamp) -> i64 {
    made_at(correlation_id).unwrap_or(now).as_second().saturating_add(seconds.into())
}

/// Stock is reserved.
pub const INVENTORY: &str = "inventory";
/// The payment is made.
pub const PAYMENT: &str = "payment";
/// The shipment is booked.
pub const SHIPMENT: &str = "shipment";

/// The steps that make an order complete.
pub const STEPS: &[&str] = &[INVENTORY, PAYMENT, SHIPMENT];

/// Their join, one per order.
pub const JOIN: Parts = Parts::new(STEPS);

/// Why a step of the saga, or the saga as a whole, is refused for good: what a state machine catches by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The checks before the first step do not approve the order.
    Order,
    /// Some product is short.
    OutOfStock,
    /// The payment is declined.
    Payment,
    /// The shipment is refused, or was closed by whoever ended the order.
    Shipment,
    /// What the step was to do has been undone, or ruled out, before.
    Compensated,
    /// The order has the opposite end: a bug, never to be seen.
    OppositeEnd,
}

impl Refused {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Order, Self::OutOfStock, Self::Payment, Self::Shipment, Self::Compensated, Self::OppositeEnd];

    /// The error's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "OrderRefused",
            Self::OutOfStock => "OutOfStock",
            Self::Payment => "PaymentDeclined",
            Self::Shipment => "ShipmentRefused",
            Self::Compensated => "Compensated",
            Self::OppositeEnd => "OppositeEnd",
        }
    }

    /// A step refused so, for this reason (a code).
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Stepped {
        Stepped::Refused(Refusal { error: self.name(), reason: reason.into() })
    }
}

/// Why an order ends without being fulfilled: the code that travels along the compensation.
pub mod reason {
    /// Some product is short.
    pub const OUT_OF_STOCK: &str = "out_of_stock";
    /// The order names no payment method.
    pub const NO_PAYMENT_METHOD: &str = "no_payment_method";
    /// The amount or currency cannot be charged.
    pub const NOT_CHARGEABLE: &str = "not_chargeable";
    /// The order names no address.
    pub const NO_ADDRESS: &str = "no_address";
    /// We do not ship there.
    pub const DESTINATION_NOT_SERVED: &str = "destination_not_served";
    /// The gateway declined, and nobody kept what it said.
    pub const DECLINED: &str = "declined";
    /// The customer may not order for so much.
    pub const CREDIT_EXCEEDED: &str = "credit_exceeded";
    /// The order reached no end before its deadline.
    pub const EXPIRED: &str = "expired";
    /// A step of the saga could not be taken.
    pub const STEP_FAILED: &str = "step_failed";
    /// The step was undone before it was taken.
    pub const COMPENSATED: &str = "compensated";
}
