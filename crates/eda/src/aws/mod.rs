//! Clients, built once per environment over one HTTP client.

mod clients;
mod signed;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::timeout::TimeoutConfig;
use envconfig::Envconfig;
use thiserror::Error;

use crate::ambient::Ambient;
use crate::config::{ConfigError, from_env};

/// The roots that all AWS endpoints chain to. Loading the whole store of the system costs seven times as much at every
/// cold start. <https://www.amazontrust.com/repository/>
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// How long an AWS call may take before it is tried again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Which certificates AWS endpoints may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roots {
    Amazon,
    Native,
}

impl std::str::FromStr for Roots {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "amazon" => Ok(Self::Amazon),
            "native" => Ok(Self::Native),
            _ => Err(()),
        }
    }
}

#[derive(Envconfig)]
struct TrustConfig {
    /// `amazon`, or `native` behind a proxy with certificates of its own.
    #[envconfig(from = "AWS_TRUST_STORE", default = "amazon")]
    roots: Roots,
}

use clients::Clients;
pub use signed::{Answer, Signed};

/// Clients cannot be built.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] aws_smithy_runtime_api::box_error::BoxError),
}

/// The timeouts of AWS calls.
pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

/// What the clients of one environment share.
#[derive(Clone)]
pub struct Aws {
    sdk: SdkConfig,
    /// Those of the configuration it was made from: of what is signed by hand.
    credentials: Option<SharedCredentialsProvider>,
    clients: Arc<Clients>,
    ambient: Ambient,
}

impl Aws {
    /// From the environment, as Lambda sets it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn from_env() -> Result<Self, ClientError> {
        let trust: TrustConfig = from_env()?;
        let roots = match trust.roots {
            Roots::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Roots::Native => TrustStore::default(),
        };
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https_client(roots)?)
            .timeout_config(timeouts())
            .load()
            .await;
        Ok(Self::from_parts(sdk, Ambient::system()))
    }

    /// Over a configuration of one's own, for tests and simulations.
    #[must_use]
    pub fn from_parts(sdk: SdkConfig, ambient: Ambient) -> Self {
        Self { credentials: sdk.credentials_provider(), sdk, clients: Arc::default(), ambient }
    }

    /// The SDK's clients do not sign what they send, which costs a fifth of a call that is not sent far: for tests and
    /// simulations, whose cloud asks nobody who they are.
    #[must_use]
    pub fn unsigned(self) -> Self {
        let mut sdk = self.sdk.into_builder();
        sdk.set_credentials_provider(None);
        Self { sdk: sdk.build(), clients: Arc::default(), ..self }
    }

    /// The same clients, of somebody whose clock shows another time.
    #[must_use]
    pub fn with_ambient(&self, ambient: Ambient) -> Self {
        Self { ambient, ..self.clone() }
    }

    /// The time and new identifiers.
    #[must_use]
    pub fn ambient(&self) -> Ambient {
        self.ambient.clone()
    }

    /// An HTTP client for partners that are not AWS: it trusts the system's whole certificate store. In tests it is the
    /// same connector that AWS calls go through.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn partner_http(&self) -> Result<SharedHttpClient, ClientError> {
        match (self.sdk.http_client(), self.sdk.endpoint_url()) {
            (Some(client), Some(TEST_ENDPOINT)) => Ok(client),
            _ => https_client(TrustStore::default()),
        }
    }
}

/// Endpoint of a test's cloud: never connected to, its connector answers itself.
pub const TEST_ENDPOINT: &str = "http://cloud.test";

fn https_client(roots: TrustStore) -> Result<SharedHttpClient, ClientError> {
    let context = TlsContext::builder().with_trust_store(roots).build();
    let context = context.map_err(|error| ClientError::Tls(error.into()))?;
    // ring, not aws-lc: aws-lc gathers CPU-jitter entropy, about 23 ms of CPU at every cold start.
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(builder.tls_context(context).build_https())
}

#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
