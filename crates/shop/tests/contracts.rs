//! Laws of what is on the wire: money, and versions of contracts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use eda::event::Event;
use iso_currency::Currency;
use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use shop::events::{Line, OrderConfirmed, OrderPlaced};
use shop::money::Money;
use shop::order::{Command, OrderEvent, OrderState, decide, evolve};
use shop::testing::{CUSTOMER, order_placed, place_order};

/// Every decimal that fits: 28 digits, any scale, either sign.
fn money() -> impl Strategy<Value = Money> {
    let digits = -79_228_162_514_264_337_593_543_950_335_i128..=79_228_162_514_264_337_593_543_950_335;
    (digits, 0..=28_u32).prop_map(|(digits, scale)| Money::new(Decimal::from_i128_with_scale(digits, scale)))
}

fn price() -> impl Strategy<Value = Money> {
    (0..10_000_000_i64).prop_map(|cents| Money::from_minor_units(cents, Currency::USD))
}

fn placed() -> impl Strategy<Value = OrderPlaced> {
    let line = ("[a-z]{1,8}", 1..100_u32, price());
    let line = line.prop_map(|(product_id, quantity, price)| Line { product_id, quantity, price });
    (prop::collection::vec(line, 1..5), price(), any::<bool>()).prop_map(|(items, total_amount, whole)| {
        let sample = order_placed("o1", &[]);
        let payment_method = sample.payment_method.clone().filter(|_| whole);
        let shipping_address = sample.shipping_address.clone().filter(|_| whole);
        OrderPlaced { items, total_amount, payment_method, shipping_address, ..sample }
    })
}

/// The same order as a producer of version 1.0 would have said it: no currency, maybe no version, maybe `amount`.
fn as_version_1(placed: &OrderPlaced, versioned: bool, renamed: bool) -> Value {
    let mut detail = serde_json::to_value(placed).unwrap();
    let fields = detail.as_object_mut().unwrap();
    fields.remove("currency");
    if versioned {
        fields.insert("version".into(), json!("1.0"));
    }
    if renamed {
        let total = fields.remove("totalAmount").unwrap();
        fields.insert("amount".into(), total);
    }
    detail
}

fn read(detail: &Value) -> OrderPlaced {
    Event::from_detail(&detail.to_string(), Timestamp::UNIX_EPOCH).unwrap().data
}

fn commands() -> [Command; 2] {
    let confirmed = OrderConfirmed { order_id: "o1".into(), customer_id: CUSTOMER.into() };
    let order = place_order(&[("keyboard", 1)]);
    let place = Command::Place { order_id: "o1".into(), order, now: Timestamp::UNIX_EPOCH };
    [place, Command::Confirm(confirmed)]
}

proptest! {
    #[test]
    fn deciding_on_an_upcast_order_is_deciding_on_the_newest_version(
        placed in placed(), versioned: bool, renamed: bool,
    ) {
        let mut newest = serde_json::to_value(&placed).unwrap();
        newest["version"] = json!("2.0");
        let newest = OrderEvent::Placed(read(&newest));
        let upcast = OrderEvent::Placed(read(&as_version_1(&placed, versioned, renamed)));
        prop_assert_eq!(&upcast, &newest);
        let after = |event| evolve(OrderState::default(), event);
        for command in commands() {
            prop_assert_eq!(decide(after(&upcast), command.clone()), decide(after(&newest), command));
        }
    }

    #[test]
    fn money_survives_the_wire(money in money()) {
        let text = serde_json::to_string(&money).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{} is a JSON number", text);
        prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
    }

    #[test]
    fn money_survives_the_gateways_minor_units(
        minor in -1_000_000_000_000_i64..=1_000_000_000_000,
        currency in prop::sample::select(vec![Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD]),
    ) {
        prop_assert_eq!(Money::from_minor_units(minor, currency).minor_units(currency), Some(minor));
    }

    #[test]
    fn so_many_pieces_cost_as_much_as_one_after_another(price in price(), quantity in 0..50_u32) {
        let one_by_one = (0..quantity).try_fold(Money::default(), |sum, _| sum.plus(price));
        prop_assert_eq!(price.times(quantity), one_by_one);
    }
}
