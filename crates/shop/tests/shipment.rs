//! The decisions of shipments: the pivot.

use eda::testing::decider::{Steps, given};
use proptest::prelude::*;
use shop::events::Address;
use shop::saga::reason;
use shop::shipment::{CLOSE, SERVED, SHIP, ShipmentState, accept, shipment_id};
use shop::testing::{address, unserved_address};

type Shipment = Steps<ShipmentState>;

#[test]
fn an_open_pivot_is_shipped_or_closed() {
    given::<Shipment>([]).when(SHIP).then(SHIP);
    given::<Shipment>([]).when(CLOSE).then(CLOSE);
}

#[test]
fn both_ends_of_the_pivot_are_final() {
    for first in [SHIP, CLOSE] {
        for step in [SHIP, CLOSE] {
            given::<Shipment>([first]).when(step).then_rejected(Some(first.to()));
        }
    }
}

#[test]
fn an_order_is_shipped_to_where_we_serve() {
    let (here, nowhere) = (address(), unserved_address());
    assert_eq!(accept(Some(&here)), Ok(&here));
    assert_eq!(accept(Some(&nowhere)), Err(reason::DESTINATION_NOT_SERVED));
    assert_eq!(accept(None), Err(reason::NO_ADDRESS));
}

proptest! {
    #[test]
    fn only_the_country_decides_where_we_serve(country in "[A-Z]{2}", city in ".*") {
        let address = Address { country: country.clone(), city, ..address() };
        prop_assert_eq!(accept(Some(&address)).is_ok(), SERVED.contains(&country.as_str()));
    }

    #[test]
    fn an_order_has_one_shipment_and_no_two_orders_share_it(one in "[a-z0-9-]{1,36}", other in "[a-z0-9-]{1,36}") {
        prop_assert_eq!(shipment_id(&one), shipment_id(&one));
        prop_assert_eq!(shipment_id(&one) == shipment_id(&other), one == other);
    }
}
