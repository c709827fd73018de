//! The checks before the first step, and what they decide together.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use rust_decimal::Decimal;
use shop::checks::{CREDIT, Decision, Finding, Method, SHIPPING, STOCK, credit, decide, shipping, stock};
use shop::customer::Customer;
use shop::money::Money;
use shop::saga::reason;
use shop::stock::merged;
use shop::testing::{order_placed, unserved_address};

fn customer(tier: &str) -> Customer {
    Customer { customer_id: "c".into(), name: None, tier: Some(tier.into()), email: None }
}

fn found(check: &str, reasons: &[&str]) -> Finding {
    let reasons = reasons.iter().map(ToString::to_string).collect();
    Finding { check: check.into(), reasons, shipping: None }
}

#[test]
fn a_customer_may_order_up_to_the_limit_of_their_tier() {
    for (tier, limit) in [
        (Some("gold"), 1_000_000),
        (Some("silver"), 100_000),
        (Some("standard"), 10_000),
        (Some("?"), 10_000),
        (None, 10_000),
    ] {
        let customer = tier.map(customer);
        let mut order = order_placed("o1", &[("keyboard", 1)]);
        order.total_amount = Money::new(Decimal::from(limit));
        assert_eq!(credit(&order, customer.as_ref()), found(CREDIT, &[]), "{tier:?}");
        order.total_amount = order.total_amount.plus(Money::new(Decimal::new(1, 2))).unwrap();
        assert_eq!(credit(&order, customer.as_ref()), found(CREDIT, &[reason::CREDIT_EXCEEDED]), "{tier:?}");
    }
}

#[test]
fn the_last_piece_is_enough_and_an_unknown_product_is_not_there() {
    let wanted = merged(&order_placed("o1", &[("a", 2), ("b", 1), ("a", 1)]).items);
    let check = |a: i64, b: i64| {
        stock(&wanted, |product| Ok::<_, ()>(if product == "a" { a } else { b })).unwrap().reasons
    };
    assert!(check(3, 1).is_empty());
    assert_eq!((check(2, 1), check(3, 0)), (vec![reason::OUT_OF_STOCK.to_owned()], check(2, 1)));
    assert_eq!(stock(&wanted, |_| Err("unread")), Err("unread"));
}

#[test]
fn many_pieces_go_by_freight_and_nothing_goes_where_nobody_ships() {
    let by = |pieces| {
        let shipping = shipping(&order_placed("o1", &[("a", pieces)])).shipping.unwrap();
        (shipping.method, shipping.packages)
    };
    assert_eq!((by(1), by(10), by(11)), ((Method::Parcel, 1), (Method::Parcel, 1), (Method::Parcel, 2)));
    assert_eq!((by(200), by(201)), ((Method::Parcel, 20), (Method::Freight, 2)));
    let mut order = order_placed("o1", &[("a", 1)]);
    order.shipping_address = Some(unserved_address());
    assert_eq!(shipping(&order), found(SHIPPING, &[reason::DESTINATION_NOT_SERVED]));
    order.shipping_address = None;
    assert_eq!(shipping(&order).reasons, [reason::NO_ADDRESS]);
}

#[test]
fn an_order_is_approved_if_all_checks_approve_and_refused_with_all_reasons() {
    let good = [found(STOCK, &[]), found(CREDIT, &[]), shipping(&order_placed("o1", &[("a", 1)]))];
    assert!(matches!(decide(&good), Decision::Approved(Some(_))));
    let mut turned = good.clone();
    turned.reverse();
    assert_eq!(decide(&turned), decide(&good), "in whatever order they come");
    let bad = [found(STOCK, &["a"]), found(CREDIT, &["b"]), found(SHIPPING, &["c"])];
    assert_eq!(decide(&bad), Decision::Refused(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(
        decide(&[good[0].clone(), bad[1].clone(), good[2].clone()]),
        Decision::Refused(vec!["b".into()])
    );
}

#[test]
fn an_order_is_not_decided_before_every_check_was_made() {
    assert_eq!(decide(&[]), Decision::Incomplete(vec![STOCK, CREDIT, SHIPPING]));
    let twice = [found(STOCK, &[]), found(STOCK, &[]), found(CREDIT, &["a"])];
    assert_eq!(decide(&twice), Decision::Incomplete(vec![SHIPPING]));
}
