//! Orders: event-sourced. The decider, the head row, the view.

mod command;
mod decider;
mod ending;
mod head;
mod placement;
mod request;
#[cfg(feature = "schema")]
pub mod schema;
mod view;

pub use command::{MAX_BODY_BYTES, PlaceOrder, imported_order_id, order_id};
pub use decider::{Command, OrderEvent, OrderState, Rejection, decide, evolve};
pub use ending::OPPOSITE_END;
pub use head::{
    CANCEL, CONFIRM, DEADLINE_INDEX, OPEN_SHARDS, OrderHead, OrderStatus, open_shard, open_shards,
};
pub use placement::{Placed, Placement, PlacementConfig};
pub use request::{OrderLine, is_identifier};
pub use view::{CUSTOMER_INDEX, ORDERS, OrderPosition, OrderView, OrderViewRow, customer_key};
