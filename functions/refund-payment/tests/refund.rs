//! The compensation against an in-process cloud and a payment gateway on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use eda::batch::QueueWorker;
use eda::row::Key;
use eda::stripe::{ApiKey, NewIntent, Stripe};
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use localcloud::gateway::{CallKind, Do, Fault as Trouble, Hosted, LedgerIntent, On, Settings};
use refund_payment::RefundPayment;
use serde_json::{Value, json};
use shop::payment::{Payment, PaymentState};
use shop::testing::{order_expired, shipment_failed};

const API_KEY: &str = "sk_test_refunds";
const ORDER: &str = "o1";
const BUDGET: [&str; 2] = ["dynamodb:UpdateItem", "dynamodb:TransactWriteItems"];

struct Stage {
    cloud: TestCloud,
    gateway: Hosted,
    stripe: Stripe,
    worker: QueueWorker<RefundPayment>,
}

impl Stage {
    async fn set() -> Self {
        let cloud = TestCloud::of("refund-payment");
        let gateway = Hosted::start(Settings::new(API_KEY)).await.unwrap();
        cloud.secret("PaymentGatewaySecretArn", API_KEY);
        let function = cloud.start_with(&[("PAYMENT_GATEWAY_URL", gateway.url())]).await;
        let worker = cloud.worker_of(function);
        let http = cloud.aws().partner_http().unwrap();
        let stripe = Stripe::new(http, gateway.url(), ApiKey::new(API_KEY), Duration::from_secs(2));
        cloud.take_calls();
        Self { cloud, gateway, stripe, worker }
    }

    /// An order that stands so, with an intent at the gateway that is not confirmed yet.
    async fn with_intent(status: PaymentState) -> Self {
        let stage = Self::set().await;
        let new = NewIntent {
            amount_minor: 14_850,
            currency: "USD".into(),
            payment_method: "pm_card_visa".into(),
            metadata: BTreeMap::new(),
        };
        let intent = stage.stripe.create_intent(&new, "o1:create").await.unwrap();
        stage.put(status, Some(intent.id));
        stage
    }

    /// An order that stands so, with an intent at the gateway that is charged.
    async fn with_charge(status: PaymentState) -> Self {
        let stage = Self::with_intent(status).await;
        stage.confirm().await;
        stage
    }

    async fn confirm(&self) {
        let intent = self.row().unwrap().intent_id.unwrap();
        self.stripe.confirm(&intent, None, "o1:confirm").await.unwrap();
    }

    fn put(&self, status: PaymentState, intent_id: Option<String>) {
        let row = Payment {
            order_id: ORDER.into(),
            status,
            intent_id,
            amount_minor: Some(14_850),
            currency: Some("USD".into()),
            reason: None,
            answered: Default::default(),
            expires_at: 1,
        };
        self.cloud.put("PaymentsTable", &row);
    }

    fn failed(&self) -> Value {
        bus_event(&self.cloud, &shipment_failed(ORDER))
    }

    fn expired(&self) -> Value {
        bus_event(&self.cloud, &order_expired(ORDER))
    }

    /// Meets the next call of this kind.
    fn trouble(&self, call: CallKind, what: Do) {
        let on = On { call: Some(call), ..On::default() };
        self.gateway.fault(Trouble { on, times: Some(1), what }).unwrap();
    }

    /// The next transaction never takes place: all that was before it did.
    fn kill_before_the_record(&self) {
        let denied = Fault::Refused(400, "AccessDeniedException", json!({}));
        self.cloud.inject("dynamodb:TransactWriteItems", denied);
    }

    async fn acknowledged(&self, event: &Value) -> bool {
        // So that what is announced has an order.
        self.cloud.advance(Duration::from_millis(1));
        let batch = queue_batch(std::slice::from_ref(event));
        self.worker.handle(batch, self.cloud.deadline()).await.batch_item_failures.is_empty()
    }

    fn row(&self) -> Option<Payment> {
        self.cloud.get("PaymentsTable", Key::of(ORDER))
    }

    fn state(&self) -> Option<PaymentState> {
        self.row().map(|row| row.status)
    }

    fn intent(&self) -> LedgerIntent {
        let mut intents = self.gateway.ledger().intents;
        assert_eq!(intents.len(), 1);
        intents.remove(0)
    }

    fn calls(&self, kind: CallKind) -> u64 {
        self.gateway.ledger().calls.get(&kind).copied().unwrap_or_default()
    }

