//! What comes in, what goes out.

use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::form::Form;

/// An HTTP request to the API, as far as the gateway reads it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// A form.
    pub body: String,
}

/// An HTTP answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// The answer to an earlier request: goes out with `Idempotent-Replayed: true`.
    pub replayed: bool,
}

impl Answer {
    pub(super) fn ok(body: &serde_json::Value) -> Self {
        Self { status: 200, body: body.to_string(), replayed: false }
    }

    pub(super) fn server_error() -> Self {
        ApiError::server().into()
    }
}

/// Which of the six calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// `POST /v1/payment_intents`
    Create,
    /// `POST /v1/payment_intents/{id}/confirm`
    Confirm,
    /// `POST /v1/payment_intents/{id}/cancel`
    Cancel,
    /// `GET /v1/payment_intents/{id}`
    Retrieve,
    /// `POST /v1/refunds`
    Refund,
    /// `GET /v1/refunds`
    ListRefunds,
}

/// One call, routed and decoded.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) path: String,
    /// The id in the path.
    pub(super) id: Option<String>,
    pub(super) form: Form,
}

impl Call {
    pub(super) fn route(request: &Request) -> Result<Self, ApiError> {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        let (kind, id) = match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "payment_intents"]) => (CallKind::Create, None),
            ("POST", ["v1", "payment_intents", id, "confirm"]) => (CallKind::Confirm, Some(*id)),
            ("POST", ["v1", "payment_intents", id, "cancel"]) => (CallKind::Cancel, Some(*id)),
            ("GET", ["v1", "payment_intents", id]) => (CallKind::Retrieve, Some(*id)),
            ("POST", ["v1", "refunds"]) => (CallKind::Refund, None),
            ("GET", ["v1", "refunds"]) => (CallKind::ListRefunds, None),
            _ => return Err(ApiError::unrecognized_url(&request.method, &request.path)),
        };
        let text = if request.method == "POST" { &request.body } else { &request.query };
        Ok(Self { kind, path: request.path.clone(), id: id.map(str::to_owned), form: Form::parse(text) })
    }

    /// The intent the call is about, if it names one.
    pub(super) fn intent(&self) -> Option<&str> {
        self.id.as_deref().or_else(|| match self.kind {
            CallKind::Refund | CallKind::ListRefunds => self.form.get("payment_intent"),
            _ => None,
        })
    }
}
