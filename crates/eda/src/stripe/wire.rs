//! Requests and answers, over whatever HTTP client the AWS SDK would use.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::endpoint::error::ResolveEndpointError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use serde::de::DeserializeOwned;

use super::{API_VERSION, ApiKey, Intent, Refund, StripeError};

/// The longest idempotency key. <https://docs.stripe.com/api/idempotent_requests>
const LONGEST_KEY: usize = 255;

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    path: String,
    /// Form and idempotency key; a reading call has neither.
    effect: Option<(String, String)>,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { path, effect: None }
    }

    pub(super) fn post(path: String, form: String, key: &str) -> Result<Self, StripeError> {
        let sound = !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_graphic());
        if sound {
            Ok(Self { path, effect: Some((form, key.to_owned())) })
        } else {
            let message = "an idempotency key is 1 to 255 visible ASCII characters";
            Err(StripeError::invalid("Idempotency-Key", message))
        }
    }

    fn into_request(self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(self.path)?;
        if let Some((form, key)) = self.effect {
            request.set_method("POST")?;
            request.headers_mut().try_insert("content-type", "application/x-www-form-urlencoded")?;
            request.headers_mut().try_insert("content-length", form.len().to_string())?;
            request.headers_mut().try_insert("idempotency-key", key)?;
            *request.body_mut() = SdkBody::from(form);
        }
        request.headers_mut().try_insert("accept", "application/json")?;
        request.headers_mut().try_insert("stripe-version", API_VERSION)?;
        Ok(request)
    }
}

/// One answer, of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// A saved answer to an earlier request with the same key.
    pub(super) replayed: bool,
    pub(super) body: Vec<u8>,
}

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    operation: Arc<Operation<Call, Answer, Infallible>>,
}

impl Wire {
    pub(super) fn new(http: SharedHttpClient, base_url: &str, key: ApiKey, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).connect_timeout(timeout).build();
        let operation = Operation::builder()
            .service_name("stripe")
            .operation_name("call")
            .http_client(Authorized { http, key })
            .endpoint_url(base_url)
            .no_auth()
            .no_retry()
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .serializer(Call::into_request)
            .deserializer(|response: &HttpResponse| {
                Ok(Answer {
                    status: response.status().as_u16(),
                    replayed: response.headers().get("idempotent-replayed") == Some("true"),
                    body: response.body().bytes().unwrap_or_default().to_vec(),
                })
            })
            .build();
        Self { operation: Arc::new(operation) }
    }

    pub(super) async fn intent(&self, call: Call) -> Result<Intent, StripeError> {
        self.send(call).await
    }

    pub(super) async fn refund(&self, call: Call) -> Result<Refund, StripeError> {
        self.send(call).await
    }

    async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, StripeError> {
        let answer = self.operation.invoke(call).await.map_err(unanswered)?;
        if !(200..300).contains(&answer.status) {
            return Err(StripeError::from_answer(&answer));
        }
        // A success that cannot be read has happened all the same.
        serde_json::from_slice(&answer.body)
            .map_err(|cause| StripeError::unreliable(&answer, format!("an unreadable success: {cause}")))
    }
}

fn unanswered(error: SdkError<Infallible, HttpResponse>) -> StripeError {
    match error {
        SdkError::ConstructionFailure(_) => {
            StripeError::invalid("request", "no request can be made of these parameters")
        }
        SdkError::DispatchFailure(ref failure)
            if failure
                .as_connector_error()
                .and_then(Error::source)
                .is_some_and(|cause| cause.is::<ResolveEndpointError>()) =>
        {
            StripeError::invalid("base_url", "not an address of the form https://host")
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            StripeError::invalid("api_key", "the key cannot be sent in a header")
        }
        SdkError::TimeoutError(_) => StripeError::silent("no answer in time", error),
        SdkError::DispatchFailure(ref failure) if failure.is_timeout() => {
            StripeError::silent("no answer in time", error)
        }
        _ => StripeError::silent("the connection failed", error),
    }
}

/// Adds the API key at the last moment, so that nothing above the connector, the SDK's own
/// traces included, can log it.
#[derive(Debug)]
struct Authorized<T> {
    http: T,
    key: ApiKey,
}

impl HttpClient for Authorized<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let http = self.http.http_connector(settings, components);
        SharedHttpConnector::new(Authorized { http, key: self.key.clone() })
    }
}

impl HttpConnector for Authorized<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let value = format!("Bearer {}", self.key.expose());
        match request.headers_mut().try_insert("authorization", value) {
            Ok(_) => self.http.call(request),
            // Without the cause, which may show the value.
            Err(_) => HttpConnectorFuture::ready(Err(ConnectorError::user("invalid API key".into()))),
        }
    }
}
