//! Every event.
//!
//! Events carry what the next step needs (event-carried state), so that a step reads nothing before it decides.
//! `reason` travels along the compensation, from what went wrong to the order's end.

mod aggregator;
mod inventory;
mod operations;
mod orders;
mod payments;
mod sales;
#[cfg(feature = "schema")]
pub mod schema;
mod shipping;

pub use aggregator::{AllStepsComplete, JoinTimedOut};
pub use inventory::{
    InventoryReleased, InventoryReservationFailed, InventoryReserved, StockReorderRequested, StockUpdate,
};
pub use operations::{CircuitStateChanged, MessageParked};
pub use orders::{
    Address, Line, OrderCancelled, OrderConfirmed, OrderEnriched, OrderExpired, OrderPlaced, OrderPlacedV1,
};
pub use payments::{PaymentFailed, PaymentProcessed, PaymentRefunded};
pub use sales::{Revenue, SalesWindowClosed, SalesWindowCorrected};
pub use shipping::{OrderShipped, ShipmentFailed};

use eda::event::Channels;

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
    /// Which channels carry it.
    pub channels: Channels,
}

macro_rules! contracts {
    ($($event:ident { $($field:literal),* $(,)? }),+ $(,)?) => {
        /// Every contract in its newest version.
        pub const CATALOGUE: &[Entry] = &[$(Entry {
            source: <$event as eda::event::Contract>::SOURCE,
            detail_type: <$event as eda::event::Contract>::DETAIL_TYPE,
            version: <$event as eda::event::Version>::VERSION,
            fields: &[$($field),*],
            channels: <$event as eda::event::Contract>::CHANNELS,
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
    JoinTimedOut { "orderId", "customerId", "missing" },
    MessageParked { "failureId", "group", "place", "cause", "eventType", "attempts", "failures" },
    OrderEnriched {
        "orderId", "customerId", "items", "totalAmount", "currency", "timestamp", "customerKnown", "customerName",
        "customerTier", "customerEmail",
    },
    StockUpdate { "productId", "warehouseId", "productCategory", "quantity", "previousQuantity", "stockVersion" },
    StockReorderRequested { "productId", "warehouseId", "productCategory", "quantity", "stockVersion" },
    SalesWindowClosed { "windowId", "windowStart", "windowEnd", "revenue", "sales", "refunds", "revision" },
    SalesWindowCorrected {
        "windowId", "windowStart", "windowEnd", "difference", "revenue", "sales", "refunds", "revision",
    },
    CircuitStateChanged { "resource", "from", "to", "trips" },
}

/// Implements [`Contract`](eda::event::Contract) for an event whose ordering key is its order, or the field that is named.
///
/// What a customer learns of an order goes to the ordered channels, grouped by customer; `counted` what is counted as well.
macro_rules! contract {
    (@or $default:ty) => { $default };
    (@or $default:ty, $given:ty) => { $given };
    (@field $self:ident, $default:ident) => { $self.$default };
    (@field $self:ident, $default:ident, $given:ident) => { $self.$given };
    ($event:ty, $source:literal, $detail_type:literal, $version:literal $(, before: $before:ty)? $(, key: $key:ident)?
        $(, channels: $channels:ident)?) => {
        impl eda::event::Version for $event {
            const VERSION: &'static str = $version;
            type Before = contract!(@or eda::event::First $(, $before)?);
        }

        impl eda::event::Contract for $event {
            const SOURCE: &'static str = $source;
            const DETAIL_TYPE: &'static str = $detail_type;
            $(
                const CHANNELS: eda::event::Channels = eda::event::Channels::$channels;

                fn group(&self) -> &str {
                    &self.customer_id
                }
            )?

            fn ordering_key(&self) -> &str {
                &contract!(@field self, order_id $(, $key)?)
            }
        }
    };
}
use contract;
