//! The step against an in-process cloud and a payment gateway on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use eda::batch::QueueWorker;
use eda::row::Key;
use eda::testing::{Fault, TestCloud, bus_event, queue_batch};
use localcloud::gateway::{CallKind, Do, Fault as Trouble, Hosted, Ledger, On, Settings};
use process_payment::ProcessPayment;
use serde_json::{Value, json};
use shop::events::InventoryReserved;
use shop::payment::{Payment, PaymentState};
use shop::testing::inventory_reserved;

const API_KEY: &str = "sk_test_payments";
const SECRET: &str = "PaymentGatewaySecretArn";
const ORDER: &str = "o1";

struct Stage {
    cloud: TestCloud,
    gateway: Hosted,
    worker: QueueWorker<ProcessPayment>,
}

impl Stage {
    async fn set() -> Self {
        Self::with_timeout("2000").await
    }

    async fn with_timeout(milliseconds: &str) -> Self {
        let cloud = TestCloud::of("process-payment");
        let gateway = Hosted::start(Settings::new(API_KEY)).await.unwrap();
        cloud.secret(SECRET, API_KEY);
        let changed = [("PAYMENT_GATEWAY_URL", gateway.url()), ("PAYMENT_GATEWAY_TIMEOUT_MS", milliseconds)];
        let worker = cloud.worker_of(cloud.start_with::<ProcessPayment>(&changed).await);
        let circuit_and_key = ["dynamodb:GetItem", "secretsmanager:GetSecretValue"];
        assert_eq!(cloud.take_call_names(), circuit_and_key);
        Self { cloud, gateway, worker }
    }

    fn order(&self) -> Value {
        self.event(|_| {})
    }

    fn event(&self, change: impl FnOnce(&mut InventoryReserved)) -> Value {
        let mut reserved = inventory_reserved(ORDER);
        change(&mut reserved);
        bus_event(&self.cloud, &reserved)
    }

    /// Meets the next call of this kind.
    fn trouble(&self, call: CallKind, what: Do) {
        let on = On { call: Some(call), ..On::default() };
        self.gateway.fault(Trouble { on, times: Some(1), what }).unwrap();
    }

    /// The next AWS call of this name never takes place: all that was before it did.
    fn kill_before(&self, call: &str) {
        self.cloud.inject(call, Fault::Refused(400, "AccessDeniedException", json!({})));
    }

    async fn acknowledged(&self, event: &Value) -> bool {
        let batch = queue_batch(std::slice::from_ref(event));
        self.worker.handle(batch, self.cloud.deadline()).await.batch_item_failures.is_empty()
    }

    async fn call(&self, event: &Value) -> Result<Value, (&'static str, String)> {
        self.cloud.call(self.worker.consumer(), event).await
    }

    fn row(&self) -> Option<Payment> {
        self.cloud.get("PaymentsTable", Key::of(ORDER))
    }

    fn state(&self) -> Option<PaymentState> {
        self.row().map(|row| row.status)
    }

    fn calls(&self) -> Vec<(CallKind, u64)> {
        self.gateway.ledger().calls.into_iter().collect()
    }

    fn charged(&self) -> i64 {
        let Ledger { intents, .. } = self.gateway.ledger();
        intents.iter().map(|intent| intent.charged - intent.refunded).sum()
    }

    /// Charged once, recorded and announced once.
    fn is_paid_once(&self) {
        assert_eq!(self.state(), Some(PaymentState::Charged));
        assert_eq!(self.charged(), 14_850);
        let announced = self.cloud.announced();
        assert_eq!(announced.len(), 1, "{announced:?}");
        assert_eq!(announced[0].0, "PaymentProcessed");
        assert_eq!(announced[0].1["paymentId"], json!(self.row().unwrap().intent_id.unwrap()));
    }

