//! The task `close`: ends one order's way forward, at the pivot.

use eda::Failure;
use eda::event::{Cause, Event};
use eda::saga::read;
use eda::transition::{Outcome, Transition};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use shop::KEEP_DAYS;
use shop::events::{OrderExpired, OrderPlaced};
use shop::saga::{Refused, reason};
use shop::shipment::{Shipment, ShipmentState};

use crate::{ExpireOrders, complete};

/// What it is asked for.
#[derive(Debug)]
pub enum Asked {
    /// By a schedule, or by hand: look for orders past their deadline.
    Expire,
    /// By a state machine: close this order.
    Close(Close),
}

/// The order to close, and why.
#[derive(Debug, Deserialize)]
pub struct Close {
    /// Its `OrderPlaced`, as the bus's document.
    close: Box<RawValue>,
    /// What went wrong.
    because: Caught,
}

/// An error as a state machine catches it.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Caught {
    error: String,
    cause: String,
}

/// The cause of an error that a function returned.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Returned {
    error_message: String,
}

/// By its field `close`: whatever else arrives means that it is time. A malformed request to close is refused, never taken
/// for a tick.
impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Shape {
            close: Option<Box<RawValue>>,
            because: Option<Caught>,
        }
        let asked = Option::<Shape>::deserialize(deserializer)?;
        Ok(match asked {
            Some(Shape { close: Some(close), because }) => {
                Self::Close(Close { close, because: because.unwrap_or_default() })
            }
            _ => Self::Expire,
        })
    }
}

impl Caught {
    /// The code that travels along the compensation: what a refusal said, else that a step failed.
    fn reason(&self) -> String {
        let refused = Refused::ALL.iter().any(|refused| refused.name() == self.error);
        let said = serde_json::from_str::<Returned>(&self.cause).ok().filter(|_| refused);
        said.map(|said| said.error_message)
            .filter(|reason| !reason.is_empty())
            .unwrap_or_else(|| reason::STEP_FAILED.to_owned())
    }
}

impl ExpireOrders {
    /// Closes an order at the pivot, unless it has shipped, and returns the event to go on with. Asked again for the same
    /// order it returns the same.
    pub(crate) async fn close(&self, Close { close, because }: Close) -> Result<Box<RawValue>, Failure> {
        let placed: Event<OrderPlaced> = read(&close, None)?;
        let (order_id, cause) = (&placed.data.order_id, placed.cause());
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let (shipments, reason) = (&self.config.shipments, because.reason());
        let guard = Shipment::close_for(shipments, order_id, &reason, &cause.id(), expires_at)?;
        let expired = self.spine.event(&cause, &expired(&placed.data, reason))?;
        tracing::info!(orderId = order_id, error = because.error, "an order's way forward ends");
        let pivot = match self.spine.commit(Transition::guarded_by(guard).emit(expired.clone())).await? {
            Outcome::Applied => return expired.document(),
            Outcome::Duplicate(pivot) => {
                pivot.ok_or_else(|| Failure::transient("the shipment refused without being there"))?
            }
        };
        match pivot.status {
            ShipmentState::Closed => self.closed_before(&placed.data, pivot, &cause).await,
            ShipmentState::Shipped => {
                self.spine.event(&cause, &complete(order_id, &placed.data.customer_id))?.document()
            }
        }
    }

    /// Whoever closed it announced that to others: announces it for this cause too, because what compensates follows from
    /// it.
    async fn closed_before(
        &self,
        placed: &OrderPlaced,
        pivot: Shipment,
        cause: &Cause,
    ) -> Result<Box<RawValue>, Failure> {
        let reason = pivot.reason.unwrap_or_else(|| reason::EXPIRED.to_owned());
        let expired = self.spine.event(cause, &expired(placed, reason))?;
        if !pivot.answered.contains(&cause.id()) {
            let guard = Shipment::announce(&self.config.shipments, &placed.order_id, &cause.id());
            match self.spine.commit(Transition::guarded_by(guard).emit(expired.clone())).await? {
                Outcome::Applied | Outcome::Duplicate(_) => {}
            }
        }
        expired.document()
    }
}

fn expired(placed: &OrderPlaced, reason: String) -> OrderExpired {
    OrderExpired { order_id: placed.order_id.clone(), customer_id: placed.customer_id.clone(), reason }
}
