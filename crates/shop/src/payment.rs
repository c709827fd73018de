//! Payment: an intent is persisted before the gateway is asked, and whoever moved the row owns the charge.

use std::collections::BTreeSet;

use eda::Failure;
use eda::row::{Key, Row, Table};
use eda::states;
use eda::step::{Standing, Step};
use eda::write::{Condition, ConditionalWrite};
use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::events::InventoryReserved;
use crate::money::Money;
use crate::saga::reason;

/// The payment gateway, as the resource that a circuit breaker guards.
pub const GATEWAY: &str = "payment-gateway";

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

/// Currencies whose minor unit is not ISO 4217's at the gateway: an amount would be off by a factor of a hundred.
/// <https://docs.stripe.com/currencies#special-cases>, <https://docs.stripe.com/currencies#zero-decimal>
const UNLIKE_ISO: &[Currency] = &[Currency::ISK, Currency::MGA, Currency::UGX];

/// What is to be charged for an order, as the gateway takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// In the currency's minor unit; positive.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The gateway's id of the payment method.
    pub payment_method: String,
}

impl Charge {
    /// Decides whether the order can be charged.
    ///
    /// # Errors
    /// Why not, as a code of [`reason`].
    pub fn of(reserved: &InventoryReserved) -> Result<Self, &'static str> {
        let method = reserved.payment_method.as_deref().map(str::trim).filter(|method| !method.is_empty());
        let payment_method = method.ok_or(reason::NO_PAYMENT_METHOD)?.to_owned();
        let currency = Currency::from_code(&reserved.currency).ok_or(reason::NOT_CHARGEABLE)?;
        let amount = reserved.total_amount.minor_units(currency).filter(|amount| *amount > 0);
        let amount_minor = amount.ok_or(reason::NOT_CHARGEABLE)?;
        // The gateway takes three-decimal currencies in steps of ten. <https://docs.stripe.com/currencies#three-decimal>
        let too_fine = currency.exponent() == Some(3) && amount_minor % 10 != 0;
        if too_fine || UNLIKE_ISO.contains(&currency) {
            return Err(reason::NOT_CHARGEABLE);
        }
        Ok(Self { amount_minor, currency: reserved.currency.clone(), payment_method })
    }
}

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
    /// Why it was declined, as a code; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    /// The gateway's id of the intent.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row has none, although it stands where it must: a hand-edited table.
    pub fn intent(&self) -> Result<&str, Failure> {
        self.intent_id.as_deref().ok_or_else(|| Failure::permanent("the payment names no intent"))
    }

    /// An amount that the gateway gave in minor units of this payment's currency.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row has no known currency: a hand-edited table.
    pub fn money(&self, minor: i64) -> Result<Money, Failure> {
        let currency = self.currency.as_deref().and_then(Currency::from_code);
        let currency = currency.ok_or_else(|| Failure::permanent("the payment names no known currency"))?;
        Ok(Money::from_minor_units(minor, currency))
    }

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
            reason: None,
            answered: BTreeSet::new(),
            expires_at,
        };
        Ok(table.put(&row)?.step(INTEND))
    }

    /// The order cannot be charged at all, for this reason (a code).
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn refuse(
        table: &Table<Self>,
        order_id: &str,
        reason: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self {
            order_id: order_id.to_owned(),
            status: REFUSE.to(),
            intent_id: None,
            amount_minor: None,
            currency: None,
            reason: Some(reason.to_owned()),
            answered: BTreeSet::new(),
            expires_at,
        };
        Ok(table.put(&row)?.step(REFUSE))
    }

    /// The gateway declined it, for this reason (a code).
    #[must_use]
    pub fn decline(table: &Table<Self>, order_id: &str, reason: &str) -> ConditionalWrite<Self> {
        table.update(Key::of(order_id)).set("reason", reason).step(DECLINE)
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

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    fn order(amount: &str, currency: &str, method: Option<&str>) -> InventoryReserved {
        InventoryReserved {
            order_id: "o1".into(),
            customer_id: "customer-1".into(),
            items: Vec::new(),
            total_amount: Money::new(amount.parse::<Decimal>().unwrap()),
            currency: currency.into(),
            payment_method: method.map(ToOwned::to_owned),
            shipping_address: None,
        }
    }

    #[test]
    fn an_order_is_charged_in_minor_units() {
        let charge = Charge::of(&order("148.5", "USD", Some("pm_card_visa"))).unwrap();
        assert_eq!((charge.amount_minor, charge.currency.as_str()), (14_850, "USD"));
        assert_eq!(Charge::of(&order("148", "JPY", Some("pm_card_visa"))).unwrap().amount_minor, 148);
        assert_eq!(Charge::of(&order("1.25", "KWD", Some("pm_card_visa"))).unwrap().amount_minor, 1_250);
    }

    #[test]
    fn an_order_without_a_payment_method_says_so() {
        for method in [None, Some(""), Some("  ")] {
            assert_eq!(Charge::of(&order("1", "USD", method)), Err(reason::NO_PAYMENT_METHOD));
        }
    }

    #[test]
    fn what_the_gateway_would_charge_wrongly_or_not_at_all_is_not_chargeable() {
        let amounts = [("0", "USD"), ("-1", "USD"), ("1.005", "USD"), ("1.5", "JPY"), ("1.255", "KWD")];
        let currencies = [("1", "???"), ("1", "usd"), ("500", "ISK"), ("500", "UGX"), ("500", "MGA")];
        for (amount, currency) in amounts.into_iter().chain(currencies) {
            let refused = Charge::of(&order(amount, currency, Some("pm_card_visa")));
            assert_eq!(refused, Err(reason::NOT_CHARGEABLE), "{amount} {currency}");
        }
    }

    #[test]
    fn only_a_pending_payment_is_resumed() {
        let standings = [None, Some(Charged), Some(Declined), Some(Undoing), Some(Undone)];
        for standing in standings {
            assert_eq!(Resume::of(standing), Resume::Acknowledge, "{standing:?}");
        }
        assert_eq!(Resume::of(Some(Pending)), Resume::Confirm);
    }

    #[test]
    fn what_may_be_charged_is_undone_at_the_gateway_and_what_cannot_is_buried() {
        for standing in [Pending, Charged, Undoing] {
            assert_eq!(Undo::of(Some(standing)), Undo::Gateway);
        }
        assert_eq!(Undo::of(None), Undo::Tombstone);
        assert_eq!(Undo::of(Some(Declined)), Undo::Tombstone);
        assert_eq!(Undo::of(Some(Undone)), Undo::Announce);
    }
}
