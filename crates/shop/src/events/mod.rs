//! Every event of the choreography.
//!
//! Events carry what the next step needs (event-carried state), so that a step reads nothing before it decides.
//! `reason` travels along the compensation, from what went wrong to the order's end.

mod aggregator;
mod inventory;
mod orders;
mod payments;
#[cfg(feature = "schema")]
pub mod schema;
mod shipping;

pub use aggregator::AllStepsComplete;
pub use inventory::{InventoryReleased, InventoryReservationFailed, InventoryReserved};
pub use orders::{Address, Line, OrderCancelled, OrderConfirmed, OrderExpired, OrderPlaced, OrderPlacedV1};
pub use payments::{PaymentFailed, PaymentProcessed, PaymentRefunded};
pub use shipping::{OrderShipped, ShipmentFailed};

/// One version of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bus's `source`.
    pub source: &'static str,
    /// The bus's `detail-type`.
    pub detail_type: &'static str,
    /// The version.
    pub version: &'static str,
    /// The payload's fields.
    pub fields: &'static [&'static str],
}

macro_rules! contracts {
    ($($event:ident { $($field:literal),* $(,)? }),+ $(,)?) => {
        /// Every contract in its newest version.
        pub const CATALOGUE: &[Entry] = &[$(Entry {
            source: <$event as eda::event::Contract>::SOURCE,
            detail_type: <$event as eda::event::Contract>::DETAIL_TYPE,
            version: <$event as eda::event::Version>::VERSION,
            fields: &[$($field),*],
        }),+];
    };
}

contracts! {
    OrderPlaced {
        "orderId", "customerId", "items", "totalAmount", "currency", "timestamp", "paymentMethod", "shippingAddress",
    },
    OrderConfirmed { "orderId", "customerId" },
    OrderCancelled { "orderId", "customerId", "reason" },
    OrderExpired { "orderId", "customerId", "reason" },
    InventoryReserved {
        "orderId", "customerId", "items", "totalAmount", "currency", "paymentMethod", "shippingAddress",
    },
    InventoryReservationFailed { "orderId", "customerId", "unavailable", "reason" },
    InventoryReleased { "orderId", "customerId", "items", "reason" },
    PaymentProcessed { "orderId", "customerId", "paymentId", "amount", "currency", "shippingAddress" },
    PaymentFailed { "orderId", "customerId", "reason" },
    PaymentRefunded { "orderId", "customerId", "amount", "currency", "reason" },
    OrderShipped { "orderId", "customerId", "shipmentId" },
    ShipmentFailed { "orderId", "customerId", "reason" },
    AllStepsComplete { "orderId", "customerId", "steps" },
}

/// Implements [`Contract`](eda::event::Contract) for an event whose ordering key is its order.
macro_rules! contract {
    ($event:ty, $source:literal, $detail_type:literal, $version:literal) => {
        contract!($event, $source, $detail_type, $version, before: eda::event::First);
    };
    ($event:ty, $source:literal, $detail_type:literal, $version:literal, before: $before:ty) => {
        impl eda::event::Version for $event {
            const VERSION: &'static str = $version;
            type Before = $before;
        }

        impl eda::event::Contract for $event {
            const SOURCE: &'static str = $source;
            const DETAIL_TYPE: &'static str = $detail_type;

            fn ordering_key(&self) -> &str {
                &self.order_id
            }
        }
    };
}
use contract;
