//! Compensation: undoes a payment, or leaves a tombstone.
//!
//! `ShipmentFailed` | `OrderExpired` → `PaymentRefunded`
//!
//! From `undoing` on no payment can be recorded any more, so what the gateway says about the intent then is the whole
//! truth. `PaymentRefunded` is announced once per cause, because each cause waits for it; the amount goes with the one
//! that undid the payment, and every other one says 0: the amounts of an order add up to what went back. The row is
//! marked whether or not the gateway can be called; while it is out of order the message waits.

use eda::aws::Aws;
use eda::breaker::{Breaker, BreakerConfig};
use eda::event::{Cause, Message as _};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::stripe::{Gateway, GatewayConfig, Intent, IntentStatus, RefundStatus, StripeError, Visit};
use eda::transition::{Outcome, Transition, Written};
use eda::{Failure, telemetry};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{CircuitStateChanged, OrderExpired, PaymentRefunded, ShipmentFailed};
use shop::money::Money;
use shop::payment::{GATEWAY, Payment, PaymentState, UNDO, Undo};

/// The tables of this step, and the gateway.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: the guard.
    #[envconfig(from = "PAYMENTS_TABLE")]
    pub payments: Table<Payment>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// Who charged, and gives back.
    #[envconfig(nested)]
    pub gateway: GatewayConfig,
    /// When nobody asks it.
    #[envconfig(nested)]
    pub breaker: BreakerConfig,
}

eda::one_of! {
    /// Why nothing will be shipped: the shipment is closed, so what was paid goes back.
    pub enum Closed { ShipmentFailed, OrderExpired }
}

/// Undoes a payment.
pub struct RefundPayment {
    spine: Spine,
    gateway: Gateway,
    payments: Table<Payment>,
}

/// The order whose payment is undone, and why.
struct Undoing {
    order_id: String,
    customer_id: String,
    reason: String,
    cause: Cause,
    /// The event that asks, as the row remembers it.
    asked_by: String,
}

impl Function for RefundPayment {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox, aws.ambient());
        let breaker =
            Breaker::open::<CircuitStateChanged>(aws, &spine, &config.breaker, GATEWAY, Self::NAME).await;
        let gateway = Gateway::open(aws, config.gateway, breaker).await?;
        Ok(Self { spine, gateway, payments: config.payments })
    }
}

impl SagaStep for RefundPayment {
    type Message = Closed;

    async fn step(&self, closed: Closed) -> Result<Stepped, Failure> {
        let undoing = Undoing::because(closed);
        match self.spine.write(Payment::step(&self.payments, &undoing.order_id, UNDO)).await? {
            Written::Applied(Some(payment)) => {
                let visit = self.gateway.visit().await?;
                let returned = self.undo(&visit, &payment).await;
                visit.end().await;
                self.finish(&undoing, payment, returned?).await
            }
            Written::Applied(None) => Err(Failure::transient("the payment to undo was not shown")),
            Written::Refused(standing) => self.answer(&undoing, standing).await,
        }
    }
}

