//! Clients, built once per environment over one HTTP client.

mod signed;

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
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
        Ok(Self { sdk, ambient: Ambient::system() })
    }

    /// Over a configuration of one's own, for tests and simulations.
    #[must_use]
    pub fn from_parts(sdk: SdkConfig, ambient: Ambient) -> Self {
        Self { sdk, ambient }
    }

    /// The configuration, for clients of services that few functions use.
    #[must_use]
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// A DynamoDB client.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// An EventBridge client.
    #[must_use]
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.sdk)
    }

    /// An SQS client.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk)
    }

    /// A Kinesis client.
    #[must_use]
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.sdk)
    }

    /// A Secrets Manager client.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk)
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
