//! HTTP: requests and responses of an API Gateway HTTP API (payload format 2.0), and problem documents (RFC 9457).

mod page;
mod request;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::HeaderMap;
use aws_lambda_events::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use crate::fields::FieldError;

pub use page::{DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, Page, cursor, page, parameter};
pub use request::{
    ANONYMOUS, IDEMPOTENCY_KEY, NO_KEY, caller, idempotency_key, is_idempotency_key, json_body, route,
    trace_header,
};

/// A problem document: what went wrong, for programs and for people.
/// <https://www.rfc-editor.org/rfc/rfc9457>
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Identifies the kind of problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind, in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, in words, and what to do next.
    pub detail: String,
    /// The fields that are wrong, all of them.
    #[cfg_attr(feature = "schema", schemars(default))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(status: u16, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), errors: Vec::new() }
    }

    /// Adds the fields that are wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The body cannot be read as JSON at all.
    #[must_use]
    pub fn not_json(detail: impl Into<String>) -> Self {
        Self::new(400, "urn:problem:not-json", "The body is not JSON", detail)
    }

    /// The service cannot answer now; nothing was lost by asking.
    #[must_use]
    pub fn unavailable() -> Self {
        let detail =
            "The request could not be completed. Send it again; with the same Idempotency-Key it is safe.";
        Self::new(503, "urn:problem:unavailable", "Temporarily unavailable", detail)
    }
}

impl From<Problem> for ApiGatewayV2httpResponse {
    fn from(problem: Problem) -> Self {
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = respond(problem.status, "application/problem+json", body);
        if problem.status == 503 {
            response.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A response of this status, content type and body.
#[must_use]
pub fn respond(status: u16, content_type: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status);
    response.headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    response.body = Some(Body::Text(body));
    response
}

/// Adds a header; a value that no header can hold is left out.
#[must_use]
pub fn with_header(
    mut response: ApiGatewayV2httpResponse,
    name: HeaderName,
    value: &str,
) -> ApiGatewayV2httpResponse {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers.insert(name, value);
    }
    response
}