    fn is_refused_as(&self, reason: &str) {
        assert_eq!(self.state(), Some(PaymentState::Declined));
        assert_eq!(self.charged(), 0);
        let announced = self.cloud.announced();
        assert_eq!(announced.len(), 1, "{announced:?}");
        assert_eq!((announced[0].0.as_str(), &announced[0].1["reason"]), ("PaymentFailed", &json!(reason)));
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
async fn a_payment_costs_two_writes_and_two_gateway_calls() {
    let stage = Stage::set().await;
    assert!(stage.acknowledged(&stage.order()).await);
    assert_eq!(stage.cloud.take_call_names(), ["dynamodb:PutItem", "dynamodb:TransactWriteItems"]);
    assert_eq!(stage.calls(), [(CallKind::Create, 1), (CallKind::Confirm, 1)]);
    stage.is_paid_once();
    let (_, paid) = stage.cloud.announced().remove(0);
    assert_eq!((&paid["amount"], &paid["currency"]), (&json!(148.5), &json!("USD")));
    assert_eq!(stage.gateway.ledger().intents[0].metadata["orderId"], ORDER);
}

#[tokio::test]
async fn a_declined_card_fails_the_payment_with_the_gateways_code() {
    let stage = Stage::set().await;
    let declined =
        stage.event(|order| order.payment_method = Some("pm_card_chargeDeclinedExpiredCard".into()));
    assert!(stage.acknowledged(&declined).await);
    assert_eq!(stage.cloud.take_call_names(), ["dynamodb:PutItem", "dynamodb:TransactWriteItems"]);
    stage.is_refused_as("expired_card");
    assert!(stage.acknowledged(&declined).await);
    stage.is_refused_as("expired_card");
}

#[tokio::test]
async fn a_card_whose_owner_must_authenticate_is_declined_because_nobody_can_be_asked() {
    let stage = Stage::set().await;
    let event = stage.event(|order| order.payment_method = Some("pm_card_authenticationRequired".into()));
    assert!(stage.acknowledged(&event).await);
    stage.is_refused_as("authentication_required");
}

#[tokio::test]
async fn an_order_without_a_payment_method_fails_without_the_gateway() {
    let stage = Stage::set().await;
    let event = stage.event(|order| order.payment_method = None);
    assert!(stage.acknowledged(&event).await);
    assert_eq!(stage.cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert!(stage.acknowledged(&event).await);
    assert_eq!(stage.cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
    assert!(stage.calls().is_empty());
    stage.is_refused_as("no_payment_method");
}

#[tokio::test]
async fn what_the_gateway_will_not_charge_fails_the_payment() {
    let cent = "0.01".parse().map(shop_money).unwrap();
    let changes: [&dyn Fn(&mut InventoryReserved); 3] = [
        &|order| order.total_amount = cent,
        &|order| order.payment_method = Some("pm_of_nobody".into()),
        &|order| order.currency = "BTC".into(),
    ];
    for change in changes {
        let stage = Stage::set().await;
        assert!(stage.acknowledged(&stage.event(change)).await);
        stage.is_refused_as("not_chargeable");
    }
}

fn shop_money(number: serde_json::Number) -> shop::money::Money {
    serde_json::from_value(Value::Number(number)).unwrap()
}

#[tokio::test]
async fn a_duplicate_charges_nothing_and_is_seen_by_the_first_write() {
    let stage = Stage::set().await;
    let event = stage.order();
    assert!(stage.acknowledged(&event).await);
    stage.cloud.take_calls();
    assert!(stage.acknowledged(&event).await);
    assert_eq!(stage.cloud.take_call_names(), ["dynamodb:PutItem"]);
    assert_eq!(stage.calls(), [(CallKind::Create, 2), (CallKind::Confirm, 1)]);
    stage.is_paid_once();
}

#[tokio::test]
async fn killed_after_the_creation_it_charges_the_same_intent_later() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.kill_before("dynamodb:PutItem");
    assert!(!stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (None, 0));
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
    assert_eq!(stage.gateway.ledger().intents.len(), 1);
}

#[tokio::test]
async fn killed_before_the_confirmation_it_goes_on_with_it_later() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Unavailable { status: 503 });
    assert!(!stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Pending), 0));
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn killed_after_the_confirmation_it_records_the_one_charge_later() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.kill_before("dynamodb:TransactWriteItems");
    assert!(!stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Pending), 14_850));
    assert!(stage.cloud.announced().is_empty());
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn a_charge_whose_answer_got_lost_or_was_an_error_is_found_by_reading_the_intent() {
    for what in [
        Do::LostResponse { bad_gateway: false },
        Do::LostResponse { bad_gateway: true },
        Do::ServerErrorAfterEffect,
    ] {
        let stage = Stage::set().await;
        stage.trouble(CallKind::Confirm, what);
        assert!(stage.acknowledged(&stage.order()).await);
        stage.is_paid_once();
        let calls = stage.calls();
        assert!(
            calls.contains(&(CallKind::Confirm, 1)) && calls.contains(&(CallKind::Retrieve, 1)),
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn a_decline_whose_answer_got_lost_is_heard_again() {
    let stage = Stage::set().await;
    let event = stage.event(|order| order.payment_method = Some("pm_card_visa_chargeDeclined".into()));
    stage.trouble(CallKind::Confirm, Do::LostResponse { bad_gateway: false });
    assert!(!stage.acknowledged(&event).await);
    assert!(stage.acknowledged(&event).await);
    stage.is_refused_as("card_declined");
}

#[tokio::test]
async fn a_saved_error_without_a_charge_comes_again_until_its_key_is_forgotten() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::ServerError);
    for _ in 0..3 {
        assert!(!stage.acknowledged(&event).await);
        assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Pending), 0));
    }
    assert!(stage.cloud.announced().is_empty());
    // Normally the order's deadline comes first, and the intent is cancelled.
    stage.gateway.gateway().forget_keys();
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn an_answer_under_way_is_not_believed_twice() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Processing { for_ms: 100 });
    assert!(!stage.acknowledged(&event).await);
    assert_eq!(stage.state(), Some(PaymentState::Pending));
    until(|| stage.charged() > 0).await;
    // The confirmation still answers `processing`, as it did first.
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn silence_is_no_verdict() {
    let stage = Stage::with_timeout("150").await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Timeout { delay_ms: 600_000, late: false });
    assert!(!stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Pending), 0));
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn a_confirmation_that_comes_late_charges_once() {
    let stage = Stage::with_timeout("150").await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Timeout { delay_ms: 700, late: true });
    assert!(!stage.acknowledged(&event).await);
    // Its key is in use: the gateway answers 409.
    assert!(!stage.acknowledged(&event).await);
    until(|| stage.charged() > 0).await;
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn once_the_keys_are_forgotten_the_stored_intent_is_the_one() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.kill_before("dynamodb:TransactWriteItems");
    assert!(!stage.acknowledged(&event).await);
    let stored = stage.row().unwrap().intent_id;
    stage.gateway.gateway().forget_keys();
    assert!(stage.acknowledged(&event).await);
    stage.is_paid_once();
    assert_eq!(stage.row().unwrap().intent_id, stored);
    let statuses: Vec<_> = stage.gateway.ledger().intents.into_iter().map(|intent| intent.status).collect();
    assert_eq!(statuses, ["succeeded", "requires_confirmation"], "the second intent never charges");
}

