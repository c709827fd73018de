//! The join of the saga's steps.

use eda::join::Parts;

/// Stock is reserved.
pub const INVENTORY: &str = "inventory";
/// The payment is made.
pub const PAYMENT: &str = "payment";
/// The shipment is booked.
pub const SHIPMENT: &str = "shipment";

/// The steps that make an order complete.
pub const STEPS: &[&str] = &[INVENTORY, PAYMENT, SHIPMENT];

/// Their join, one per order.
pub const JOIN: Parts = Parts::new(STEPS);

/// Why an order ends without being fulfilled: the code that travels along the compensation.
pub mod reason {
    /// Some product is short.
    pub const OUT_OF_STOCK: &str = "out_of_stock";
    /// The order names no payment method.
    pub const NO_PAYMENT_METHOD: &str = "no_payment_method";
    /// The amount or currency cannot be charged.
    pub const NOT_CHARGEABLE: &str = "not_chargeable";
    /// The order names no address.
    pub const NO_ADDRESS: &str = "no_address";
    /// We do not ship there.
    pub const DESTINATION_NOT_SERVED: &str = "destination_not_served";
    /// The order reached no end before its deadline.
    pub const EXPIRED: &str = "expired";
}
