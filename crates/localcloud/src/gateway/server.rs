//! The sockets.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::Settings;
use super::engine::{Gateway, Step};
use super::fault::Fault;
use super::request::{Answer, Request};

/// Serves a gateway until the task is dropped; its connections end with it.
///
/// Fails only if the listener does for good.
pub async fn serve(listener: TcpListener, settings: Settings) -> io::Result<()> {
    serve_shared(listener, Gateway::new(settings)).await
}

/// Serves this gateway, whose state its other clones share.
pub(super) async fn serve_shared(listener: TcpListener, gateway: Gateway) -> io::Result<()> {
    let router = router(gateway);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone()));
                }
                // A connection that died in the queue, or no descriptor left for now.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    // Answers are small and complete: waiting for more to send only costs time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request).await;
            match response.extensions().get::<Dropped>() {
                // An error of the service makes hyper close the connection without an answer.
                Some(Dropped) => Err(io::Error::other("dropped on purpose")),
                None => Ok(response),
            }
        }
    });
    // Clients come and go as they like.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Marks an answer that must not be sent.
#[derive(Clone, Copy)]
struct Dropped;

/// The API and its control, for a server that honours dropped connections; most callers want [`serve`].
pub fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/_localcloud/ledger", get(ledger))
        .route("/_localcloud/faults", post(add_fault).get(list_faults).delete(clear_faults))
        .route("/_localcloud/faults/{id}", delete(remove_fault))
        .route("/_localcloud/settings", post(change_settings))
        .route("/_localcloud/keys", delete(forget_keys))
        .fallback(api)
        .with_state(gateway)
}

async fn api(
    State(gateway): State<Gateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let request = Request {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        idempotency_key: header("idempotency-key"),
        body,
    };
    // In a task of its own, so that what is late happens even if the client has gone.
    let work = tokio::spawn(async move {
        let mut step = gateway.receive(&request, Timestamp::now());
        loop {
            match step {
                Step::Answer(answer) => return Some(answer),
                Step::Drop => return None,
                Step::Wait(delay, ticket) => {
                    tokio::time::sleep(delay).await;
                    step = gateway.resume(ticket, Timestamp::now());
                }
            }
        }
    });
    match work.await {
        Ok(Some(answer)) => respond(answer),
        _ => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Dropped);
            response
        }
    }
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

async fn ledger(State(gateway): State<Gateway>) -> Response {
    Json(gateway.ledger(Timestamp::now())).into_response()
}

async fn add_fault(State(gateway): State<Gateway>, Json(fault): Json<Fault>) -> Response {
    match gateway.add_fault(fault) {
        Ok(active) => (StatusCode::CREATED, Json(active)).into_response(),
        Err(message) => (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response(),
    }
}

async fn list_faults(State(gateway): State<Gateway>) -> Response {
    Json(gateway.faults()).into_response()
}

async fn clear_faults(State(gateway): State<Gateway>) -> StatusCode {
    gateway.clear_faults();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(gateway): State<Gateway>, Path(id): Path<String>) -> StatusCode {
    if gateway.remove_fault(&id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    key_lifetime_ms: u64,
}

async fn change_settings(State(gateway): State<Gateway>, Json(change): Json<Change>) -> StatusCode {
    gateway.set_key_lifetime(Duration::from_millis(change.key_lifetime_ms));
    StatusCode::NO_CONTENT
}

async fn forget_keys(State(gateway): State<Gateway>) -> StatusCode {
    gateway.forget_keys();
    StatusCode::NO_CONTENT
}