#[tokio::test]
async fn the_stored_intent_is_confirmed_even_if_the_order_can_no_longer_be_created() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Unavailable { status: 503 });
    assert!(!stage.acknowledged(&event).await);
    stage.gateway.gateway().forget_keys();
    let mut changed = event;
    changed["detail"]["paymentMethod"] = json!("pm_gone_since");
    assert!(stage.acknowledged(&changed).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn a_settled_payment_is_left_alone_and_a_tombstone_charges_nothing() {
    use PaymentState::{Charged, Declined, Undoing, Undone};
    for status in [Charged, Declined, Undoing, Undone] {
        let stage = Stage::set().await;
        let settled = Payment {
            order_id: ORDER.into(),
            status,
            intent_id: (status != Undone).then(|| "pi_1".into()),
            amount_minor: None,
            currency: None,
            reason: None,
            answered: Default::default(),
            expires_at: 0,
        };
        stage.cloud.put("PaymentsTable", &settled);
        assert!(stage.acknowledged(&stage.order()).await, "{status:?}");
        assert_eq!(stage.cloud.take_call_names(), ["dynamodb:PutItem"]);
        assert_eq!(stage.calls(), [(CallKind::Create, 1)], "never confirmed");
        assert_eq!((stage.row(), stage.charged()), (Some(settled), 0));
        assert!(stage.cloud.announced().is_empty());
    }
}

#[tokio::test]
async fn a_charge_that_comes_after_the_undoing_began_belongs_to_the_refund() {
    let stage = Stage::set().await;
    stage.trouble(CallKind::Confirm, Do::Timeout { delay_ms: 100, late: true });
    let undoing = async {
        until(|| stage.calls().contains(&(CallKind::Confirm, 1))).await;
        let pending = stage.row().unwrap();
        stage.cloud.put("PaymentsTable", &Payment { status: PaymentState::Undoing, ..pending });
    };
    let event = stage.order();
    let (acknowledged, ()) = tokio::join!(stage.acknowledged(&event), undoing);
    assert!(acknowledged);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Undoing), 14_850));
    assert!(stage.cloud.announced().is_empty(), "who undoes it finds the charge at the gateway");
}

