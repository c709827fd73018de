use eda::Failure;
use eda::event::wire::DateTime;
use eda::event_store::{Fold, StoredEvent};
use eda::row::{IntoValue, Item, Row};
use eda::snapshot::Snapshotted;
use eda::view::{View, place};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{OrderEvent, OrderStatus};
use crate::events::Line;
use crate::money::Money;

/// An order as its customer sees it: the fold of its events. It holds neither address nor payment method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Who placed it.
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Line>,
    /// What it costs in all.
    pub total_amount: Money,
    /// ISO 4217 code.
    pub currency: String,
    /// When it was placed.
    #[serde(with = "DateTime")]
    pub placed_at: Timestamp,
    /// When it last changed.
    #[serde(with = "DateTime")]
    pub updated_at: Timestamp,
    /// Why it was cancelled, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many events it is made of.
    pub version: u64,
}

impl Fold for OrderView {
    fn version(&self) -> u64 {
        self.version
    }

    fn fold(view: Option<Self>, events: &[StoredEvent]) -> Result<Option<Self>, Failure> {
        events.iter().try_fold(view, |view, stored| {
            let (event, at) = OrderEvent::decode(stored)?;
            Self::apply(view, event, at, stored.version).map(Some)
        })
    }
}

impl Snapshotted for OrderView {
    const SCHEMA: u32 = 1;
}

impl OrderView {
    fn apply(view: Option<Self>, event: OrderEvent, at: Timestamp, version: u64) -> Result<Self, Failure> {
        let ended = |view: Option<Self>, status, reason| match view {
            Some(view) => Ok(Self { status, reason, updated_at: at, version, ..view }),
            None => Err(Failure::permanent("an order ends that was never placed")),
        };
        match event {
            OrderEvent::Placed(placed) => Ok(Self {
                order_id: placed.order_id,
                status: OrderStatus::Open,
                customer_id: placed.customer_id,
                items: placed.items,
                total_amount: placed.total_amount,
                currency: placed.currency,
                placed_at: placed.timestamp,
                updated_at: at,
                reason: None,
                version,
            }),
            OrderEvent::Confirmed(_) => ended(view, OrderStatus::Confirmed, None),
            OrderEvent::Cancelled(cancelled) => ended(view, OrderStatus::Cancelled, Some(cancelled.reason)),
        }
    }
}

/// The view as stored: the document is the answer of `GET /orders/{id}` as it is sent, and the index of customers' orders
/// holds the same row. So one checkpoint guards both, and they never contradict each other for longer than the index lags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderViewRow {
    /// The order, and the place of the generation.
    pub view_id: String,
    /// The order.
    pub order_id: String,
    /// Which build of the view it belongs to.
    pub generation: u64,
    /// Version of the last event in it.
    pub checkpoint: u64,
    /// Who placed it, and the generation: the partition of the index.
    pub customer: String,
    /// Microseconds since 1970 when it was placed: the order within the index's partition.
    pub placed_at: i64,
    /// An [`OrderView`] as JSON.
    pub document: String,
}

/// Name of the views of orders, among those that are built in generations.
pub const ORDERS: &str = "orders";

/// Index of the orders of each customer, by when they were placed.
pub const CUSTOMER_INDEX: &str = "customers";

impl Row for OrderViewRow {
    const NAME: &'static str = "order view";
    const PARTITION_KEY: &'static str = "viewId";
}

impl View for OrderViewRow {
    type State = OrderView;

    fn id(order_id: &str, generation: u64) -> String {
        format!("{order_id}#{}", place(generation))
    }

    fn of(view: &OrderView, generation: u64) -> Result<Self, Failure> {
        let document = serde_json::to_string(view);
        let document =
            document.map_err(|error| Failure::permanent("the view has no JSON form").because(error))?;
        Ok(Self {
            view_id: Self::id(&view.order_id, generation),
            order_id: view.order_id.clone(),
            generation,
            checkpoint: view.version,
            customer: customer_key(&view.customer_id, generation),
            placed_at: view.placed_at.as_microsecond(),
            document,
        })
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    fn state(&self) -> Option<OrderView> {
        self.view().ok()
    }
}

impl OrderViewRow {
    /// The view.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the document is unreadable.
    pub fn view(&self) -> Result<OrderView, Failure> {
        serde_json::from_str(&self.document)
            .map_err(|error| Failure::permanent("a view is unreadable").because(error))
    }
}

/// Partition of a customer's orders in the index.
#[must_use]
pub fn customer_key(customer_id: &str, generation: u64) -> String {
    format!("{generation}#{customer_id}")
}

/// A place in a list of orders, newest first. It says nothing of a generation, so a list goes on where another has taken
/// over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPosition {
    /// Microseconds since 1970 when the order was placed.
    placed_at: i64,
    /// The order.
    order_id: String,
}

impl OrderPosition {
    /// The place of this row.
    #[must_use]
    pub fn of(row: &OrderViewRow) -> Self {
        Self { placed_at: row.placed_at, order_id: row.order_id.clone() }
    }

    /// The key in the index that a query goes on behind.
    #[must_use]
    pub fn index_key(&self, customer_id: &str, generation: u64) -> Item {
        Item::from([
            (
                OrderViewRow::PARTITION_KEY.to_owned(),
                OrderViewRow::id(&self.order_id, generation).into_value(),
            ),
            ("customer".to_owned(), customer_key(customer_id, generation).into_value()),
            ("placedAt".to_owned(), self.placed_at.into_value()),
        ])
    }
}
