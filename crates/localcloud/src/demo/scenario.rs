//! What can happen to an order, and how it must end.

use std::fmt;

use eda::event::SagaStyle::{self, Choreographed, Orchestrated};
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};

use crate::gateway::{CallKind, Do, Fault, On};
use crate::seed::{Customer, customers, products};

/// A story that an order is made to live through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scenario {
    /// The gateway is out of reach for this card until the order's deadline has passed.
    Expired,
    /// All goes well.
    Confirmed,
    /// A product is sold out.
    OutOfStock,
    /// The customer may not order for so much. Only high-value orders are checked.
    CreditExceeded,
    /// The card is declined.
    Declined,
    /// Nothing ships to its address, so the payment goes back.
    ShipmentRefused,
    /// The client sends the request several times, also at once.
    RetriedWithSameKey,
    /// Every event of the order is delivered more than once, in any order.
    Duplicated,
    /// The card is charged and the gateway's answer gets lost.
    PaymentAnswerLost,
}

/// How an order must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// Fulfilled.
    Confirmed,
    /// Undone.
    Cancelled,
    /// It has not ended.
    Unfinished,
}

/// All stories of either saga. Those that take longest come first; confirmed orders come more than once.
const ROUND: [(SagaStyle, Scenario); 20] = [
    (Choreographed, Scenario::Expired),
    (Orchestrated, Scenario::Expired),
    (Choreographed, Scenario::Confirmed),
    (Orchestrated, Scenario::Confirmed),
    (Choreographed, Scenario::OutOfStock),
    (Orchestrated, Scenario::OutOfStock),
    (Orchestrated, Scenario::CreditExceeded),
    (Choreographed, Scenario::Declined),
    (Orchestrated, Scenario::Declined),
    (Choreographed, Scenario::ShipmentRefused),
    (Orchestrated, Scenario::ShipmentRefused),
    (Choreographed, Scenario::RetriedWithSameKey),
    (Orchestrated, Scenario::RetriedWithSameKey),
    (Choreographed, Scenario::Duplicated),
    (Orchestrated, Scenario::Duplicated),
    (Choreographed, Scenario::PaymentAnswerLost),
    (Orchestrated, Scenario::PaymentAnswerLost),
    (Choreographed, Scenario::Confirmed),
    (Orchestrated, Scenario::Confirmed),
    (Choreographed, Scenario::Confirmed),
];

/// The card of orders that expire: the gateway refuses to confirm it.
const UNREACHABLE_CARD: &str = "pm_card_jcb";
/// The card whose confirmations lose their answer.
const ANSWERLESS_CARD: &str = "pm_card_diners";
/// What a product costs at least that these orders are made of, in cents.
const DEAR: u64 = 2_000;
/// Cards that pay.
const CARDS: [&str; 3] = ["pm_card_visa", "pm_card_mastercard", "pm_card_amex"];

impl Scenario {
    /// The stories of `orders` orders, the longest first.
    pub(super) fn deal(orders: u64) -> Vec<(SagaStyle, Self)> {
        let mut dealt: Vec<_> = ROUND.into_iter().cycle().zip(0..orders).map(|(story, _)| story).collect();
        dealt.sort_by_key(|(_, scenario)| *scenario != Self::Expired);
        dealt
    }

    /// How an order of this story must end.
    #[must_use]
    pub fn expected(self) -> End {
        match self {
            Self::Confirmed | Self::RetriedWithSameKey | Self::Duplicated | Self::PaymentAnswerLost => {
                End::Confirmed
            }
            Self::OutOfStock
            | Self::CreditExceeded
            | Self::Declined
            | Self::ShipmentRefused
            | Self::Expired => End::Cancelled,
        }
    }

    /// A request of this story, of a value that is for this saga.
    pub(super) fn request(self, saga: SagaStyle, rng: &mut Rng) -> Value {
        let (on_stock, sold_out): (Vec<_>, Vec<_>) =
            products().iter().partition(|product| product.available > 0);
        let dear = on_stock.into_iter().filter(|product| product.price_cents >= DEAR);
        let mut items = rng.choose_multiple(dear, 2);
        // Two such products make up to 700, from 1,200 to 9,500, or more than 10,000.
        let quantities = match (saga, self) {
            (_, Self::CreditExceeded) => 400..=400,
            (Choreographed, _) => 1..=3,
            (Orchestrated, _) => 20..=40,
        };
        if self == Self::OutOfStock {
            items.extend(sold_out.first());
        }
        let lines = items.iter().map(|product| {
            json!({ "productId": product.product_id, "quantity": rng.u32(quantities.clone()), "price": product.price() })
        });
        let lines: Vec<_> = lines.collect();
        let plain = |customer: &&Customer| self != Self::CreditExceeded || customer.tier == "standard";
        let customers: Vec<_> = customers().iter().filter(plain).collect();
        let customer = rng.choice(customers);
        let card = match self {
            Self::Declined => "pm_card_visa_chargeDeclined",
            Self::Expired => UNREACHABLE_CARD,
            Self::PaymentAnswerLost => ANSWERLESS_CARD,
            _ => rng.choice(CARDS).unwrap_or("pm_card_visa"),
        };
        // Nobody ships to Antarctica.
        let country = if self == Self::ShipmentRefused { "AQ" } else { "US" };
        json!({
            "customerId": customer.map(|customer| &customer.customer_id),
            "items": lines,
            "currency": "USD",
            "paymentMethod": card,
            "shippingAddress": {
                "name": customer.map(|customer| &customer.name),
                "line1": "1 Harbour Street",
                "city": "Springfield",
                "postalCode": "12345",
                "country": country,
            },
        })
    }

    /// What the payment gateway does wrong for the stories to happen.
    pub(super) fn faults() -> [Fault; 2] {
        let confirming = |card: &str| On {
            call: Some(CallKind::Confirm),
            payment_method: Some(card.to_owned()),
            ..On::default()
        };
        [
            Fault { on: confirming(UNREACHABLE_CARD), times: None, what: Do::Unavailable { status: 503 } },
            Fault {
                on: confirming(ANSWERLESS_CARD),
                times: None,
                what: Do::LostResponse { bad_gateway: false },
            },
        ]
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Expired => "expired",
            Self::Confirmed => "confirmed",
            Self::OutOfStock => "out of stock",
            Self::CreditExceeded => "credit exceeded",
            Self::Declined => "declined",
            Self::ShipmentRefused => "shipment refused",
            Self::RetriedWithSameKey => "retried with same key",
            Self::Duplicated => "duplicated",
            Self::PaymentAnswerLost => "payment answer lost",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Unfinished => "unfinished",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_orders_tell_every_story() {
        let dealt = Scenario::deal(20);
        assert!(ROUND.iter().all(|story| dealt.contains(story)));
        assert_eq!(dealt.len(), 20);
    }

    #[test]
    fn an_order_is_worth_what_its_saga_is_for() {
        for seed in 0..50 {
            let mut rng = Rng::with_seed(seed);
            for (saga, scenario) in ROUND {
                let request = scenario.request(saga, &mut rng).to_string();
                let order = shop::order::PlaceOrder::parse(&request).unwrap();
                let total = order.total().unwrap();
                assert_eq!(shop::saga::style(total), saga, "{scenario}: {total}");
                let dear = total.amount() > shop::checks::credit_limit(None);
                assert_eq!(dear, scenario == Scenario::CreditExceeded, "{scenario}: {total}");
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_request() {
        let request = || Scenario::Confirmed.request(Orchestrated, &mut Rng::with_seed(7));
        assert_eq!(request(), request());
    }
}
