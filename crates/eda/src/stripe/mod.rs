//! A client for Stripe's PaymentIntents and Refunds, over the HTTP connector of the AWS SDK.
//!
//! Five calls, as *intent → call → record* needs them: [`create`](Stripe::create_intent) the intent
//! without charging, keep its id, [`confirm`](Stripe::confirm) it (this charges), and, when in doubt,
//! [`retrieve`](Stripe::retrieve) it; to undo, [`cancel`](Stripe::cancel) or [`refund`](Stripe::refund).
//!
//! ```no_run
//! # use std::collections::BTreeMap;
//! # use std::time::Duration;
//! # use eda::aws::Aws;
//! # use eda::stripe::{ApiKey, IntentStatus, NewIntent, Stripe};
//! # async fn charge(aws: Aws) -> Result<(), Box<dyn std::error::Error>> {
//! let key = ApiKey::new("sk_test_from_the_secret_store");
//! let stripe = Stripe::new(aws.partner_http()?, "https://api.stripe.com", key, Duration::from_secs(8));
//! let new = NewIntent {
//!     amount_minor: 9_900,
//!     currency: "usd".to_owned(),
//!     payment_method: "pm_card_visa".to_owned(),
//!     metadata: BTreeMap::from([("reference".to_owned(), "42".to_owned())]),
//! };
//! let intent = stripe.create_intent(&new, "42:create").await?;
//! let intent = stripe.confirm(&intent.id, None, "42:confirm").await?;
//! assert_eq!(intent.status, IntentStatus::Succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! # Idempotency keys
//!
//! Stripe saves the first answer to a key, a 500 included, and repeats it for at least 24 hours
//! (<https://docs.stripe.com/api/idempotent_requests>). So a key is derived from the business identity,
//! never from a delivery; and a failure that is
//! [`replayed`](StripeError::Unavailable::replayed) stays one until the key is forgotten: only
//! [`Stripe::retrieve`] tells what is true.
//!
//! The client never retries: a redelivery does, after the row has been read again.

mod error;
mod gateway;
mod intent;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use error::{Decline, StripeError};
pub use gateway::{Gateway, GatewayConfig, Visit};
pub use intent::{Intent, IntentStatus, Refund, RefundStatus};

use wire::{Call, Wire};

/// The version of the API whose shapes this client reads; without it, the account's default would decide.
/// <https://docs.stripe.com/api/versioning>
pub const API_VERSION: &str = "2024-06-20";

/// A secret API key. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as the secret store gave it; white space around it (a final line feed) is dropped.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// What [`Stripe::create_intent`] needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIntent {
    /// In the currency's smallest unit: cents for USD, yen for JPY.
    pub amount_minor: i64,
    /// ISO 4217, in either case.
    pub currency: String,
    /// The id of a payment method, or a test method such as `pm_card_visa`.
    pub payment_method: String,
    /// Kept with the intent: at most 50 keys of 40 characters, values of 500.
    pub metadata: BTreeMap<String, String>,
}

impl NewIntent {
    fn form(&self) -> String {
        let (amount, currency) = (self.amount_minor.to_string(), self.currency.to_lowercase());
        let fixed = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", &self.payment_method),
            ("automatic_payment_methods[enabled]", "true"),
            ("automatic_payment_methods[allow_redirects]", "never"),
        ];
        let metadata: Vec<_> =
            self.metadata.iter().map(|(name, value)| (format!("metadata[{name}]"), value.as_str())).collect();
        form(fixed.into_iter().chain(metadata.iter().map(|(name, value)| (name.as_str(), *value))))
    }
}

/// The client. Cheap to clone; one per process.
#[derive(Clone, Debug)]
pub struct Stripe {
    wire: Wire,
}

impl Stripe {
    /// A client of the API at `base_url` (`https://api.stripe.com`), that gives each call `timeout` in all.
    ///
    /// `http` is any client the AWS SDK accepts. In production it is
    /// [`Aws::partner_http`](crate::aws::Aws::partner_http), which trusts every authority the platform
    /// does; in tests a recorded one.
    pub fn new(http: SharedHttpClient, base_url: &str, api_key: ApiKey, timeout: Duration) -> Self {
        Self { wire: Wire::new(http, base_url, api_key, timeout) }
    }

    /// Creates an intent without confirming it: no money moves.
    ///
    /// Redirecting payment methods are off, because a back end has no browser to redirect.
    pub async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<Intent, StripeError> {
        let form = new.form();
        self.wire.intent(Call::post("/v1/payment_intents".to_owned(), form, key)?).await
    }

    /// Confirms an intent: this charges. `payment_method` replaces the one it was created with.
    ///
    /// A charge that was made is `Ok` with [`IntentStatus::Succeeded`]; `Ok` may also say
    /// [`IntentStatus::Processing`]. A card whose owner would have to authenticate is declined, because a back end has
    /// nobody to ask. <https://docs.stripe.com/api/payment_intents/confirm>
    pub async fn confirm(
        &self,
        id: &str,
        payment_method: Option<&str>,
        key: &str,
    ) -> Result<Intent, StripeError> {
        let method = payment_method.map(|method| ("payment_method", method));
        let form = form(method.into_iter().chain([("error_on_requires_action", "true")]));
        let path = format!("{}/confirm", path_of(id)?);
        self.wire.intent(Call::post(path, form, key)?).await
    }

    /// Cancels an intent that has not succeeded: from then on it can never charge.
    ///
    /// One that has succeeded, is already canceled, or is processing answers
    /// [`StripeError::UnexpectedState`] with the intent as it is.
    pub async fn cancel(&self, id: &str, key: &str) -> Result<Intent, StripeError> {
        let path = format!("{}/cancel", path_of(id)?);
        self.wire.intent(Call::post(path, String::new(), key)?).await
    }

    /// Reads an intent: the truth, whatever was answered before.
    pub async fn retrieve(&self, id: &str) -> Result<Intent, StripeError> {
        self.wire.intent(Call::get(path_of(id)?)).await
    }

    /// Gives back all of what an intent charged. [`StripeError::AlreadyRefunded`] means that it is done.
    pub async fn refund(&self, intent: &str, key: &str) -> Result<Refund, StripeError> {
        path_of(intent)?;
        let form = form([("payment_intent", intent)]);
        self.wire.refund(Call::post("/v1/refunds".to_owned(), form, key)?).await
    }
}

/// A form. A function of its own, because a serializer held across an await would bind the call to a thread.
fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The path of an intent. Only what can be an id gets into a path.
fn path_of(id: &str) -> Result<String, StripeError> {
    let plausible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plausible {
        Ok(format!("/v1/payment_intents/{id}"))
    } else {
        Err(StripeError::invalid("payment_intent", "not the id of a payment intent"))
    }
}
