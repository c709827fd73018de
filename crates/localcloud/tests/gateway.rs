//! The client of `eda` against the gateway, over sockets.

// Clippy's leave for tests ends at the helpers of an integration test.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use aws_smithy_http_client::Builder;
use eda::stripe::{ApiKey, Intent, IntentStatus, NewIntent, RefundStatus, Stripe, StripeError};
use localcloud::gateway::{ActiveFault, CallKind, Do, Fault, Ledger, LedgerIntent, On, Settings, serve};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const KEY: &str = "sk_test_local";

struct Shop {
    address: SocketAddr,
    stripe: Stripe,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Settings::new(KEY)));
        let stripe = client(address, KEY, Duration::from_secs(20));
        Self { address, stripe, server }
    }

    /// With one fault that strikes once.
    async fn with(call: CallKind, what: Do) -> Self {
        let shop = Self::open().await;
        shop.fault(call, what).await;
        shop
    }

    async fn fault(&self, call: CallKind, what: Do) {
        let on = On { call: Some(call), ..On::default() };
        let fault = Fault { on, times: Some(1), what };
        let (status, _) = self.control("POST", "faults", &serde_json::to_string(&fault).unwrap()).await;
        assert_eq!(status, 201);
    }

    /// One request of the control interface, on a connection of its own.
    async fn control(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} /_localcloud/{path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        serde_json::from_str(&self.control("GET", path, "").await.1).unwrap()
    }

    async fn entry(&self) -> LedgerIntent {
        let ledger: Ledger = self.read("ledger").await;
        assert_eq!(ledger.intents.len(), 1);
        ledger.intents.into_iter().next().unwrap()
    }

    async fn create(&self) -> Intent {
        self.stripe.create_intent(&order("pm_card_visa"), "42:create").await.unwrap()
    }

    async fn confirm(&self, intent: &Intent) -> Result<Intent, StripeError> {
        self.stripe.confirm(&intent.id, None, "42:confirm").await
    }

    async fn status(&self, intent: &Intent) -> IntentStatus {
        self.stripe.retrieve(&intent.id).await.unwrap().status
    }
}

fn client(address: SocketAddr, key: &str, timeout: Duration) -> Stripe {
    Stripe::new(Builder::new().build_http(), &format!("http://{address}"), ApiKey::new(key), timeout)
}

fn order(payment_method: &str) -> NewIntent {
    NewIntent {
        amount_minor: 9_900,
        currency: "USD".to_owned(),
        payment_method: payment_method.to_owned(),
        metadata: BTreeMap::from([("orderId".to_owned(), "42".to_owned())]),
    }
}

#[tokio::test]
async fn a_payment_is_created_confirmed_and_refunded() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    assert_eq!(intent.status, IntentStatus::RequiresConfirmation);
    let charged = shop.confirm(&intent).await.unwrap();
    assert_eq!((charged.status, charged.received_minor), (IntentStatus::Succeeded, 9_900));
    assert!(charged.latest_charge.is_some_and(|charge| charge.starts_with("ch_")));
    let refund = shop.stripe.refund(&intent.id, "42:refund").await.unwrap();
    assert_eq!((refund.status, refund.amount_minor), (RefundStatus::Succeeded, 9_900));
    let entry = shop.entry().await;
    assert_eq!((entry.charged, entry.refunded, entry.charges), (9_900, 9_900, 1));
    assert_eq!(entry.metadata, intent.metadata);
}

#[tokio::test]
async fn the_same_key_brings_the_same_answer_and_one_charge() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    assert_eq!(shop.create().await, intent);
    assert_eq!(shop.confirm(&intent).await.unwrap(), shop.confirm(&intent).await.unwrap());
    assert_eq!(shop.entry().await.charges, 1);
}

