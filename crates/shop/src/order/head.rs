use eda::event_store::{HEAD, Head, head_key};
use eda::row::{Key, Row};
use eda::states;
use eda::step::{State as _, Step};
use eda::write::{Condition, ConditionalWrite, STATUS, Write};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::events::OrderPlaced;

states! {
    /// Where an order stands.
    pub enum OrderStatus {
        /// Its saga runs.
        Open = "open",
        /// Fulfilled.
        Confirmed = "confirmed",
        /// Not fulfilled; everything undone.
        Cancelled = "cancelled",
    }
}

/// All steps are done.
pub const CONFIRM: Step<OrderStatus> = Step::new(&[Some(OrderStatus::Open)], OrderStatus::Confirmed);
/// Everything is undone.
pub const CANCEL: Step<OrderStatus> = Step::new(&[Some(OrderStatus::Open)], OrderStatus::Cancelled);

/// Index of the open orders by deadline. It may lag; only the row counts.
pub const DEADLINE_INDEX: &str = "deadlines";

/// Open orders are spread over so many partitions of the index: each takes 1,000 writes a second.
pub const OPEN_SHARDS: u8 = 8;

/// The head of an order in the event store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderHead {
    /// The order.
    pub aggregate_id: String,
    /// Version of the newest event.
    #[serde(default)]
    pub current_version: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// Who placed it.
    pub customer_id: String,
    /// Hash of the command that placed it, with the hash's own version: an equal command is answered the same for ever.
    pub command_hash: String,
    /// The business transaction that its events belong to.
    pub correlation_id: Uuid,
    /// Partition in the index of open orders; absent once the order has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_shard: Option<String>,
    /// Epoch seconds when its saga is closed or pushed on; absent once the order has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
}

impl Row for OrderHead {
    const NAME: &'static str = "order head";
    const PARTITION_KEY: &'static str = "aggregateId";
}

impl Head for OrderHead {
    fn current_version(&self) -> u64 {
        self.current_version
    }
}

impl OrderHead {
    /// The head of a new order, which its event store versions: open until `deadline` (epoch seconds).
    #[must_use]
    pub fn open(placed: &OrderPlaced, command_hash: String, correlation_id: Uuid, deadline: i64) -> Self {
        Self {
            aggregate_id: placed.order_id.clone(),
            current_version: HEAD,
            status: OrderStatus::Open,
            customer_id: placed.customer_id.clone(),
            command_hash,
            correlation_id,
            open_shard: Some(open_shard(&placed.order_id)),
            deadline: Some(deadline),
        }
    }

    /// The key of an order's head.
    #[must_use]
    pub fn key(order_id: &str) -> Key<Self> {
        head_key(order_id)
    }

    /// The order ends: it leaves the index of open orders.
    #[must_use]
    pub fn end(write: Write<Self>, step: Step<OrderStatus>) -> ConditionalWrite<Self> {
        write.remove("openShard").remove("deadline").step(step)
    }

    /// The order stays open and comes up again at `next`, if nobody has moved its deadline meanwhile.
    #[must_use]
    pub fn postpone(write: Write<Self>, seen: i64, next: i64) -> ConditionalWrite<Self> {
        let unmoved = Condition::equals("deadline", seen);
        write.set("deadline", next).only_if(Condition::equals(STATUS, OrderStatus::Open.name()).and(unmoved))
    }
}

/// The index partition of an open order.
#[must_use]
pub fn open_shard(order_id: &str) -> String {
    let sum = order_id.bytes().fold(0_u8, u8::wrapping_add);
    shard_name(sum % OPEN_SHARDS)
}

/// All index partitions.
pub fn open_shards() -> impl Iterator<Item = String> {
    (0..OPEN_SHARDS).map(shard_name)
}

fn shard_name(shard: u8) -> String {
    format!("open#{shard}")
}
