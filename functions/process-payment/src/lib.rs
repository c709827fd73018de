//! Saga step: charges an order by intent, call and record.
//!
//! `InventoryReserved` → `PaymentProcessed` | `PaymentFailed`
//!
//! The intent is created unconfirmed and its id is persisted before anything is charged, so whoever has to know what
//! became of the charge can ask the gateway. Whoever moves the row on from `pending` owns the charge: this step
//! never undoes itself.

use std::collections::BTreeMap;

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::{Emission, Event};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::step::Step;
use eda::stripe::{Gateway, GatewayConfig, Intent, IntentStatus, NewIntent, StripeError};
use eda::transition::{Outcome, Transition, Written};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{InventoryReserved, PaymentFailed, PaymentProcessed};
use shop::payment::{CHARGE, Charge, DECLINE, Payment, PaymentState, Resume};
use shop::saga::reason;

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
}

/// Charges an order.
pub struct ProcessPayment {
    spine: Spine,
    gateway: Gateway,
    payments: Table<Payment>,
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
        let gateway = Gateway::open(aws, config.gateway).await?;
        Ok(Self { spine, gateway, payments: config.payments })
    }
}

impl Consumer for ProcessPayment {
    type Message = Event<InventoryReserved>;

    async fn consume(&self, reserved: Event<InventoryReserved>) -> Result<(), Failure> {
        let Some(intent) = self.intend(&reserved).await? else {
            return Ok(());
        };
        match self.confirm(&reserved.data.order_id, &intent).await? {
            Verdict::Charged => self.record(&reserved, CHARGE, self.processed(&reserved, intent)?).await,
            Verdict::Declined(code) => self.record(&reserved, DECLINE, self.failed(&reserved, &code)?).await,
            Verdict::Canceled => Ok(()),
        }
    }
}

impl ProcessPayment {
    /// The intent to confirm, persisted as pending, or none where the payment is settled.
    ///
    /// Found pending, the stored intent is the one: a gateway that has forgotten the key has just made another. That
    /// one stays unconfirmed for ever, and so can never charge; the same goes for a late payment after a tombstone.
    async fn intend(&self, reserved: &Event<InventoryReserved>) -> Result<Option<String>, Failure> {
        let order_id = &reserved.data.order_id;
        let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
        let standing = match self.create(&reserved.data).await? {
            Ok((Charge { amount_minor, currency, .. }, Intent { id, .. })) => {
                let pending =
                    Payment::intend(&self.payments, order_id, &id, amount_minor, &currency, expires_at)?;
                match self.spine.write(pending).await? {
                    Written::Applied(_) => return Ok(Some(id)),
                    Written::Refused(standing) => standing,
                }
            }
            Err(reason) => {
                let refused = Payment::refuse(&self.payments, order_id, expires_at)?;
                let refused = Transition::guarded_by(refused).emit(self.failed(reserved, reason)?);
                match self.spine.commit(refused).await? {
                    Outcome::Applied => return Ok(None),
                    Outcome::Duplicate(standing) => standing,
                }
            }
        };
        let payment = standing.ok_or_else(|| Failure::transient("the payment was refused by no row"))?;
        match Resume::of(Some(payment.status)) {
            Resume::Confirm => Ok(Some(payment.intent()?.to_owned())),
            Resume::Acknowledge => Ok(None),
        }
    }

    /// Creates the intent: no money moves. `Err(reason)` where the order cannot be charged at all.
    async fn create(
        &self,
        order: &InventoryReserved,
    ) -> Result<Result<(Charge, Intent), &'static str>, Failure> {
        let charge = match Charge::of(order) {
            Ok(charge) => charge,
            Err(reason) => return Ok(Err(reason)),
        };
        let new = NewIntent {
            amount_minor: charge.amount_minor,
            currency: charge.currency.clone(),
            payment_method: charge.payment_method.clone(),
            metadata: BTreeMap::from([("orderId".to_owned(), order.order_id.clone())]),
        };
        let key = format!("{}:create", order.order_id);
        let created = match self.gateway.create_intent(&new, &key).await {
            // A saved failure would come again for a day, longer than the order lives. Another intent does no harm: only
            // the one that gets into the row is ever confirmed.
            Err(StripeError::Unavailable { replayed: true, .. }) => {
                let another = format!("{key}:{}", self.spine.ambient().new_id());
                self.gateway.create_intent(&new, &another).await
            }
            created => created,
        };
        match created {
            Ok(intent) => Ok(Ok((charge, intent))),
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
    async fn confirm(&self, order_id: &str, intent: &str) -> Result<Verdict, Failure> {
        let doubt = match self.gateway.confirm(intent, &format!("{order_id}:confirm")).await {
            Ok(Intent { status: IntentStatus::Succeeded, .. }) => return Ok(Verdict::Charged),
            Err(StripeError::Declined(decline)) => return Ok(Verdict::Declined(decline.code)),
            Ok(unsettled) => format!("the gateway answered {:?}", unsettled.status),
            Err(error @ (StripeError::Unavailable { .. } | StripeError::UnexpectedState { .. })) => {
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        };
        match self.gateway.retrieve(intent).await?.status {
            IntentStatus::Succeeded => Ok(Verdict::Charged),
            IntentStatus::Canceled => Ok(Verdict::Canceled),
            status => Err(Failure::transient(format!("the payment is {status:?}")).because(doubt)),
        }
    }

    /// Records the result, unless the row has moved on: then it is for whoever moved it to undo the charge.
    async fn record(
        &self,
        reserved: &Event<InventoryReserved>,
        step: Step<PaymentState>,
        result: Emission,
    ) -> Result<(), Failure> {
        let guard = Payment::step(&self.payments, &reserved.data.order_id, step);
        match self.spine.commit(Transition::guarded_by(guard).emit(result)).await? {
            Outcome::Applied => {}
            Outcome::Duplicate(row) => {
                tracing::info!(status = ?row.map(|row| row.status), "the payment was settled by someone else");
            }
        }
        Ok(())
    }

    fn processed(&self, reserved: &Event<InventoryReserved>, intent: String) -> Result<Emission, Failure> {
        let order = &reserved.data;
        let processed = PaymentProcessed {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            payment_id: intent,
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