    /// Undone, with nothing left charged; announced with these amounts, in order.
    fn is_undone_with(&self, amounts: &[Value]) {
        assert_eq!(self.state(), Some(PaymentState::Undone));
        let net: i64 =
            self.gateway.ledger().intents.iter().map(|intent| intent.charged - intent.refunded).sum();
        assert_eq!(net, 0);
        let announced = self.cloud.announced();
        assert!(announced.iter().all(|(name, _)| name == "PaymentRefunded"), "{announced:?}");
        let said: Vec<_> = announced.iter().map(|(_, refunded)| refunded["amount"].clone()).collect();
        assert_eq!(said, amounts);
    }
}

async fn until(condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), held).await.expect("the condition comes to hold");
}

#[tokio::test]
async fn a_charged_payment_is_refunded_with_two_writes_and_one_gateway_call() {
    let stage = Stage::with_charge(PaymentState::Charged).await;
    assert!(stage.acknowledged(&stage.failed()).await);
    assert_eq!(stage.cloud.take_call_names(), BUDGET);
    assert_eq!((stage.calls(CallKind::Cancel), stage.calls(CallKind::Refund)), (0, 1));
    stage.is_undone_with(&[json!(148.5)]);
    let (_, refunded) = stage.cloud.announced().remove(0);
    assert_eq!(
        (&refunded["currency"], &refunded["reason"]),
        (&json!("USD"), &json!("destination_not_served"))
    );
}

#[tokio::test]
async fn an_intent_that_was_never_confirmed_is_cancelled_and_can_never_charge() {
    let stage = Stage::with_intent(PaymentState::Pending).await;
    assert!(stage.acknowledged(&stage.expired()).await);
    assert_eq!(stage.cloud.take_call_names(), BUDGET);
    assert_eq!((stage.calls(CallKind::Cancel), stage.calls(CallKind::Refund)), (1, 0));
    stage.is_undone_with(&[json!(0)]);
    let intent = stage.row().unwrap().intent_id.unwrap();
    assert!(stage.stripe.confirm(&intent, None, "o1:confirm").await.is_err());
    assert_eq!(stage.intent().charged, 0);
}

#[tokio::test]
async fn a_charge_that_was_never_recorded_is_found_and_refunded() {
    for status in [PaymentState::Pending, PaymentState::Undoing] {
        let stage = Stage::with_charge(status).await;
        assert!(stage.acknowledged(&stage.expired()).await);
        assert_eq!(stage.cloud.take_call_names(), BUDGET);
        assert_eq!((stage.calls(CallKind::Cancel), stage.calls(CallKind::Refund)), (1, 1));
        stage.is_undone_with(&[json!(148.5)]);
    }
}

#[tokio::test]
async fn a_decline_that_was_never_recorded_is_cancelled() {
    let stage = Stage::with_intent(PaymentState::Pending).await;
    let intent = stage.row().unwrap().intent_id.unwrap();
    let declined = stage.stripe.confirm(&intent, Some("pm_card_visa_chargeDeclined"), "o1:confirm").await;
    assert!(declined.is_err());
    assert!(stage.acknowledged(&stage.expired()).await);
    stage.is_undone_with(&[json!(0)]);
    assert_eq!(stage.intent().status, "canceled");
}

#[tokio::test]
async fn a_charge_under_way_is_waited_for() {
    let stage = Stage::with_intent(PaymentState::Pending).await;
    stage.trouble(CallKind::Confirm, Do::Processing { for_ms: 150 });
    stage.confirm().await;
    let event = stage.expired();
    assert!(!stage.acknowledged(&event).await);
    assert_eq!(stage.state(), Some(PaymentState::Undoing));
    assert!(stage.cloud.announced().is_empty());
    until(|| stage.intent().charged > 0).await;
    assert!(stage.acknowledged(&event).await);
    stage.is_undone_with(&[json!(148.5)]);
}

#[tokio::test]
async fn nothing_is_buried_so_that_a_late_payment_finds_a_tombstone() {
    let stage = Stage::set().await;
    assert!(stage.acknowledged(&stage.expired()).await);
    assert_eq!(stage.cloud.take_call_names(), BUDGET);
    stage.is_undone_with(&[json!(0)]);
    assert!(stage.gateway.ledger().calls.is_empty());
    assert_eq!(stage.cloud.announced()[0].1.get("currency"), None);
    let now = stage.cloud.ambient().now().as_second();
    assert!(stage.row().unwrap().expires_at > now, "it lives as long as any other row");
}

