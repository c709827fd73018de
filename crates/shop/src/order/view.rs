use eda::Failure;
use eda::event::wire::DateTime;
use eda::event_store::StoredEvent;
use eda::row::{Key, Row, Table};
use eda::write::{Condition, ConditionalWrite};
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

impl OrderView {
    /// The view after more events; `None` while there is no event.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where an event is unreadable, or no order begins with it.
    pub fn fold(view: Option<Self>, events: &[StoredEvent]) -> Result<Option<Self>, Failure> {
        events.iter().try_fold(view, |view, stored| {
            let (event, at) = OrderEvent::decode(stored)?;
            Self::apply(view, event, at, stored.version).map(Some)
        })
    }

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

/// The view as stored: the document is the answer of `GET /orders/{id}` as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderViewRow {
    /// The order.
    pub order_id: String,
    /// Version of the last event in it.
    pub checkpoint: u64,
    /// An [`OrderView`] as JSON.
    pub document: String,
}

impl Row for OrderViewRow {
    const NAME: &'static str = "order view";
    const PARTITION_KEY: &'static str = "orderId";
}

impl OrderViewRow {
    /// The key of an order's view.
    #[must_use]
    pub fn key(order_id: &str) -> Key<Self> {
        Key::of(order_id)
    }

    /// The row of a view.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the view cannot be written as JSON.
    pub fn of(view: &OrderView) -> Result<Self, Failure> {
        let document = serde_json::to_string(view);
        let document =
            document.map_err(|error| Failure::permanent("the view has no JSON form").because(error))?;
        Ok(Self { order_id: view.order_id.clone(), checkpoint: view.version, document })
    }

    /// Takes the place of the row that stood at `checkpoint`, or of none, if nobody has moved it meanwhile.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn replacing(
        &self,
        table: &Table<Self>,
        checkpoint: Option<u64>,
    ) -> Result<ConditionalWrite<Self>, Failure> {
        let write = table.put(self)?;
        Ok(match checkpoint {
            Some(checkpoint) => write.only_if(Condition::equals("checkpoint", checkpoint)),
            None => write.if_absent(),
        })
    }

    /// The view.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the document is unreadable.
    pub fn view(&self) -> Result<OrderView, Failure> {
        serde_json::from_str(&self.document)
            .map_err(|error| Failure::permanent("a view is unreadable").because(error))
    }
}
