//! Shipment: the pivot. Before it everything can be undone; after `shipped` there is only forward.

use std::collections::BTreeSet;

use eda::Failure;
use eda::row::{Key, Row, Table};
use eda::states;
use eda::step::Step;
use eda::write::{Condition, ConditionalWrite};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::events::Address;
use crate::saga::reason;

states! {
    /// Where a shipment stands. Both states are final.
    pub enum ShipmentState {
        /// Booked.
        Shipped = "shipped",
        /// Nothing will ever ship for this order.
        Closed = "closed",
    }
}

/// The shipment is booked.
pub const SHIP: Step<ShipmentState> = Step::new(&[None], ShipmentState::Shipped);
/// The shipment is refused, or the order expired.
pub const CLOSE: Step<ShipmentState> = Step::new(&[None], ShipmentState::Closed);

/// Namespace of shipment ids (UUIDv5).
const SHIPMENTS: Uuid = Uuid::from_u128(0x5f0c_1c58_7d0e_4b7f_9a0b_34a6_f2b4_d90e);

/// The shipment of an order: the same for ever, however often it is booked.
#[must_use]
pub fn shipment_id(order_id: &str) -> String {
    Uuid::new_v5(&SHIPMENTS, order_id.as_bytes()).to_string()
}

/// Where we ship to: ISO 3166-1 alpha-2.
pub const SERVED: &[&str] = &[
    "AT", "AU", "BE", "CA", "CH", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IT", "JP", "NL", "NO", "NZ",
    "PL", "PT", "SE", "US",
];

/// Whether an order can be shipped there, or the code of why not.
///
/// # Errors
/// The reason's code.
pub fn accept(address: Option<&Address>) -> Result<&Address, &'static str> {
    let address = address.ok_or(reason::NO_ADDRESS)?;
    if SERVED.contains(&address.country.as_str()) { Ok(address) } else { Err(reason::DESTINATION_NOT_SERVED) }
}

/// The shipment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipment {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: ShipmentState,
    /// The shipment; absent where it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<String>,
    /// Why it is closed, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The causes that its closing has been announced to, beside that of whoever closed it.
    #[serde(default, skip_serializing)]
    pub answered: BTreeSet<String>,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for Shipment {
    const NAME: &'static str = "shipment";
    const PARTITION_KEY: &'static str = "orderId";
}

impl Shipment {
    /// The key of an order's shipment.
    #[must_use]
    pub fn key(order_id: &str) -> Key<Self> {
        Key::of(order_id)
    }

    /// Books it, if the pivot is open.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn ship(
        table: &Table<Self>,
        order_id: &str,
        shipment_id: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self {
            order_id: order_id.to_owned(),
            status: SHIP.to(),
            shipment_id: Some(shipment_id.to_owned()),
            reason: None,
            answered: BTreeSet::new(),
            expires_at,
        };
        Ok(table.put(&row)?.step(SHIP))
    }

    /// Closes it, if the pivot is open.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn close(
        table: &Table<Self>,
        order_id: &str,
        reason: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        Ok(table.put(&Self::closed(order_id, reason, expires_at))?.step(CLOSE))
    }

    /// Closes it, if the pivot is open, and announces that to this cause.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn close_for(
        table: &Table<Self>,
        order_id: &str,
        reason: &str,
        cause: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self::closed(order_id, reason, expires_at);
        Ok(table.put(&row)?.add_to_set(ANSWERED, cause).step(CLOSE))
    }

    /// Closed before: announced to this cause, if it was not.
    #[must_use]
    pub fn announce(table: &Table<Self>, order_id: &str, cause: &str) -> ConditionalWrite<Self> {
        let unanswered = Condition::contains(ANSWERED, cause).negated();
        let closed = [Some(ShipmentState::Closed)];
        table.update(Key::of(order_id)).add_to_set(ANSWERED, cause).standing(&closed).and(unanswered)
    }

    fn closed(order_id: &str, reason: &str, expires_at: i64) -> Self {
        Self {
            order_id: order_id.to_owned(),
            status: CLOSE.to(),
            shipment_id: None,
            reason: Some(reason.to_owned()),
            answered: BTreeSet::new(),
            expires_at,
        }
    }
}

const ANSWERED: &str = "answered";
