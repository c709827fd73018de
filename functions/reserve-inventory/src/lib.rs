//! Saga step: reserves all items of an order, or none.
