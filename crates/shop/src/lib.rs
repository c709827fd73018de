//! The order-fulfilment domain: contracts, deciders, table rows. No AWS client, no I/O.
//!
//! | row | states | module |
//! |---|---|---|
//! | order head | open → confirmed \| cancelled | [`order`] |
//! | reservation | none → reserved → released; none → rejected; none → released (tombstone) | [`stock`] |
//! | payment | none → pending → charged \| declined; pending, charged → undoing → undone; none, declined → undone | [`payment`] |
//! | shipment | none → shipped \| closed, both final: the pivot | [`shipment`] |
//! | join | three parts, then complete | [`saga`] |
//! | replenishment | none → requested ⇄ recovered | [`replenishment`] |

pub mod activity;
pub mod books;
pub mod checks;
pub mod customer;
pub mod events;
pub mod money;
pub mod order;
pub mod payment;
pub mod replenishment;
pub mod saga;
pub mod sales;
pub mod shipment;
pub mod stock;
#[cfg(feature = "testing")]
pub mod testing;

/// How long the rows of a saga live, in days: longer than the archive (365 days), so that whatever is replayed,
/// redriven or swept meets a state and never a blank.
pub const KEEP_DAYS: i64 = 395;

/// The description of the HTTP API: OpenAPI 3.1, as JSON.
pub const OPENAPI: &str = include_str!("../openapi.json");