impl RefundPayment {
    /// Undoes it at the gateway. Returns what went back, in minor units.
    ///
    /// `payment` is the row as it was before: only a recorded charge is known to be one. Anything else is cancelled,
    /// and what cannot be cancelled because it has succeeded is refunded.
    async fn undo(&self, gateway: &Visit<'_>, payment: &Payment) -> Result<i64, Failure> {
        if payment.status != PaymentState::Charged && self.canceled(gateway, payment).await? {
            return Ok(0);
        }
        let (intent, key) = (payment.intent()?, format!("{}:refund", payment.order_id));
        let refunded = match gateway.refund(intent, &key).await {
            // A saved failure would come again for a day, and nobody knows whether the money went back. Asking under
            // another key is safe: all of a charge is given back, and the gateway gives back no more than that.
            Err(StripeError::Unavailable { replayed: true, .. }) => {
                let another = format!("{key}:{}", self.spine.ambient().new_id());
                gateway.refund(intent, &another).await
            }
            refunded => refunded,
        };
        match refunded {
            Ok(refund) if matches!(refund.status, RefundStatus::Failed | RefundStatus::Canceled) => {
                Err(Failure::permanent(format!("the gateway could not give it back: {:?}", refund.status)))
            }
            Ok(refund) => Ok(refund.amount_minor),
            Err(StripeError::AlreadyRefunded) => Ok(payment.amount_minor.unwrap_or_default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the intent is cancelled, and can never charge; `false` if it has charged.
    async fn canceled(&self, gateway: &Visit<'_>, payment: &Payment) -> Result<bool, Failure> {
        let intent = payment.intent()?;
        // A new key each time. Cancelling twice does no harm, but an answer saved under a key would: one that was
        // refused while the charge was under way would be refused for a day.
        let key = format!("{}:cancel:{}", payment.order_id, self.spine.ambient().new_id());
        let status = match gateway.cancel(intent, &key).await {
            Ok(Intent { status, .. }) => status,
            Err(StripeError::UnexpectedState { intent: Some(intent), .. }) => intent.status,
            Err(StripeError::UnexpectedState { .. }) => gateway.retrieve(intent).await?.status,
            Err(error) => return Err(error.into()),
        };
        match status {
            IntentStatus::Canceled => Ok(true),
            IntentStatus::Succeeded => Ok(false),
            status => Err(Failure::transient(format!("the payment is still {status:?}"))),
        }
    }

    /// Records that it is undone, and announces what went back.
    async fn finish(&self, undoing: &Undoing, payment: Payment, returned: i64) -> Result<Stepped, Failure> {
        let guard = Payment::finish_undo(&self.payments, &undoing.order_id, &undoing.asked_by);
        let refunded = undoing.refunded(payment.money(returned)?, payment.currency);
        let refunded = self.spine.event(&undoing.cause, &refunded)?;
        match self.spine.try_commit(Transition::guarded_by(guard).emit(refunded.clone())).await? {
            Outcome::Applied => Ok(Stepped::Done(refunded)),
            Outcome::Duplicate(standing) => self.answer(undoing, standing).await,
        }
    }

    /// Answers where there is nothing to undo: buries what never was or was declined, so that a late payment finds that
    /// it must not be made, and repeats for this cause what was announced to another.
    async fn answer(&self, undoing: &Undoing, mut standing: Option<Payment>) -> Result<Stepped, Failure> {
        let (order_id, asked_by) = (&undoing.order_id, &undoing.asked_by);
        loop {
            let step = Undo::of(standing.as_ref().map(|payment| payment.status));
            let guard = match step {
                Undo::Tombstone => {
                    let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
                    Payment::bury(&self.payments, order_id, asked_by, expires_at)
                }
                Undo::Announce => Payment::announce(&self.payments, order_id, asked_by),
                Undo::Gateway => return Err(Failure::transient("the payment was begun meanwhile")),
            };
            let nothing = undoing.refunded(Money::default(), standing.and_then(|payment| payment.currency));
            let nothing = self.spine.event(&undoing.cause, &nothing)?;
            match self.spine.try_commit(Transition::guarded_by(guard).emit(nothing.clone())).await? {
                Outcome::Applied => return Ok(Stepped::Done(nothing)),
                // Undone is final: this cause has had its answer.
                Outcome::Duplicate(_) if step == Undo::Announce => {
                    telemetry::duplicate();
                    return Ok(Stepped::Done(nothing));
                }
                Outcome::Duplicate(moved) => standing = moved,
            }
        }
    }
}

impl Undoing {
    fn because(closed: Closed) -> Self {
        let (cause, asked_by) = (closed.cause(), closed.metadata().event_id.to_string());
        let (order_id, customer_id, reason) = match closed {
            Closed::ShipmentFailed(event) => (event.data.order_id, event.data.customer_id, event.data.reason),
            Closed::OrderExpired(event) => (event.data.order_id, event.data.customer_id, event.data.reason),
        };
        Self { order_id, customer_id, reason, cause, asked_by }
    }

    fn refunded(&self, amount: Money, currency: Option<String>) -> PaymentRefunded {
        PaymentRefunded {
            order_id: self.order_id.clone(),
            customer_id: self.customer_id.clone(),
            amount,
            currency,
            reason: self.reason.clone(),
        }
    }
}
