//! The network: every request that a function's clients send is parked here until the scheduler decides about it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use eda::testing::wire::{call_name, rest_call};
use localcloud::gateway;
use serde_json::Value;
use tokio::sync::oneshot;

tokio::task_local! {
    /// The invocation on whose behalf a future runs.
    pub static INVOCATION: u64;
}

/// What a request asks for.
pub enum Request {
    /// An AWS call: the operation and its JSON body.
    Aws(String, Value),
    /// A call to the payment gateway.
    Gateway(gateway::Request),
}

/// A request on its way.
pub struct Sent {
    /// The invocation that sent it.
    pub invocation: u64,
    /// `dynamodb:PutItem`, `gateway:POST /v1/refunds`, …
    pub name: String,
    /// What it asks for.
    pub request: Request,
    reply: oneshot::Sender<Result<HttpResponse, ConnectorError>>,
}

impl Sent {
    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers it.
    pub fn answer(self, status: u16, body: String, replayed: bool) {
        let Ok(status) = StatusCode::try_from(status) else { return };
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        if replayed {
            let _ = response.headers_mut().try_insert("idempotent-replayed", "true");
        }
        let _ = self.reply.send(Ok(response));
    }

    /// Answers an invocation whose function failed.
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
    pub fn answer_of_failed_function(self, body: String) {
        let Ok(status) = StatusCode::try_from(200) else { return };
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        let _ = response.headers_mut().try_insert("x-amz-function-error", "Unhandled");
        let _ = self.reply.send(Ok(response));
    }

    /// The connection breaks: the client cannot know what became of the request.
    pub fn break_off(self) {
        let _ = self.reply.send(Err(ConnectorError::io("the connection was reset".into())));
    }
}

/// Requests that nobody has looked at yet.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Vec<Sent>>>);

impl Network {
    /// Takes what was sent since the last time, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let (reply, answer) = oneshot::channel();
        let invocation = INVOCATION.try_with(|id| *id).unwrap_or_default();
        let (name, request) = match request.headers().get("x-amz-target").and_then(call_name) {
            Some((name, operation)) => {
                let body = std::mem::replace(request.body_mut(), SdkBody::empty());
                let body = serde_json::from_slice(body.bytes().unwrap_or_default()).unwrap_or_default();
                (name, Request::Aws(operation, body))
            }
            None => match to_rest(&request) {
                Some((name, operation, body)) => (name, Request::Aws(operation, body)),
                None => {
                    let request = to_gateway(&request);
                    (format!("gateway:{} {}", request.method, request.path), Request::Gateway(request))
                }
            },
        };
        let sent = Sent { invocation, name, request, reply };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        HttpConnectorFuture::new(async move {
            answer.await.unwrap_or_else(|_| Err(ConnectorError::io("the connection was closed".into())))
        })
    }
}

/// A call to a service of AWS that speaks REST, if it is one.
fn to_rest(request: &HttpRequest) -> Option<(String, String, Value)> {
    let header = |name: &str| request.headers().get(name).map(ToOwned::to_owned);
    let body = request.body().bytes().unwrap_or_default();
    rest_call(request.method(), request.uri(), header, body)
}

fn to_gateway(request: &HttpRequest) -> gateway::Request {
    let header = |name: &str| request.headers().get(name).map(ToOwned::to_owned);
    let uri = request.uri();
    let path = uri.splitn(4, '/').nth(3).unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    gateway::Request {
        method: request.method().to_owned(),
        path: format!("/{path}"),
        query: query.to_owned(),
        authorization: header("authorization"),
        idempotency_key: header("idempotency-key"),
        body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.send(request)
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