#[tokio::test]
async fn an_intent_that_someone_cancelled_is_acknowledged() {
    let stage = Stage::set().await;
    let event = stage.order();
    stage.trouble(CallKind::Confirm, Do::Unavailable { status: 503 });
    assert!(!stage.acknowledged(&event).await);
    let stripe = eda::stripe::Stripe::new(
        stage.cloud.aws().partner_http().unwrap(),
        stage.gateway.url(),
        eda::stripe::ApiKey::new(API_KEY),
        Duration::from_secs(2),
    );
    stripe.cancel(&stage.row().unwrap().intent_id.unwrap(), "by-hand").await.unwrap();
    assert!(stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Pending), 0));
    assert!(stage.cloud.announced().is_empty());
}

#[tokio::test]
async fn while_the_gateway_is_out_of_order_nothing_is_begun_and_the_message_waits() {
    let stage = Stage::set().await;
    let event = stage.order();
    let outage = Trouble { on: On::default(), times: None, what: Do::Unavailable { status: 503 } };
    stage.gateway.fault(outage).unwrap();
    for _ in 0..5 {
        assert!(!stage.acknowledged(&event).await);
    }
    assert_eq!(stage.calls(), [(CallKind::Create, 5)]);
    stage.cloud.take_calls();

    assert!(!stage.acknowledged(&event).await);
    assert_eq!(stage.calls(), [(CallKind::Create, 5)], "it is not asked in vain");
    let calls = stage.cloud.take_calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].name, "sqs:ChangeMessageVisibilityBatch");
    let hidden = calls[0].body["Entries"][0]["VisibilityTimeout"].as_u64().unwrap();
    assert!((30..=37).contains(&hidden), "until the circuit may be tried, and a little longer: {hidden} s");

    stage.gateway.gateway().clear_faults();
    stage.cloud.advance(Duration::from_secs(30));
    assert!(stage.acknowledged(&event).await);
    assert_eq!((stage.state(), stage.charged()), (Some(PaymentState::Charged), 14_850));
    let names = stage.cloud.announced_names();
    assert_eq!(names.iter().filter(|name| *name == "PaymentProcessed").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "CircuitStateChanged").count(), 3, "{names:?}");
}

#[tokio::test]
async fn what_cannot_be_charged_is_refused_while_the_gateway_is_out_of_order() {
    let stage = Stage::set().await;
    let outage = Trouble { on: On::default(), times: None, what: Do::Unavailable { status: 503 } };
    stage.gateway.fault(outage).unwrap();
    for _ in 0..5 {
        assert!(!stage.acknowledged(&stage.order()).await);
    }
    assert!(stage.acknowledged(&stage.event(|order| order.payment_method = None)).await);
    assert_eq!(stage.state(), Some(PaymentState::Declined));
}

