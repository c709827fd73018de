//! The client as a function is configured with it: its key lives in Secrets Manager and may be rotated.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use envconfig::Envconfig;
use tokio::sync::RwLock;

use super::{ApiKey, Intent, NewIntent, Refund, Stripe, StripeError};
use crate::Failure;
use crate::aws::Aws;
use crate::breaker::{Breaker, Evidence, Permit};
use crate::secret::Secret;
use crate::serve::StartError;

/// Where the gateway is and who we are there.
#[derive(Clone, Debug, Envconfig)]
pub struct GatewayConfig {
    /// Base URL, `https://api.stripe.com`.
    #[envconfig(from = "PAYMENT_GATEWAY_URL")]
    pub url: String,
    /// ARN of the secret whose string is the API key.
    #[envconfig(from = "PAYMENT_GATEWAY_SECRET_ARN")]
    pub secret_arn: String,
    /// How long one call may take, in milliseconds. Three of them, which is what a step in doubt needs, have to fit
    /// into the function's timeout: what the function cannot wait for is delivered again in any case.
    #[envconfig(from = "PAYMENT_GATEWAY_TIMEOUT_MS", default = "3000")]
    pub timeout_ms: u64,
}

/// [`Stripe`], with a key that is read at start and once more whenever it is refused (401), so that a rotated key
/// costs one call in vain and no deployment. It can be called only as far as its circuit breaker lets it:
/// by a [`Visit`]. One per process.
pub struct Gateway {
    breaker: Breaker,
    http: SharedHttpClient,
    config: GatewayConfig,
    secret: Secret,
    current: RwLock<Keyed>,
}

#[derive(Clone)]
struct Keyed {
    key: ApiKey,
    stripe: Stripe,
}

impl Gateway {
    /// Reads the key and builds the client.
    ///
    /// # Errors
    /// [`StartError`] where the secret cannot be read or TLS cannot be set up.
    pub async fn open(aws: &Aws, config: GatewayConfig, breaker: Breaker) -> Result<Self, StartError> {
        let http = aws.partner_http()?;
        let secret = Secret::of(aws, &config.secret_arn);
        let key = ApiKey::new(secret.read().await?);
        let current = RwLock::new(keyed(&http, &config, key));
        Ok(Self { breaker, http, config, secret, current })
    }

    /// Asks the circuit breaker, before anything is begun.
    ///
    /// # Errors
    /// [`Failure`] of [`Breaker::admit`]: while the circuit is open, with the time to wait.
    pub async fn visit(&self) -> Result<Visit<'_>, Failure> {
        let permit = Box::pin(self.breaker.admit()).await?;
        Ok(Visit { gateway: self, permit, evidence: Mutex::default() })
    }

    /// Calls, and calls again if the key was refused and there is another by now. A refused call has done nothing.
    async fn call<T, F>(&self, call: impl Fn(Stripe) -> F) -> Result<T, StripeError>
    where
        F: Future<Output = Result<T, StripeError>>,
    {
        let Keyed { key, stripe } = self.current.read().await.clone();
        let refused = match call(stripe).await {
            Err(refused @ StripeError::Unauthorized { status: 401 }) => refused,
            answered => return answered,
        };
        match self.renew(&key).await {
            Ok(Some(stripe)) => call(stripe).await,
            Ok(None) => Err(refused),
            Err(failure) => {
                tracing::warn!(failure = failure.chain(), "the refused API key could not be read again");
                Err(refused)
            }
        }
    }

    /// A client with another key than the refused one, if there is one. Whoever comes first reads it for all.
    async fn renew(&self, refused: &ApiKey) -> Result<Option<Stripe>, Failure> {
        let mut current = self.current.write().await;
        if current.key == *refused {
            let key = ApiKey::new(self.secret.read().await?);
            if key == *refused {
                return Ok(None);
            }
            *current = keyed(&self.http, &self.config, key);
        }
        Ok(Some(current.stripe.clone()))
    }
}

/// One conversation with the gateway: what one step has to ask it.
#[derive(Debug)]
#[must_use = "the circuit breaker has to hear what the calls met: end it"]
pub struct Visit<'a> {
    gateway: &'a Gateway,
    permit: Permit,
    evidence: Mutex<Evidence>,
}

impl Visit<'_> {
    /// Tells the circuit breaker what the calls have met. A visit that is dropped instead has told nothing.
    pub async fn end(self) {
        let evidence = self.evidence.into_inner().unwrap_or_else(PoisonError::into_inner);
        Box::pin(self.gateway.breaker.settle(self.permit, evidence)).await;
    }

    async fn call<T, F>(&self, call: impl Fn(Stripe) -> F) -> Result<T, StripeError>
    where
        F: Future<Output = Result<T, StripeError>>,
    {
        let answered = self.gateway.call(call).await;
        let failed = answered.as_ref().is_err_and(StripeError::is_outage);
        let met = if failed { Evidence::Failed } else { Evidence::Answered };
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        // One call that failed outweighs those that did not.
        *evidence = met.max(*evidence);
        drop(evidence);
        answered
    }

    /// [`Stripe::create_intent`].
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn create_intent(&self, new: &NewIntent, key: &str) -> Result<Intent, StripeError> {
        self.call(|stripe| async move { stripe.create_intent(new, key).await }).await
    }

    /// [`Stripe::confirm`], with the payment method of the intent.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn confirm(&self, id: &str, key: &str) -> Result<Intent, StripeError> {
        self.call(|stripe| async move { stripe.confirm(id, None, key).await }).await
    }

    /// [`Stripe::cancel`].
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn cancel(&self, id: &str, key: &str) -> Result<Intent, StripeError> {
        self.call(|stripe| async move { stripe.cancel(id, key).await }).await
    }

    /// [`Stripe::retrieve`].
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn retrieve(&self, id: &str) -> Result<Intent, StripeError> {
        self.call(|stripe| async move { stripe.retrieve(id).await }).await
    }

    /// [`Stripe::refund`].
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn refund(&self, intent: &str, key: &str) -> Result<Refund, StripeError> {
        self.call(|stripe| async move { stripe.refund(intent, key).await }).await
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("config", &self.config).finish_non_exhaustive()
    }
}

fn keyed(http: &SharedHttpClient, config: &GatewayConfig, key: ApiKey) -> Keyed {
    let timeout = Duration::from_millis(config.timeout_ms);
    Keyed { stripe: Stripe::new(http.clone(), &config.url, key.clone(), timeout), key }
}
