//! Orders: event-sourced. The decider, the head row, the view.

mod command;
mod decider;
mod ending;
mod head;
mod request;
#[cfg(feature = "schema")]
pub mod schema;
mod view;

pub use command::{MAX_BODY_BYTES, PlaceOrder, order_id};
pub use decider::{Command, OrderEvent, OrderState, Rejection, decide, evolve};
pub use ending::OPPOSITE_END;
pub use head::{
    CANCEL, CONFIRM, DEADLINE_INDEX, OPEN_SHARDS, OrderHead, OrderStatus, open_shard, open_shards,
};
pub use view::{OrderView, OrderViewRow};
