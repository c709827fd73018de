//! Payment: an intent is persisted before the gateway is asked, and whoever moved the row owns the charge.

use std::collections::BTreeSet;

use eda::Failure;
use eda::row::{Key, Row, Table};
use eda::states;
use eda::step::{Standing, Step};
use eda::write::{Condition, ConditionalWrite};
use serde::{Deserialize, Serialize};

states! {
    /// Where a payment stands.
    pub enum PaymentState {
        /// An intent exists at the gateway; it may or may not be charged.
        Pending = "pending",
        /// The gateway charged it, and we know.
        Charged = "charged",
        /// The gateway refused it for good.
        Declined = "declined",
        /// It is being cancelled or refunded; it may still be charged at the gateway.
        Undoing = "undoing",
        /// Nothing is charged any more, or (a tombstone) ever will be.
        Undone = "undone",
    }
}

use PaymentState::{Charged, Declined, Pending, Undoing, Undone};

/// An intent was created at the gateway.
pub const INTEND: Step<PaymentState> = Step::new(&[None], Pending);
/// It was charged.
pub const CHARGE: Step<PaymentState> = Step::new(&[Some(Pending)], Charged);
/// It was declined.
pub const DECLINE: Step<PaymentState> = Step::new(&[Some(Pending)], Declined);
/// No intent is possible: the order cannot be charged at all.
pub const REFUSE: Step<PaymentState> = Step::new(&[None], Declined);
/// It is to be undone at the gateway.
pub const UNDO: Step<PaymentState> = Step::new(&[Some(Pending), Some(Charged), Some(Undoing)], Undoing);
/// The gateway has undone it.
pub const FINISH_UNDO: Step<PaymentState> = Step::new(&[Some(Undoing)], Undone);
/// There was nothing to undo, and a late payment will find that it must not be made.
pub const TOMBSTONE: Step<PaymentState> = Step::new(&[None, Some(Declined)], Undone);

/// What a payment has to do, by where the row stands that kept it from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Confirm the stored intent.
    Confirm,
    /// Nothing: someone else settled it.
    Acknowledge,
}

impl Resume {
    /// Decides.
    #[must_use]
    pub fn of(standing: Standing<PaymentState>) -> Self {
        if CHARGE.allowed(standing) { Self::Confirm } else { Self::Acknowledge }
    }
}

/// What a refund has to do, by where the row stands that kept it from undoing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Leave a tombstone.
    Tombstone,
    /// Undone before: announce, once per cause.
    Announce,
    /// It can be undone at the gateway: ask again.
    Gateway,
}

impl Undo {
    /// Decides.
    #[must_use]
    pub fn of(standing: Standing<PaymentState>) -> Self {
        match standing {
            standing if TOMBSTONE.allowed(standing) => Self::Tombstone,
            standing if UNDO.allowed(standing) => Self::Gateway,
            _ => Self::Announce,
        }
    }
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: PaymentState,
    /// The gateway's id of the intent; absent in a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<String>,
    /// What is to be charged, in minor units; absent in a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// ISO 4217 code; absent in a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The causes that its undoing has been announced to.
    #[serde(default, skip_serializing)]
    pub answered: BTreeSet<String>,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for Payment {
    const NAME: &'static str = "payment";
    const PARTITION_KEY: &'static str = "orderId";
}

const ANSWERED: &str = "answered";

impl Payment {
    /// An intent was created: recorded before it is confirmed.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn intend(
        table: &Table<Self>,
        order_id: &str,
        intent_id: &str,
        amount_minor: i64,
        currency: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self {
            order_id: order_id.to_owned(),
            status: INTEND.to(),
            intent_id: Some(intent_id.to_owned()),
            amount_minor: Some(amount_minor),
            currency: Some(currency.to_owned()),
            answered: BTreeSet::new(),
            expires_at,
        };
        Ok(table.put(&row)?.step(INTEND))
    }

    fn tombstone(order_id: &str, status: PaymentState, expires_at: i64) -> Self {
        let (intent_id, amount_minor, currency) = (None, None, None);
        let answered = BTreeSet::new();
        Self {
            order_id: order_id.to_owned(),
            status,
            intent_id,
            amount_minor,
            currency,
            answered,
            expires_at,
        }
    }

    /// The order cannot be charged at all.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn refuse(
        table: &Table<Self>,
        order_id: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        Ok(table.put(&Self::tombstone(order_id, REFUSE.to(), expires_at))?.step(REFUSE))
    }

    /// The row takes this step; nothing else about it changes.
    #[must_use]
    pub fn step(table: &Table<Self>, order_id: &str, step: Step<PaymentState>) -> ConditionalWrite<Self> {
        table.update(Key::of(order_id)).step(step)
    }

    /// The gateway has undone it, announced to this cause.
    #[must_use]
    pub fn finish_undo(table: &Table<Self>, order_id: &str, cause: &str) -> ConditionalWrite<Self> {
        table.update(Key::of(order_id)).add_to_set(ANSWERED, cause).step(FINISH_UNDO)
    }

    /// A tombstone over nothing or a declined payment, announced to this cause.
    #[must_use]
    pub fn bury(table: &Table<Self>, order_id: &str, cause: &str, expires_at: i64) -> ConditionalWrite<Self> {
        table
            .update(Key::of(order_id))
            .set("expiresAt", expires_at)
            .add_to_set(ANSWERED, cause)
            .step(TOMBSTONE)
    }

    /// Undone before: announced to this cause, if it was not.
    #[must_use]
    pub fn announce(table: &Table<Self>, order_id: &str, cause: &str) -> ConditionalWrite<Self> {
        let unanswered = Condition::contains(ANSWERED, cause).negated();
        table.update(Key::of(order_id)).add_to_set(ANSWERED, cause).standing(&[Some(Undone)]).and(unanswered)
    }
}
