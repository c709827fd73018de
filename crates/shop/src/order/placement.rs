use eda::Failure;
use eda::ambient::Ambient;
use eda::event::{Cause, Emission};
use eda::event_store::start;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::transition::{Outcome, Transition};
use envconfig::Envconfig;
use uuid::Uuid;

use super::decider::{Command, OrderEvent, OrderState, decide};
use super::{OrderHead, PlaceOrder};
use crate::saga::{deadline, style};

/// The tables and limits of whoever places orders.
#[derive(Clone, Debug, Envconfig)]
pub struct PlacementConfig {
    /// The orders' heads, which are the guards, and events.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// How long an order may stay open before it is closed or pushed on.
    #[envconfig(from = "ORDER_DEADLINE_SECONDS")]
    pub deadline_seconds: u32,
}

/// What is to be committed to place an order, wherever the order comes from.
#[derive(Debug)]
pub struct Placement {
    /// The order.
    pub order_id: String,
    /// The business transaction that it begins.
    pub correlation_id: Uuid,
    /// Hash of the command.
    pub hash: String,
    /// Head, event and announcement, guarded by the head: its condition decides between concurrent commands.
    pub transition: Transition<OrderHead>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is placed, now.
    Now,
    /// This very order was placed before, and began this business transaction.
    Before(Uuid),
    /// Another order was placed under this id before; it stands.
    Another,
}

impl Placement {
    /// Decides on an order. `trace` is the X-Ray header to carry on.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where a row cannot be represented.
    pub fn of(
        order_id: String,
        order: PlaceOrder,
        trace: Option<String>,
        config: &PlacementConfig,
        ambient: &Ambient,
    ) -> Result<Self, Failure> {
        let hash = order.hash()?;
        let now = ambient.now();
        // That there is no such order is a guess; the head's condition corrects it.
        let command = Command::Place { order_id: order_id.clone(), order, now };
        let Ok(OrderEvent::Placed(placed)) = decide(OrderState::Absent, command) else {
            return Err(Failure::permanent("a new order can always be placed"));
        };
        let cause = Cause::root(style(placed.total_amount), trace);
        let event = Emission::new(&cause, &placed, ambient)?;
        let correlation_id = event.event_id;
        let deadline = deadline(correlation_id, config.deadline_seconds, now);
        let head = OrderHead::open(&placed, hash.clone(), correlation_id, deadline);
        let transition = start(&config.event_store, &order_id, &head, &[event])?;
        Ok(Self { order_id, correlation_id, hash, transition })
    }
}

impl Placed {
    /// What the outcome of a placement with this hash means.
    #[must_use]
    pub fn of(outcome: Outcome<OrderHead>, hash: &str) -> Self {
        match outcome {
            Outcome::Applied => Self::Now,
            Outcome::Duplicate(Some(head)) if head.command_hash == hash => Self::Before(head.correlation_id),
            Outcome::Duplicate(_) => Self::Another,
        }
    }
}
