//! Stock: products, and the reservation of an order's items, all or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use eda::Failure;
use eda::event::wire::Id;
use eda::row::{Key, Row, Table};
use eda::states;
use eda::step::{Standing, Step};
use eda::write::{Condition, ConditionalWrite, Write};
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::events::{Line, StockUpdate};

/// The most distinct products an order may have: with reservation and event they must fit one transaction of 100 actions.
pub const MAX_PRODUCTS: usize = 98;

/// A product and how many of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Quantity {
    /// What.
    #[serde(with = "Id")]
    pub product_id: String,
    /// How many.
    #[serde(with = "Count")]
    pub quantity: u32,
}

/// A `u32` on the wire, for `#[serde(with = "…")]`: a whole number, however it is written. 2 and 2.0 are the same.
#[derive(Clone, Copy, Debug)]
pub enum Count {}

impl Count {
    /// Writes it as it is.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(count: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(*count)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is no whole number from 0 to 4,294,967,295.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = u32;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 to 4294967295")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u32, E> {
                u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u32, E> {
                u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u32, E> {
                if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
                    Ok(number as u32)
                } else {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_u32(Whole)
    }
}

/// The quantities of an order: lines of one product merged, because no two actions of a transaction may touch one item.
#[must_use]
pub fn merged(lines: &[Line]) -> Vec<Quantity> {
    let mut by_product: BTreeMap<&str, u32> = BTreeMap::new();
    for line in lines {
        let quantity = by_product.entry(&line.product_id).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    let quantities = by_product.into_iter();
    quantities
        .map(|(product_id, quantity)| Quantity { product_id: product_id.to_owned(), quantity })
        .collect()
}

/// A product in a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// What.
    pub product_id: String,
    /// How many can still be reserved. Never negative.
    pub available: i64,
    /// Counts changes, so that an older image never overwrites a newer.
    pub version: u64,
    /// Where it lies.
    pub warehouse_id: String,
    /// What kind of thing it is.
    pub category: String,
}

impl Row for Product {
    const NAME: &'static str = "product";
    const PARTITION_KEY: &'static str = "productId";
}

impl Product {
    fn change(table: &Table<Self>, product_id: &str, by: i64) -> Write<Self> {
        table.update(Key::of(product_id)).add("available", by).add("version", 1)
    }

    /// Takes a quantity, if there is enough.
    #[must_use]
    pub fn take(table: &Table<Self>, Quantity { product_id, quantity }: &Quantity) -> ConditionalWrite<Self> {
        let enough = Condition::at_least("available", i64::from(*quantity));
        Self::change(table, product_id, -i64::from(*quantity)).only_if(enough)
    }

    /// What a change of this row says to others; `None` where the stock is as it was.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the version is beyond what an event can say.
    pub fn update(&self, before: Option<&Self>) -> Result<Option<StockUpdate>, Failure> {
        if before.is_some_and(|before| before.available == self.available) {
            return Ok(None);
        }
        let pieces = |available: i64| u32::try_from(available.max(0)).unwrap_or(u32::MAX);
        let stock_version = u32::try_from(self.version).map_err(|error| {
            Failure::permanent(format!("the version of {} is too high", self.product_id)).because(error)
        })?;
        Ok(Some(StockUpdate {
            product_id: self.product_id.clone(),
            warehouse_id: self.warehouse_id.clone(),
            product_category: self.category.clone(),
            quantity: pieces(self.available),
            previous_quantity: before.map_or(0, |before| pieces(before.available)),
            stock_version,
        }))
    }

    /// Puts a quantity back.
    #[must_use]
    pub fn put_back(table: &Table<Self>, Quantity { product_id, quantity }: &Quantity) -> Write<Self> {
        Self::change(table, product_id, i64::from(*quantity))
    }
}

states! {
    /// Where a reservation stands.
    pub enum ReservationState {
        /// The items are set aside.
        Reserved = "reserved",
        /// They went back, or (a tombstone) will never be set aside.
        Released = "released",
        /// Some item was short: nothing was set aside, and nothing will be.
        Rejected = "rejected",
    }
}

/// All items are set aside.
pub const RESERVE: Step<ReservationState> = Step::new(&[None], ReservationState::Reserved);
/// Some item was short.
pub const REJECT: Step<ReservationState> = Step::new(&[None], ReservationState::Rejected);
/// They go back.
pub const RELEASE: Step<ReservationState> =
    Step::new(&[Some(ReservationState::Reserved)], ReservationState::Released);
/// There was nothing to put back, and a late reservation will find that it must not be made.
pub const TOMBSTONE: Step<ReservationState> = Step::new(&[None], ReservationState::Released);

/// The reservation of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: ReservationState,
    /// What is, or was, set aside.
    pub items: Vec<Quantity>,
    /// The causes that its release has been announced to.
    #[serde(default, skip_serializing)]
    pub answered: BTreeSet<String>,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for Reservation {
    const NAME: &'static str = "reservation";
    const PARTITION_KEY: &'static str = "orderId";
}

/// What a release has to do, by where the reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Put the items back.
    PutBack,
    /// Leave a tombstone.
    Tombstone,
    /// There is nothing to undo: announce only, once per cause.
    Announce,
}

impl Release {
    /// Decides.
    #[must_use]
    pub fn of(standing: Standing<ReservationState>) -> Self {
        match standing {
            standing if RELEASE.allowed(standing) => Self::PutBack,
            standing if TOMBSTONE.allowed(standing) => Self::Tombstone,
            _ => Self::Announce,
        }
    }
}

impl Reservation {
    fn first(order_id: &str, items: &[Quantity], step: Step<ReservationState>, expires_at: i64) -> Self {
        let answered = BTreeSet::new();
        Self { order_id: order_id.to_owned(), status: step.to(), items: items.to_vec(), answered, expires_at }
    }

    /// All items are set aside. The transition takes them from the products.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn reserve(
        table: &Table<Self>,
        order_id: &str,
        items: &[Quantity],
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        Ok(table.put(&Self::first(order_id, items, RESERVE, expires_at))?.step(RESERVE))
    }

    /// Some item was short: nothing was set aside.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn reject(
        table: &Table<Self>,
        order_id: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        Ok(table.put(&Self::first(order_id, &[], REJECT, expires_at))?.step(REJECT))
    }

    /// A tombstone: nothing was reserved and nothing may be, announced to this cause.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn bury(
        table: &Table<Self>,
        order_id: &str,
        cause: &str,
        expires_at: i64,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self::first(order_id, &[], TOMBSTONE, expires_at);
        Ok(table.put(&row)?.add_to_set(ANSWERED, cause).step(TOMBSTONE))
    }

    /// The items go back, announced to this cause.
    #[must_use]
    pub fn release(table: &Table<Self>, order_id: &str, cause: &str) -> ConditionalWrite<Self> {
        table.update(Key::of(order_id)).add_to_set(ANSWERED, cause).step(RELEASE)
    }

    /// Nothing to undo: announced to this cause, if it was not before.
    #[must_use]
    pub fn announce(table: &Table<Self>, order_id: &str, cause: &str) -> ConditionalWrite<Self> {
        let standing = [Some(ReservationState::Released), Some(ReservationState::Rejected)];
        let unanswered = Condition::contains(ANSWERED, cause).negated();
        table.update(Key::of(order_id)).add_to_set(ANSWERED, cause).standing(&standing).and(unanswered)
    }
}

const ANSWERED: &str = "answered";