#[tokio::test]
async fn a_declined_payment_is_buried_without_the_gateway() {
    let stage = Stage::with_intent(PaymentState::Declined).await;
    assert!(stage.acknowledged(&stage.expired()).await);
    assert_eq!(stage.cloud.take_call_names(), BUDGET);
    assert_eq!((stage.calls(CallKind::Cancel), stage.calls(CallKind::Refund)), (0, 0));
    stage.is_undone_with(&[json!(0)]);
}

#[tokio::test]
async fn a_duplicate_is_refused_and_announces_nothing() {
    for stage in [Stage::with_charge(PaymentState::Charged).await, Stage::set().await] {
        let event = stage.failed();
        assert!(stage.acknowledged(&event).await);
        let announced = stage.cloud.announced();
        stage.cloud.take_calls();
        assert!(stage.acknowledged(&event).await);
        assert_eq!(stage.cloud.take_call_names(), BUDGET);
        assert_eq!(stage.cloud.announced(), announced);
        assert!(stage.calls(CallKind::Refund) <= 1);
    }
}

#[tokio::test]
async fn another_cause_gets_its_own_answer_and_the_amounts_add_up() {
    let stage = Stage::with_charge(PaymentState::Charged).await;
    let (failed, expired) = (stage.failed(), stage.expired());
    for event in [&failed, &expired, &expired, &failed] {
        assert!(stage.acknowledged(event).await);
    }
    stage.is_undone_with(&[json!(148.5), json!(0)]);
    assert_eq!(stage.calls(CallKind::Refund), 1);
    let announced = stage.cloud.announced();
    for ((_, refunded), cause) in announced.iter().zip([&failed, &expired]) {
        assert_eq!(refunded["metadata"]["causationId"], cause["detail"]["metadata"]["eventId"]);
        assert_eq!((&refunded["currency"], &refunded["reason"]), (&json!("USD"), &cause["detail"]["reason"]));
    }
}

#[tokio::test]
async fn two_causes_at_once_are_both_answered_and_refund_once() {
    let stage = Stage::with_charge(PaymentState::Charged).await;
    let (failed, expired) = (stage.failed(), stage.expired());
    let (first, second) = tokio::join!(stage.acknowledged(&failed), stage.acknowledged(&expired));
    assert!(first && second);
    assert_eq!(stage.intent().refunds, 1);
    assert_eq!(stage.state(), Some(PaymentState::Undone));
    let mut said: Vec<_> =
        stage.cloud.announced().iter().map(|(_, event)| event["amount"].as_f64()).collect();
    said.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(said, [Some(0.0), Some(148.5)]);
}

#[tokio::test]
async fn killed_after_the_refund_it_records_the_same_amount_later() {
    for forgotten in [false, true] {
        let stage = Stage::with_charge(PaymentState::Charged).await;
        let event = stage.failed();
        stage.kill_before_the_record();
        assert!(!stage.acknowledged(&event).await);
        assert_eq!((stage.state(), stage.intent().refunded), (Some(PaymentState::Undoing), 14_850));
        if forgotten {
            stage.gateway.gateway().forget_keys();
        }
        assert!(stage.acknowledged(&event).await);
        stage.is_undone_with(&[json!(148.5)]);
        assert_eq!(stage.intent().refunds, 1);
    }
}

#[tokio::test]
async fn killed_after_the_cancellation_it_records_it_later() {
    let stage = Stage::with_intent(PaymentState::Pending).await;
    let event = stage.expired();
    stage.kill_before_the_record();
    assert!(!stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.intent().status.as_str()), (Some(PaymentState::Undoing), "canceled"));
    assert!(stage.acknowledged(&event).await);
    stage.is_undone_with(&[json!(0)]);
}

#[tokio::test]
async fn an_error_of_the_gateway_is_no_verdict_on_the_cancellation() {
    for what in [
        Do::ServerError,
        Do::ServerErrorAfterEffect,
        Do::LostResponse { bad_gateway: false },
        Do::Unavailable { status: 503 },
    ] {
        let stage = Stage::with_intent(PaymentState::Pending).await;
        let event = stage.expired();
        stage.trouble(CallKind::Cancel, what);
        assert!(!stage.acknowledged(&event).await);
        assert!(stage.cloud.announced().is_empty());
        assert!(stage.acknowledged(&event).await, "no saved answer hides the intent");
        stage.is_undone_with(&[json!(0)]);
    }
}

