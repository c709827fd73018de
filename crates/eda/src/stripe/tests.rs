use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::json;

use super::*;
use crate::failure::{Failure, Kind};

/// What the network does with the next request.
enum Next {
    Answer(u16, &'static [(&'static str, &'static str)], String),
    Break,
    Silence,
}

/// A network that plays a script and keeps what was sent.
#[derive(Clone, Default)]
struct Recorded {
    script: Arc<Mutex<VecDeque<Next>>>,
    sent: Arc<Mutex<Vec<HttpRequest>>>,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

impl HttpClient for Recorded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.sent.lock().unwrap().push(request);
        match self.script.lock().unwrap().pop_front().expect("a scripted answer") {
            Next::Answer(status, headers, body) => {
                let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                for (name, value) in headers {
                    response.headers_mut().insert(*name, *value);
                }
                HttpConnectorFuture::ready(Ok(response))
            }
            Next::Break => HttpConnectorFuture::ready(Err(ConnectorError::io("reset".into()))),
            Next::Silence => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

fn intent(status: &str) -> serde_json::Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 9900,
        "amount_received": if status == "succeeded" { 9900 } else { 0 }, "currency": "usd",
        "latest_charge": null, "last_payment_error": null, "metadata": {"reference": "42"},
    })
}

fn client(script: impl IntoIterator<Item = Next>) -> (Stripe, Recorded) {
    let network = Recorded::default();
    network.script.lock().unwrap().extend(script);
    let http = SharedHttpClient::new(network.clone());
    let key = ApiKey::new("sk_test_secret\n");
    (Stripe::new(http, "https://pay.example", key, Duration::from_millis(50)), network)
}

fn answer(status: u16, body: serde_json::Value) -> Next {
    Next::Answer(status, &[], body.to_string())
}

/// The error that `confirm` gives for an answer.
async fn refused(status: u16, error: serde_json::Value) -> StripeError {
    let (stripe, _) = client([answer(status, json!({ "error": error }))]);
    stripe.confirm("pi_1", None, "42:confirm").await.unwrap_err()
}

