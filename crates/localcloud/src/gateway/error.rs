//! Stripe's error envelope. <https://docs.stripe.com/api/errors>

use serde_json::{Map, Value, json};

use super::cards::Refusal;
use super::request::Answer;

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: u16,
    error: Map<String, Value>,
}

impl ApiError {
    fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(kind));
        error.insert("message".to_owned(), Value::String(message.into()));
        Self { status, error }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn no_key() -> Self {
        let message = "You did not provide an API key. You need to provide your API key in the Authorization \
                       header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').";
        Self::new(401, "invalid_request_error", message)
    }

    pub(super) fn wrong_key() -> Self {
        Self::new(401, "invalid_request_error", "Invalid API Key provided: ****")
    }

    pub(super) fn unrecognized_url(method: &str, path: &str) -> Self {
        Self::new(404, "invalid_request_error", format!("Unrecognized request URL ({method}: {path})."))
    }

    /// 404 where the path names it, 400 where a parameter does.
    pub(super) fn missing(status: u16, what: &str, id: &str, param: &str) -> Self {
        let mut error =
            Self::invalid(format!("No such {what}: '{id}'")).code("resource_missing").param(param);
        error.status = status;
        error
    }

    pub(super) fn unexpected_state(message: impl Into<String>, intent: Value) -> Self {
        Self::invalid(message).code("payment_intent_unexpected_state").with("payment_intent", intent)
    }

    pub(super) fn declined(refusal: Refusal<'_>, charge: &str, intent: Value) -> Self {
        let mut error = Self::new(402, "card_error", refusal.message()).code(refusal.code);
        if let Some(reason) = refusal.decline_code {
            error = error.with("decline_code", json!(reason));
        }
        error.with("charge", json!(charge)).with("payment_intent", intent)
    }

    pub(super) fn other_parameters(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used \
             with. Try using a key other than '{key}' if you meant to execute a different request."
        );
        Self::new(400, "idempotency_error", message)
    }

    pub(super) fn other_endpoint(key: &str, path: &str, first: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used for the same endpoint they were first used for \
             ('{path}' vs '{first}'). Try using a key other than '{key}' if you meant to execute a different \
             request."
        );
        Self::new(400, "idempotency_error", message)
    }

    pub(super) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means \
             you submitted twice, and the other request is still going through): {key}. Please try again later."
        );
        let mut error = Self::new(409, "idempotency_error", message).code("idempotency_key_in_use");
        error.status = 409;
        error
    }

    pub(super) fn server() -> Self {
        Self::new(500, "api_error", "An unknown error occurred")
    }

    /// Refused before it reached the API.
    pub(super) fn edge(status: u16) -> Self {
        if status == 429 {
            let error = Self::new(429, "invalid_request_error", "Request rate limit exceeded.");
            return error.code("rate_limit");
        }
        Self::new(status, "api_error", "The service is not available at present.")
    }

    pub(super) fn code(self, code: &str) -> Self {
        let page = format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"));
        self.with("code", json!(code)).with("doc_url", Value::String(page))
    }

    pub(super) fn param(self, name: &str) -> Self {
        self.with("param", json!(name))
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.error.insert(name.to_owned(), value);
        self
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        let body = json!({ "error": error.error }).to_string();
        Self { status: error.status, body, replayed: false }
    }
}
