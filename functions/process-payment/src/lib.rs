//! Saga step: charges an order by intent, call and record.
//!
//! `InventoryReserved` → `PaymentProcessed` | `PaymentFailed`
//!
//! The intent is created unconfirmed and its id is persisted before anything is charged, so whoever has to know what
//! became of the charge can ask the gateway. Whoever moves the row on from `pending` owns the charge: this step
//! never undoes itself. While the gateway is out of order nothing is begun: the circuit breaker is asked before the
//! intent, and the message waits.

use std::collections::BTreeMap;

use eda::Failure;
use eda::aws::Aws;
use eda::breaker::{Breaker, BreakerConfig};
use eda::event::{Emission, Event};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::stripe::{Gateway, GatewayConfig, Intent, IntentStatus, NewIntent, StripeError, Visit};
use eda::transition::{Outcome, Transition, Written};
use eda::write::ConditionalWrite;
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{CircuitStateChanged, InventoryReserved, PaymentFailed, PaymentProcessed};
use shop::payment::{CHARGE, Charge, GATEWAY, Payment, PaymentState, Resume};
use shop::saga::{Refused, reason};

/// The tables of this step, and the gateway.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: the intent, then the guard.
    #[envconfig(from = "PAYMENTS_TABLE")]
    pub payments: Table<Payment>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// Who charges.
    #[envconfig(nested)]
    pub gateway: GatewayConfig,
    /// When nobody asks it.
    #[envconfig(nested)]
    pub breaker: BreakerConfig,
}

/// Charges an order.
pub struct ProcessPayment {
    spine: Spine,
    gateway: Gateway,
    payments: Table<Payment>,
}

/// What is to be done about a payment.
enum Intended {
    /// The intent of this id is to be confirmed.
    Pending(String),
    /// Nothing: this came of it before.
    Settled(Stepped),
}

/// What became of an intent, once it is final.
enum Verdict {
    Charged,
    Declined(String),
    /// Someone else cancelled it. The row says who, and it is theirs.
    Canceled,
}

impl Function for ProcessPayment {
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

impl SagaStep for ProcessPayment {
    type Message = Event<InventoryReserved>;

    async fn step(&self, reserved: Event<InventoryReserved>) -> Result<Stepped, Failure> {
        let charge = match Charge::of(&reserved.data) {
            Ok(charge) => charge,
            Err(reason) => {
                return match self.refuse(&reserved, reason).await? {
                    Outcome::Applied => Ok(Refused::Payment.because(reason)),
                    Outcome::Duplicate(row) => self.standing(&reserved, row),
                };
            }
        };
        let visit = self.gateway.visit().await?;
        let paid = self.pay(&visit, &reserved, charge).await;
        visit.end().await;
        paid
    }
}

impl ProcessPayment {
    /// Intent, call, record.
    async fn pay(
        &self,
        gateway: &Visit<'_>,
        reserved: &Event<InventoryReserved>,
        charge: Charge,
    ) -> Result<Stepped, Failure> {
        let intent = match self.intend(gateway, reserved, charge).await? {
            Intended::Pending(intent) => intent,
            Intended::Settled(stepped) => return Ok(stepped),
        };
        let order_id = &reserved.data.order_id;
        match self.confirm(gateway, order_id, &intent).await? {
            Verdict::Charged => {
                let processed = self.processed(reserved, &intent)?;
                let charged = Payment::step(&self.payments, order_id, CHARGE);
                self.record(reserved, charged, processed.clone(), Stepped::Done(processed)).await
            }
            Verdict::Declined(code) => {
                let failed = self.failed(reserved, &code)?;
                let declined = Payment::decline(&self.payments, order_id, &code);
                self.record(reserved, declined, failed, Refused::Payment.because(code)).await
            }
            Verdict::Canceled => Ok(Refused::Compensated.because(reason::COMPENSATED)),
        }
    }

    /// The intent to confirm, persisted as pending, or what came of the payment where it is settled.
    ///
    /// Found pending, the stored intent is the one: a gateway that has forgotten the key has just made another. That
    /// one stays unconfirmed for ever, and so can never charge; the same goes for a late payment after a tombstone.
    async fn intend(
        &self,
        gateway: &Visit<'_>,
        reserved: &Event<InventoryReserved>,
        charge: Charge,
    ) -> Result<Intended, Failure> {
        let order_id = &reserved.data.order_id;
        let standing = match self.create(gateway, order_id, &charge).await? {
            Ok(Intent { id, .. }) => {
                let Charge { amount_minor, currency, .. } = charge;
                let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
                let pending =
                    Payment::intend(&self.payments, order_id, &id, amount_minor, &currency, expires_at)?;
                match self.spine.write(pending).await? {
                    Written::Applied(_) => return Ok(Intended::Pending(id)),
                    Written::Refused(standing) => standing,
                }
            }
            Err(reason) => match self.refuse(reserved, reason).await? {
                Outcome::Applied => return Ok(Intended::Settled(Refused::Payment.because(reason))),
                Outcome::Duplicate(standing) => standing,
            },
        };
        match (Resume::of(standing.as_ref().map(|payment| payment.status)), standing) {
            (Resume::Confirm, Some(payment)) => Ok(Intended::Pending(payment.intent()?.to_owned())),
            (_, standing) => Ok(Intended::Settled(self.standing(reserved, standing)?)),
        }
    }