#[tokio::test]
async fn a_saved_500_comes_again_until_its_key_is_forgotten() {
    let shop = Shop::with(CallKind::Confirm, Do::ServerError).await;
    let intent = shop.create().await;
    for saved in [false, true] {
        let error = shop.confirm(&intent).await.unwrap_err();
        let StripeError::Unavailable { status: Some(500), replayed, .. } = error else { panic!("{error:?}") };
        assert_eq!(replayed, saved);
    }
    assert_eq!(shop.status(&intent).await, IntentStatus::RequiresConfirmation);
    assert_eq!(shop.control("DELETE", "keys", "").await.0, 204);
    assert_eq!(shop.confirm(&intent).await.unwrap().status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_500_after_the_effect_is_seen_through_by_reading() {
    let shop = Shop::with(CallKind::Confirm, Do::ServerErrorAfterEffect).await;
    let intent = shop.create().await;
    assert!(matches!(shop.confirm(&intent).await, Err(StripeError::Unavailable { .. })));
    assert_eq!(shop.status(&intent).await, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_forgotten_key_cannot_charge_twice() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    shop.confirm(&intent).await.unwrap();
    assert_eq!(shop.control("POST", "settings", r#"{"keyLifetimeMs":0}"#).await.0, 204);
    let error = shop.confirm(&intent).await.unwrap_err();
    let StripeError::UnexpectedState { intent: Some(now), .. } = error else { panic!("{error:?}") };
    assert_eq!(now.status, IntentStatus::Succeeded);
    assert_eq!(shop.entry().await.charges, 1);
}

#[tokio::test]
async fn a_decline_tells_why_and_stays_so_under_its_key() {
    let shop = Shop::open().await;
    let new = order("pm_card_visa_chargeDeclinedInsufficientFunds");
    let intent = shop.stripe.create_intent(&new, "42:create").await.unwrap();
    for _ in 0..2 {
        let error = shop.confirm(&intent).await.unwrap_err();
        let StripeError::Declined(decline) = error else { panic!("{error:?}") };
        assert_eq!(decline.decline_code.as_deref(), Some("insufficient_funds"));
    }
    let seen = shop.stripe.retrieve(&intent.id).await.unwrap();
    assert_eq!(seen.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!(seen.last_payment_error.unwrap().code, "card_declined");
    assert_eq!(shop.entry().await.declines, 1);
}

#[tokio::test]
async fn a_lost_response_is_found_by_reading() {
    for bad_gateway in [false, true] {
        let shop = Shop::with(CallKind::Confirm, Do::LostResponse { bad_gateway }).await;
        let intent = shop.create().await;
        let error = shop.confirm(&intent).await.unwrap_err();
        let StripeError::Unavailable { status, .. } = error else { panic!("{error:?}") };
        assert_eq!(status, bad_gateway.then_some(502));
        assert_eq!(shop.status(&intent).await, IntentStatus::Succeeded);
        assert_eq!(shop.confirm(&intent).await.unwrap().status, IntentStatus::Succeeded);
        assert_eq!(shop.entry().await.charges, 1);
    }
}

#[tokio::test]
async fn a_late_effect_happens_though_nobody_waits_any_more() {
    let shop = Shop::with(CallKind::Confirm, Do::Timeout { delay_ms: 300, late: true }).await;
    let intent = shop.create().await;
    let hasty = client(shop.address, KEY, Duration::from_millis(50));
    let error = hasty.confirm(&intent.id, None, "42:confirm").await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { status: None, .. }), "{error:?}");
    let charged = async {
        while shop.status(&intent).await != IntentStatus::Succeeded {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), charged).await.expect("the late charge");
}

#[tokio::test]
async fn a_request_beside_one_with_its_key_conflicts() {
    let shop = Shop::with(CallKind::Confirm, Do::Timeout { delay_ms: 1_000, late: true }).await;
    let intent = shop.create().await;
    let (stripe, id) = (shop.stripe.clone(), intent.id.clone());
    let first = tokio::spawn(async move { stripe.confirm(&id, None, "42:confirm").await });
    let struck = async {
        while shop.read::<Vec<ActiveFault>>("faults").await[0].struck == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), struck).await.expect("the first request");
    let error = shop.confirm(&intent).await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable { status: Some(409), .. }), "{error:?}");
    assert_eq!(first.await.unwrap().unwrap().status, IntentStatus::Succeeded);
    assert_eq!(shop.entry().await.charges, 1);
}

#[tokio::test]
async fn a_second_refund_is_told_that_the_first_was_enough() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    shop.confirm(&intent).await.unwrap();
    shop.stripe.refund(&intent.id, "42:refund").await.unwrap();
    shop.stripe.refund(&intent.id, "42:refund").await.unwrap();
    let error = shop.stripe.refund(&intent.id, "42:refund:again").await.unwrap_err();
    assert!(matches!(error, StripeError::AlreadyRefunded), "{error:?}");
    assert_eq!((shop.entry().await.refunds, shop.entry().await.refunded), (1, 9_900));
}

#[tokio::test]
async fn what_has_succeeded_cannot_be_canceled() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    shop.confirm(&intent).await.unwrap();
    let error = shop.stripe.cancel(&intent.id, "42:cancel").await.unwrap_err();
    let StripeError::UnexpectedState { intent: Some(now), .. } = error else { panic!("{error:?}") };
    assert_eq!(now.status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn what_has_been_canceled_cannot_be_charged() {
    let shop = Shop::open().await;
    let intent = shop.create().await;
    let canceled = shop.stripe.cancel(&intent.id, "42:cancel").await.unwrap();
    assert_eq!(canceled.status, IntentStatus::Canceled);
    let error = shop.confirm(&intent).await.unwrap_err();
    let StripeError::UnexpectedState { intent: Some(now), .. } = error else { panic!("{error:?}") };
    assert_eq!(now.status, IntentStatus::Canceled);
    assert_eq!(shop.entry().await.charged, 0);
}

#[tokio::test]
async fn another_key_is_unauthorized() {
    let shop = Shop::open().await;
    let stripe = client(shop.address, "sk_test_other", Duration::from_secs(20));
    let error = stripe.retrieve("pi_1").await.unwrap_err();
    assert!(matches!(error, StripeError::Unauthorized { status: 401 }), "{error:?}");
}

#[tokio::test]
async fn an_unknown_payment_method_is_named_as_invalid() {
    let shop = Shop::open().await;
    let error = shop.stripe.create_intent(&order("pm_unknown"), "42:create").await.unwrap_err();
    let StripeError::Invalid { param, .. } = error else { panic!("{error:?}") };
    assert_eq!(param.as_deref(), Some("payment_method"));
}

#[tokio::test]
async fn faults_are_ended_and_typing_errors_refused_over_http() {
    let shop = Shop::with(CallKind::Create, Do::Unavailable { status: 503 }).await;
    let (status, text) = shop.control("POST", "faults", r#"{"do":{"kind":"earthquake"}}"#).await;
    assert!((400..500).contains(&status) && text.contains("earthquake"), "{status} {text}");
    assert_eq!(shop.control("DELETE", "faults/fault_9", "").await.0, 404);
    assert_eq!(shop.control("DELETE", "faults", "").await.0, 204);
    shop.create().await;
}

#[tokio::test]
async fn an_unreachable_gateway_is_unavailable() {
    let shop = Shop::open().await;
    let address = shop.address;
    drop(shop);
    let stripe = client(address, KEY, Duration::from_secs(20));
    let closed = async {
        while !matches!(stripe.retrieve("pi_1").await, Err(StripeError::Unavailable { status: None, .. })) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("refused connections");
}
