//! The decisions of reservations, and the laws of quantities.

use std::collections::BTreeMap;

use eda::testing::decider::{Decider, Steps, given};
use proptest::prelude::*;
use shop::events::Line;
use shop::stock::{REJECT, RELEASE, RESERVE, Release, ReservationState, TOMBSTONE, merged};
use shop::testing::price;

type Reservation = Steps<ReservationState>;

#[test]
fn what_is_reserved_can_be_released() {
    given::<Reservation>([]).when(RESERVE).then(RESERVE);
    given::<Reservation>([RESERVE]).when(RELEASE).then(RELEASE);
}

#[test]
fn an_order_is_reserved_or_rejected_once() {
    for history in [vec![RESERVE], vec![REJECT], vec![RESERVE, RELEASE]] {
        given::<Reservation>(history.clone()).when(RESERVE).then_nothing_happened();
        given::<Reservation>(history).when(REJECT).then_nothing_happened();
    }
}

#[test]
fn stock_goes_back_once_and_only_if_it_was_taken() {
    given::<Reservation>([]).when(RELEASE).then_rejected(None);
    given::<Reservation>([REJECT]).when(RELEASE).then_rejected(Some(ReservationState::Rejected));
    given::<Reservation>([TOMBSTONE]).when(RELEASE).then_rejected(Some(ReservationState::Released));
    given::<Reservation>([RESERVE, RELEASE]).when(RELEASE).then_rejected(Some(ReservationState::Released));
}

#[test]
fn a_tombstone_keeps_a_late_reservation_from_being_made() {
    given::<Reservation>([]).when(TOMBSTONE).then(TOMBSTONE);
    given::<Reservation>([TOMBSTONE]).when(RESERVE).then_nothing_happened();
    given::<Reservation>([TOMBSTONE]).when(REJECT).then_nothing_happened();
}

#[test]
fn a_tombstone_never_covers_a_reservation() {
    for first in [RESERVE, REJECT] {
        given::<Reservation>([first]).when(TOMBSTONE).then_nothing_happened();
    }
}

#[test]
fn a_release_does_what_the_reservation_makes_necessary_and_always_has_something_to_say() {
    let decided = |history: &[_]| Release::of(Reservation::fold(history));
    assert_eq!(decided(&[]), Release::Tombstone);
    assert_eq!(decided(&[RESERVE]), Release::PutBack);
    assert_eq!(decided(&[RESERVE, RELEASE]), Release::Announce);
    assert_eq!(decided(&[TOMBSTONE]), Release::Announce);
    assert_eq!(decided(&[REJECT]), Release::Announce);
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = ("[a-e]", 0..=10_000_u32);
    let line = line.prop_map(|(product_id, quantity)| Line { product_id, quantity, price: price() });
    prop::collection::vec(line, 0..30)
}

fn totals<'a>(quantities: impl IntoIterator<Item = (&'a str, u32)>) -> BTreeMap<&'a str, u64> {
    let mut totals = BTreeMap::new();
    for (product_id, quantity) in quantities {
        *totals.entry(product_id).or_default() += u64::from(quantity);
    }
    totals
}

proptest! {
    #[test]
    fn merging_lines_conserves_every_quantity(lines in lines()) {
        let merged = merged(&lines);
        let before = totals(lines.iter().map(|line| (line.product_id.as_str(), line.quantity)));
        let after = totals(merged.iter().map(|item| (item.product_id.as_str(), item.quantity)));
        prop_assert_eq!(before, after);
    }

    #[test]
    fn merged_lines_name_each_product_once_in_whatever_order_they_came(lines in lines()) {
        let items = merged(&lines);
        prop_assert!(items.is_sorted_by(|one, next| one.product_id < next.product_id));
        let reversed: Vec<_> = lines.into_iter().rev().collect();
        prop_assert_eq!(items, merged(&reversed));
    }
}