#[tokio::test]
async fn a_refund_whose_answer_got_lost_is_made_once() {
    for what in [Do::LostResponse { bad_gateway: false }, Do::Unavailable { status: 503 }] {
        let stage = Stage::with_charge(PaymentState::Charged).await;
        let event = stage.failed();
        stage.trouble(CallKind::Refund, what);
        assert!(!stage.acknowledged(&event).await);
        assert!(stage.acknowledged(&event).await);
        stage.is_undone_with(&[json!(148.5)]);
        assert_eq!(stage.intent().refunds, 1);
    }
}

#[tokio::test]
async fn a_saved_error_of_the_refund_is_passed_by_with_another_key_and_it_is_made_once() {
    for what in [Do::ServerError, Do::ServerErrorAfterEffect] {
        let stage = Stage::with_charge(PaymentState::Charged).await;
        let event = stage.failed();
        stage.trouble(CallKind::Refund, what);
        assert!(!stage.acknowledged(&event).await);
        assert_eq!(stage.state(), Some(PaymentState::Undoing));
        assert!(stage.acknowledged(&event).await);
        stage.is_undone_with(&[json!(148.5)]);
        assert_eq!(stage.intent().refunds, 1);
    }
}

#[tokio::test]
async fn a_payment_that_begins_between_the_look_and_the_tombstone_is_tried_again() {
    let stage = Stage::with_intent(PaymentState::Pending).await;
    let event = stage.expired();
    // The row was not there yet when the first write looked.
    let absent = Fault::Refused(400, "ConditionalCheckFailedException", json!({}));
    stage.cloud.inject("dynamodb:UpdateItem", absent);
    assert!(!stage.acknowledged(&event).await);
    assert_eq!(stage.state(), Some(PaymentState::Pending));
    assert!(stage.acknowledged(&event).await);
    stage.is_undone_with(&[json!(0)]);
    assert_eq!(stage.intent().status, "canceled");
}

#[tokio::test]
async fn a_lost_reply_of_either_write_is_read_as_what_it_was() {
    for call in BUDGET {
        let stage = Stage::with_charge(PaymentState::Charged).await;
        stage.cloud.inject(call, Fault::ReplyLost);
        assert!(stage.acknowledged(&stage.failed()).await);
        stage.is_undone_with(&[json!(148.5)]);
    }
}

#[tokio::test]
async fn poison_is_parked_with_its_reason() {
    let stage = Stage::set().await;
    let mut poison = stage.failed();
    poison["detail-type"] = json!("ShipmentLost");
    assert!(stage.acknowledged(&poison).await);
    let calls = stage.cloud.take_calls();
    assert_eq!(calls.len(), 1);
    let reason = calls[0].body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("known: ShipmentFailed, OrderExpired"), "{reason}");
}

#[tokio::test]
async fn while_the_gateway_is_out_of_order_the_payment_is_marked_and_the_message_waits() {
    let stage = Stage::with_charge(PaymentState::Charged).await;
    let outage = Trouble { on: On::default(), times: None, what: Do::Unavailable { status: 503 } };
    stage.gateway.fault(outage).unwrap();
    for _ in 0..5 {
        assert!(!stage.acknowledged(&stage.failed()).await);
    }
    stage.cloud.take_calls();
    assert!(!stage.acknowledged(&stage.failed()).await);
    assert_eq!(stage.state(), Some(PaymentState::Undoing), "no late payment can be recorded meanwhile");
    let calls = ["dynamodb:UpdateItem", "sqs:ChangeMessageVisibilityBatch"];
    assert_eq!(stage.cloud.take_call_names(), calls, "the gateway is not asked in vain");
    stage.gateway.gateway().clear_faults();
    stage.cloud.advance(Duration::from_secs(30));
    assert!(stage.acknowledged(&stage.failed()).await);
    assert_eq!(stage.state(), Some(PaymentState::Undone));
}

#[tokio::test]
async fn a_state_machine_gets_the_refund_however_often_it_calls() {
    for status in [PaymentState::Charged, PaymentState::Declined] {
        let stage = match status {
            PaymentState::Charged => Stage::with_charge(status).await,
            _ => Stage::with_intent(status).await,
        };
        let cause = bus_event(&stage.cloud, &order_expired(ORDER));
        let step = stage.worker.consumer();
        let first = stage.cloud.call(step, &cause).await.unwrap();
        assert_eq!(first["detail"], stage.cloud.announced()[0].1, "{status:?}");
        let again = stage.cloud.call(step, &cause).await.unwrap();
        assert_eq!(again["detail"]["metadata"]["eventId"], first["detail"]["metadata"]["eventId"]);
        assert_eq!(stage.cloud.announced_names(), ["PaymentRefunded"], "{status:?}");
    }
}