    /// What the row of a settled payment says of this step.
    fn standing(
        &self,
        reserved: &Event<InventoryReserved>,
        row: Option<Payment>,
    ) -> Result<Stepped, Failure> {
        let payment = row.ok_or_else(|| Failure::transient("the payment was refused by no row"))?;
        match payment.status {
            PaymentState::Charged => Ok(Stepped::Done(self.processed(reserved, payment.intent()?)?)),
            PaymentState::Declined => {
                Ok(Refused::Payment.because(payment.reason.unwrap_or_else(|| reason::DECLINED.to_owned())))
            }
            PaymentState::Undoing | PaymentState::Undone => {
                Ok(Refused::Compensated.because(reason::COMPENSATED))
            }
            PaymentState::Pending => Err(Failure::transient("the payment is not settled")),
        }
    }

    /// The order cannot be charged at all.
    async fn refuse(
        &self,
        reserved: &Event<InventoryReserved>,
        reason: &str,
    ) -> Result<Outcome<Payment>, Failure> {
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let refused = Payment::refuse(&self.payments, &reserved.data.order_id, reason, expires_at)?;
        self.spine.commit(Transition::guarded_by(refused).emit(self.failed(reserved, reason)?)).await
    }

    /// Creates the intent: no money moves. `Err(reason)` where the order cannot be charged at all.
    async fn create(
        &self,
        gateway: &Visit<'_>,
        order_id: &str,
        charge: &Charge,
    ) -> Result<Result<Intent, &'static str>, Failure> {
        let new = NewIntent {
            amount_minor: charge.amount_minor,
            currency: charge.currency.clone(),
            payment_method: charge.payment_method.clone(),
            metadata: BTreeMap::from([("orderId".to_owned(), order_id.to_owned())]),
        };
        let key = format!("{order_id}:create");
        let created = match gateway.create_intent(&new, &key).await {
            // A saved failure would come again for a day, longer than the order lives. Another intent does no harm: only
            // the one that gets into the row is ever confirmed.
            Err(StripeError::Unavailable { replayed: true, .. }) => {
                let another = format!("{key}:{}", self.spine.ambient().new_id());
                gateway.create_intent(&new, &another).await
            }
            created => created,
        };
        match created {
            Ok(intent) => Ok(Ok(intent)),
            // Too small, too large, a currency not accepted, a payment method unknown: what the customer gave.
            Err(StripeError::Invalid { param: Some(param), .. })
                if matches!(param.as_str(), "amount" | "currency" | "payment_method") =>
            {
                Ok(Err(reason::NOT_CHARGEABLE))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Charges, and finds out what came of it.
    ///
    /// The gateway saves its first answer to a key and repeats it for a day. Success and decline are final, so they
    /// are as good repeated; of any other answer, a saved `processing` and a saved 500 among them, only the
    /// intent itself tells the truth. Where a 500 was saved and nothing was done, every delivery gets the 500 again
    /// and finds the intent unconfirmed: the order's deadline ends it, and nothing was charged.
    async fn confirm(&self, gateway: &Visit<'_>, order_id: &str, intent: &str) -> Result<Verdict, Failure> {
        let doubt = match gateway.confirm(intent, &format!("{order_id}:confirm")).await {
            Ok(Intent { status: IntentStatus::Succeeded, .. }) => return Ok(Verdict::Charged),
            Err(StripeError::Declined(decline)) => return Ok(Verdict::Declined(decline.code)),
            Ok(unsettled) => format!("the gateway answered {:?}", unsettled.status),
            Err(error @ (StripeError::Unavailable { .. } | StripeError::UnexpectedState { .. })) => {
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        };
        match gateway.retrieve(intent).await?.status {
            IntentStatus::Succeeded => Ok(Verdict::Charged),
            IntentStatus::Canceled => Ok(Verdict::Canceled),
            status => Err(Failure::transient(format!("the payment is {status:?}")).because(doubt)),
        }
    }

    /// Records the result, unless the row has moved on: then it is for whoever moved it to undo the charge.
    async fn record(
        &self,
        reserved: &Event<InventoryReserved>,
        guard: ConditionalWrite<Payment>,
        result: Emission,
        stepped: Stepped,
    ) -> Result<Stepped, Failure> {
        match self.spine.commit(Transition::guarded_by(guard).emit(result)).await? {
            Outcome::Applied => Ok(stepped),
            Outcome::Duplicate(row) => {
                let status = row.as_ref().map(|payment| payment.status);
                tracing::info!(?status, "the payment was settled by someone else");
                self.standing(reserved, row)
            }
        }
    }

    fn processed(&self, reserved: &Event<InventoryReserved>, intent: &str) -> Result<Emission, Failure> {
        let order = &reserved.data;
        let processed = PaymentProcessed {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            payment_id: intent.to_owned(),
            amount: order.total_amount,
            currency: order.currency.clone(),
            shipping_address: order.shipping_address.clone(),
        };
        self.spine.event(&reserved.cause(), &processed)
    }

    fn failed(&self, reserved: &Event<InventoryReserved>, reason: &str) -> Result<Emission, Failure> {
        tracing::info!(reason, "the payment is declined");
        let order = &reserved.data;
        let failed = PaymentFailed {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            reason: reason.to_owned(),
        };
        self.spine.event(&reserved.cause(), &failed)
    }
}