#[tokio::test]
async fn an_intent_is_created_with_a_form_the_key_and_a_pinned_version() {
    let (stripe, network) = client([answer(200, intent("requires_confirmation"))]);
    let new = NewIntent {
        amount_minor: 9900,
        currency: "USD".to_owned(),
        payment_method: "pm_card_visa".to_owned(),
        metadata: BTreeMap::from([("reference".to_owned(), "4 & 2".to_owned())]),
    };
    let created = stripe.create_intent(&new, "42:create").await.unwrap();
    assert_eq!((created.id.as_str(), created.status), ("pi_1", IntentStatus::RequiresConfirmation));
    let sent = network.sent.lock().unwrap();
    let request = &sent[0];
    assert_eq!((request.method(), request.uri()), ("POST", "https://pay.example/v1/payment_intents"));
    let form = "amount=9900&currency=usd&payment_method=pm_card_visa\
                &automatic_payment_methods%5Benabled%5D=true\
                &automatic_payment_methods%5Ballow_redirects%5D=never&metadata%5Breference%5D=4+%26+2";
    assert_eq!(std::str::from_utf8(request.body().bytes().unwrap()).unwrap(), form);
    for (name, value) in [
        ("authorization", "Bearer sk_test_secret"),
        ("idempotency-key", "42:create"),
        ("stripe-version", API_VERSION),
        ("content-type", "application/x-www-form-urlencoded"),
    ] {
        assert_eq!(request.headers().get(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn each_call_has_its_method_path_and_form() {
    let refund = json!({"id": "re_1", "amount": 9900, "currency": "usd", "status": "succeeded",
        "payment_intent": "pi_1"});
    let (stripe, network) = client([
        answer(200, intent("succeeded")),
        answer(200, intent("canceled")),
        answer(200, intent("processing")),
        answer(200, refund),
    ]);
    let confirmed = stripe.confirm("pi_1", Some("pm_card_amex"), "42:confirm").await.unwrap();
    assert_eq!((confirmed.status, confirmed.received_minor), (IntentStatus::Succeeded, 9900));
    assert_eq!(stripe.cancel("pi_1", "42:cancel").await.unwrap().status, IntentStatus::Canceled);
    assert_eq!(stripe.retrieve("pi_1").await.unwrap().status, IntentStatus::Processing);
    assert_eq!(stripe.refund("pi_1", "42:refund").await.unwrap().status, RefundStatus::Succeeded);
    let sent = network.sent.lock().unwrap();
    let seen: Vec<_> = sent
        .iter()
        .map(|request| {
            let form = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap();
            let key = request.headers().get("idempotency-key");
            (request.method(), request.uri().strip_prefix("https://pay.example").unwrap(), form, key)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                "POST",
                "/v1/payment_intents/pi_1/confirm",
                "payment_method=pm_card_amex&error_on_requires_action=true",
                Some("42:confirm")
            ),
            ("POST", "/v1/payment_intents/pi_1/cancel", "", Some("42:cancel")),
            ("GET", "/v1/payment_intents/pi_1", "", None),
            ("POST", "/v1/refunds", "payment_intent=pi_1", Some("42:refund")),
        ]
    );
}

#[tokio::test]
async fn a_card_error_is_a_decline_with_its_codes() {
    let error = refused(
        402,
        json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds.",
            "payment_intent": intent("requires_payment_method")}),
    )
    .await;
    let StripeError::Declined(decline) = error else { panic!("{error:?}") };
    assert_eq!(decline.to_string(), "card_declined (insufficient_funds)");
    assert_eq!(decline.message, "Your card has insufficient funds.");
}

#[tokio::test]
async fn a_wrong_state_brings_the_intent_along() {
    let error = refused(
        400,
        json!({"type": "invalid_request_error", "code": "payment_intent_unexpected_state",
            "message": "already succeeded", "payment_intent": intent("succeeded")}),
    )
    .await;
    let StripeError::UnexpectedState { intent: Some(intent), .. } = error else { panic!("{error:?}") };
    assert_eq!(intent.status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_second_refund_is_told_from_other_errors() {
    let (stripe, _) = client([answer(
        400,
        json!({"error": {"type": "invalid_request_error", "code": "charge_already_refunded"}}),
    )]);
    assert!(matches!(stripe.refund("pi_1", "k").await, Err(StripeError::AlreadyRefunded)));
}

#[tokio::test]
async fn an_invalid_request_names_its_parameter_and_is_permanent() {
    let error = refused(
        400,
        json!({"type": "invalid_request_error", "code": "resource_missing", "param": "payment_method",
            "message": "No such PaymentMethod: 'pm_x'"}),
    )
    .await;
    assert_eq!(error.to_string(), "the request is not valid (payment_method): No such PaymentMethod: 'pm_x'");
    assert_eq!(error.kind(), Kind::Permanent);
    let misused = refused(400, json!({"type": "idempotency_error", "message": "same parameters"})).await;
    assert!(matches!(misused, StripeError::Invalid { .. }), "{misused:?}");
}

#[tokio::test]
async fn a_refused_key_is_transient_and_shows_nothing_of_the_key() {
    for status in [401, 403] {
        let error = refused(status, json!({"message": "Invalid API Key provided: sk_test_***cret"})).await;
        assert!(matches!(error, StripeError::Unauthorized { .. }), "{error:?}");
        assert_eq!(error.kind(), Kind::Transient);
        assert!(!format!("{error} {error:?}").contains("cret"));
    }
}

#[tokio::test]
async fn an_answer_of_unknown_outcome_is_unavailable() {
    for (status, error) in [
        (409, json!({"type": "idempotency_error", "code": "idempotency_key_in_use"})),
        (429, json!({"type": "invalid_request_error", "code": "lock_timeout"})),
        (500, json!({"type": "api_error", "message": "An unknown error occurred"})),
        (503, json!({"type": "api_error"})),
    ] {
        let error = refused(status, error).await;
        assert!(
            matches!(error, StripeError::Unavailable { status: Some(_), replayed: false, .. }),
            "{status}: {error:?}"
        );
        assert_eq!(Failure::from(error).kind(), Kind::Transient);
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_verdict() {
    let page = || Next::Answer(404, &[], "<html>not here</html>".to_owned());
    let (stripe, _) = client([page(), Next::Answer(200, &[], "<html>".to_owned())]);
    for _ in 0..2 {
        let error = stripe.retrieve("pi_1").await.unwrap_err();
        assert!(matches!(error, StripeError::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_replayed_failure_says_that_it_is_one() {
    let body = json!({"error": {"type": "api_error"}}).to_string();
    let (stripe, _) = client([Next::Answer(500, &[("idempotent-replayed", "true")], body)]);
    let error = stripe.confirm("pi_1", None, "k").await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { replayed: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_broken_connection_and_silence_are_unavailable() {
    let (stripe, network) = client([Next::Break, Next::Silence]);
    for expected in ["the connection failed", "no answer in time"] {
        let error = stripe.confirm("pi_1", None, "k").await.unwrap_err();
        assert_eq!(error.to_string(), format!("the payment provider is unavailable: {expected}"));
        assert!(matches!(error, StripeError::Unavailable { status: None, .. }));
    }
    assert_eq!(network.sent.lock().unwrap().len(), 2, "the client itself never retries");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is_sent() {
    let (stripe, network) = client([]);
    for error in [
        stripe.confirm("pi_1/../../v1/refunds", None, "k").await.unwrap_err(),
        stripe.retrieve("").await.unwrap_err(),
        stripe.cancel("pi_1", "two words").await.unwrap_err(),
        stripe.cancel("pi_1", &"k".repeat(256)).await.unwrap_err(),
    ] {
        assert!(matches!(error, StripeError::Invalid { .. }), "{error:?}");
    }
    let unusable = |url, key| {
        Stripe::new(SharedHttpClient::new(network.clone()), url, ApiKey::new(key), Duration::from_secs(1))
    };
    for (stripe, param) in [
        (unusable("not an address", "k"), "base_url"),
        (unusable("https://pay.example", "two\nlines"), "api_key"),
    ] {
        let error = stripe.retrieve("pi_1").await.unwrap_err();
        assert!(error.to_string().contains(param), "{error:?}");
    }
    assert!(network.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_state_this_client_does_not_know_is_kept() {
    let (stripe, _) = client([answer(200, intent("on_the_moon"))]);
    let status = stripe.retrieve("pi_1").await.unwrap().status;
    assert_eq!(status, IntentStatus::Other("on_the_moon".to_owned()));
}

#[test]
fn the_client_shows_nothing_of_its_key() {
    let (stripe, _) = client([]);
    let shown = format!("{stripe:?} {:?}", ApiKey::new("sk_test_secret"));
    assert!(shown.contains("redacted") && !shown.contains("secret"), "{shown}");
}
