use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;

use super::{Aws, timeouts};
use crate::Failure;
use crate::ambient::Ambient;

/// Signed requests to a service of which we need a call or two: less to compile, and less to load at a cold start, than
/// its SDK. Nothing is tried again; whoever asks is delivered again itself.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
#[derive(Clone)]
pub struct Signed {
    operation: Arc<Operation<HttpRequest, Answer, Infallible>>,
    endpoint: String,
    service: &'static str,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    ambient: Ambient,
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// As it came.
    pub body: Vec<u8>,
}

impl Signed {
    /// Requests to the service of this signing name, at its regional endpoint or at the one that is configured for all.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn to(aws: &Aws, service: &'static str) -> Result<Self, Failure> {
        Self::at(aws, service, service)
    }

    /// The same, for a service whose endpoint has another name than it signs with.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn at(aws: &Aws, host: &str, service: &'static str) -> Result<Self, Failure> {
        let http = aws.sdk.http_client().ok_or_else(|| Failure::permanent("there is no HTTP client"))?;
        let region = aws.sdk.region().map(ToString::to_string).unwrap_or_default();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let regional = || format!("https://{host}.{region}.{suffix}");
        let endpoint = aws.sdk.endpoint_url().map_or_else(regional, ToOwned::to_owned);
        let operation = Operation::builder()
            .service_name(service)
            .operation_name("signed")
            .http_client(http)
            .endpoint_url(&endpoint)
            .no_auth()
            .no_retry()
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .serializer(|request: HttpRequest| Ok(request))
            .deserializer(|response: &HttpResponse| {
                let body = response.body().bytes().unwrap_or_default().to_vec();
                Ok(Answer { status: response.status().as_u16(), body })
            })
            .build();
        Ok(Self {
            operation: Arc::new(operation),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            service,
            region,
            credentials: aws.credentials.clone(),
            ambient: aws.ambient(),
        })
    }

    /// Sends a request; `path` begins with a slash and holds nothing that would have to be escaped.
    ///
    /// # Errors
    /// [`Failure`] (transient) where there is no answer. An answer of any status is none.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let unanswered = || Failure::transient(format!("{} did not answer", self.service));
        let request = self.signed(method, path, headers, body).await;
        let request = request.map_err(|error| {
            Failure::transient(format!("a request to {} could not be signed", self.service)).because(error)
        })?;
        self.operation.invoke(request).await.map_err(|error| unanswered().because(error))
    }

    async fn signed(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<HttpRequest, BoxError> {
        let provider = self.credentials.as_ref().ok_or("there are no credentials")?;
        let identity = provider.provide_credentials().await?.into();
        let mut settings = SigningSettings::default();
        // As S3 wants it; the others do not mind.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let now = u64::try_from(self.ambient.now().as_millisecond()).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(settings)
            .build()?
            .into();
        let url = format!("{}{path}", self.endpoint);
        let signable =
            SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(&body))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_method(method)?;
        request.set_uri(path.to_owned())?;
        request.headers_mut().try_insert("content-length", body.len().to_string())?;
        for (name, value) in headers {
            request.headers_mut().try_insert(*name, (*value).to_owned())?;
        }
        for (name, value) in instructions.headers() {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned())?;
        }
        *request.body_mut() = SdkBody::from(body);
        Ok(request)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("service", &self.service).finish_non_exhaustive()
    }
}