#[tokio::test]
async fn a_lost_reply_of_the_intents_write_is_read_as_what_it_was() {
    let stage = Stage::set().await;
    stage.cloud.inject("dynamodb:PutItem", Fault::ReplyLost);
    assert!(stage.acknowledged(&stage.order()).await);
    stage.is_paid_once();
}

#[tokio::test]
async fn a_rotated_key_is_read_again_and_the_call_repeated() {
    let stage = Stage::set().await;
    let gateway = Hosted::start(Settings::new("sk_test_new")).await.unwrap();
    let changed = [("PAYMENT_GATEWAY_URL", gateway.url())];
    let worker = stage.cloud.worker_of(stage.cloud.start_with::<ProcessPayment>(&changed).await);
    stage.cloud.take_calls();
    let deliver = async || {
        let batch = queue_batch(&[stage.order()]);
        worker.handle(batch, stage.cloud.deadline()).await.batch_item_failures.len()
    };
    assert_eq!(deliver().await, 1, "the old key is refused, and the secret still holds it");
    // The circuit breaker hears of it: a key that is refused is refused for everybody.
    assert_eq!(stage.cloud.take_call_names(), ["secretsmanager:GetSecretValue", "dynamodb:PutItem"]);
    stage.cloud.secret(SECRET, "sk_test_new\n");
    assert_eq!(deliver().await, 0);
    let names = stage.cloud.take_call_names();
    assert_eq!(names, ["secretsmanager:GetSecretValue", "dynamodb:PutItem", "dynamodb:TransactWriteItems"]);
    assert_eq!(gateway.ledger().intents[0].charged, 14_850);
}

#[tokio::test]
async fn poison_is_parked_with_its_reason() {
    let stage = Stage::set().await;
    let mut poison = stage.order();
    poison["detail"]["totalAmount"] = json!("much");
    assert!(stage.acknowledged(&poison).await);
    let calls = stage.cloud.take_calls();
    assert_eq!(calls.len(), 1);
    let reason = calls[0].body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(reason.contains("totalAmount"), "{reason}");
}

#[tokio::test]
async fn a_state_machine_gets_the_payment_however_often_it_calls() {
    let stage = Stage::set().await;
    let order = stage.order();
    let first = stage.call(&order).await.unwrap();
    assert_eq!(first["detail"], stage.cloud.announced()[0].1);
    let again = stage.call(&order).await.unwrap();
    assert_eq!(again["detail"]["paymentId"], first["detail"]["paymentId"]);
    assert_eq!(again["detail"]["metadata"]["eventId"], first["detail"]["metadata"]["eventId"]);
    assert_eq!(stage.cloud.announced_names(), ["PaymentProcessed"]);
    assert_eq!(stage.gateway.ledger().intents.iter().map(|intent| intent.charges).sum::<u32>(), 1);
}

#[tokio::test]
async fn a_state_machine_is_told_why_nothing_was_charged() {
    for (method, reason) in
        [(None, "no_payment_method"), (Some("pm_card_visa_chargeDeclined"), "card_declined")]
    {
        let stage = Stage::set().await;
        let order = stage.event(|order| order.payment_method = method.map(ToOwned::to_owned));
        for _ in 0..2 {
            let (name, said) = stage.call(&order).await.unwrap_err();
            assert_eq!((name, said.as_str()), ("PaymentDeclined", reason));
        }
        assert_eq!(stage.cloud.announced_names(), ["PaymentFailed"]);
    }
}

#[tokio::test]
async fn a_state_machine_that_comes_after_the_compensation_is_told_so() {
    let stage = Stage::set().await;
    for status in [PaymentState::Undoing, PaymentState::Undone] {
        let row = Payment {
            order_id: ORDER.into(),
            status,
            intent_id: None,
            amount_minor: None,
            currency: None,
            reason: None,
            answered: Default::default(),
            expires_at: 0,
        };
        stage.cloud.put("PaymentsTable", &row);
        assert_eq!(stage.call(&stage.order()).await.unwrap_err().0, "Compensated", "{status:?}");
    }
    assert!(stage.gateway.ledger().intents.iter().all(|intent| intent.charges == 0));
}
