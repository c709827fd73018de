//! Intents and refunds as the API answers them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::Decline;

/// A payment intent. <https://docs.stripe.com/api/payment_intents/object>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Intent {
    /// `pi_…`
    pub id: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// To be charged, in the currency's smallest unit.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Charged so far, in the currency's smallest unit.
    #[serde(rename = "amount_received", default)]
    pub received_minor: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// `ch_…` of the last attempt, a failed one too.
    #[serde(default)]
    pub latest_charge: Option<String>,
    /// Why the last attempt failed, while no other has been made.
    #[serde(default)]
    pub last_payment_error: Option<Decline>,
    /// As given at creation.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The state of an intent. <https://docs.stripe.com/payments/paymentintents/lifecycle>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum IntentStatus {
    /// No payment method, or the last one was declined.
    RequiresPaymentMethod,
    /// Created, not confirmed.
    RequiresConfirmation,
    /// The customer has to authenticate.
    RequiresAction,
    /// Authorised, not captured.
    RequiresCapture,
    /// Under way: ends in succeeded or requires_payment_method without a further call.
    Processing,
    /// Charged. Final, but for refunds.
    Succeeded,
    /// Canceled: can never charge. Final.
    Canceled,
    /// A state newer than this client.
    Other(String),
}

impl From<String> for IntentStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "requires_payment_method" => Self::RequiresPaymentMethod,
            "requires_confirmation" => Self::RequiresConfirmation,
            "requires_action" => Self::RequiresAction,
            "requires_capture" => Self::RequiresCapture,
            "processing" => Self::Processing,
            "succeeded" => Self::Succeeded,
            "canceled" => Self::Canceled,
            _ => Self::Other(text),
        }
    }
}

/// Money given back. <https://docs.stripe.com/api/refunds/object>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// In the currency's smallest unit.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// The intent whose charge it gives back.
    #[serde(rename = "payment_intent")]
    pub intent: Option<String>,
}

/// The state of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum RefundStatus {
    /// Accepted, on its way.
    Pending,
    /// The customer has to act.
    RequiresAction,
    /// Given back.
    Succeeded,
    /// Could not be given back: the money is with us again.
    Failed,
    /// Called off.
    Canceled,
    /// A state newer than this client.
    Other(String),
}

impl From<String> for RefundStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "pending" => Self::Pending,
            "requires_action" => Self::RequiresAction,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => Self::Other(text),
        }
    }
}
