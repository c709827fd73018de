use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "sk_test_local";
const CARD: &str = "amount=9900&currency=usd&payment_method=pm_card_visa\
                    &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never\
                    &metadata[orderId]=42";

/// A gateway whose clock the test holds.
struct Bench {
    gateway: Gateway,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings { id_seed: Uuid::nil(), ..Settings::new(KEY) };
        Self { gateway: Gateway::new(settings), now: Timestamp::from_second(1_800_000_000).unwrap() }
    }

    fn with(fault: Value) -> Self {
        let bench = Self::new();
        bench.fault(fault);
        bench
    }

    fn fault(&self, fault: Value) -> ActiveFault {
        self.gateway.add_fault(serde_json::from_value(fault).unwrap()).unwrap()
    }

    fn step(&self, method: &str, url: &str, body: &str, key: Option<&str>) -> Step {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            authorization: Some(format!("Bearer {KEY}")),
            idempotency_key: key.map(str::to_owned),
            body: body.to_owned(),
        };
        self.gateway.receive(&request, self.now)
    }

    fn answer(&self, method: &str, url: &str, body: &str, key: Option<&str>) -> (u16, Value, bool) {
        match self.step(method, url, body, key) {
            Step::Answer(answer) => {
                (answer.status, serde_json::from_str(&answer.body).unwrap(), answer.replayed)
            }
            other => panic!("{other:?}"),
        }
    }

    fn post(&self, url: &str, body: &str, key: &str) -> (u16, Value, bool) {
        self.answer("POST", url, body, Some(key))
    }

    /// The path of a new intent.
    fn create(&self, form: &str) -> String {
        let (status, intent, _) = self.answer("POST", "/v1/payment_intents", form, None);
        assert_eq!(status, 200, "{intent}");
        format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap())
    }

    fn status(&self, path: &str) -> String {
        self.answer("GET", path, "", None).1["status"].as_str().unwrap().to_owned()
    }

    fn entry(&self) -> LedgerIntent {
        self.gateway.ledger(self.now).intents.pop().unwrap()
    }
}

fn authorized(header: Option<String>) -> u16 {
    let request = Request {
        method: "GET".to_owned(),
        path: "/v1/refunds".to_owned(),
        authorization: header,
        ..Request::default()
    };
    match Bench::new().gateway.receive(&request, Timestamp::UNIX_EPOCH) {
        Step::Answer(answer) => answer.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_key_is_a_bearer_token_or_a_basic_user_and_nothing_else() {
    assert_eq!(authorized(Some(format!("Bearer {KEY}"))), 200);
    assert_eq!(authorized(Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{KEY}:"))))), 200);
    assert_eq!(authorized(Some("Bearer sk_test_other".to_owned())), 401);
    assert_eq!(authorized(Some("Basic !!".to_owned())), 401);
    assert_eq!(authorized(None), 401);
}

#[rstest]
#[case("currency=usd", "amount", "parameter_missing")]
#[case("amount=ten&currency=usd", "amount", "parameter_invalid_integer")]
#[case("amount=0&currency=usd", "amount", "parameter_invalid_integer")]
#[case("amount=49&currency=usd", "amount", "amount_too_small")]
#[case("amount=100000000&currency=usd", "amount", "amount_too_large")]
#[case("amount=100&currency=", "currency", "parameter_invalid_empty")]
#[case("amount=100&currency=usd&colour=red", "colour", "parameter_unknown")]
#[case("amount=100&currency=usd&payment_method=pm_unknown", "payment_method", "resource_missing")]
fn a_wrong_parameter_is_named(#[case] form: &str, #[case] param: &str, #[case] code: &str) {
    let (status, body, _) = Bench::new().answer("POST", "/v1/payment_intents", form, None);
    assert_eq!(status, 400);
    assert_eq!((&body["error"]["param"], &body["error"]["code"]), (&json!(param), &json!(code)));
}

#[test]
fn an_unknown_url_and_an_unknown_intent_are_not_found() {
    let bench = Bench::new();
    assert_eq!(bench.answer("POST", "/v1/charges", "", None).0, 404);
    let (status, body, _) = bench.answer("GET", "/v1/payment_intents/pi_none", "", None);
    assert_eq!((status, &body["error"]["code"]), (404, &json!("resource_missing")));
}

#[test]
fn every_documented_card_succeeds_declines_or_asks_for_authentication() {
    for name in cards::NAMES {
        let bench = Bench::new();
        let path = bench.create(&CARD.replace("pm_card_visa", name));
        let (status, body, _) = bench.answer("POST", &format!("{path}/confirm"), "", None);
        if name.contains("charge") || name.contains("Block") {
            assert_eq!((status, &body["error"]["type"]), (402, &json!("card_error")), "{name}");
            assert_eq!(body["error"]["payment_intent"]["status"], "requires_payment_method", "{name}");
            assert_eq!((bench.entry().declines, bench.entry().charged), (1, 0), "{name}");
        } else if name.contains("authentication") {
            assert_eq!((status, &body["status"]), (200, &json!("requires_action")), "{name}");
        } else {
            assert_eq!((status, &body["status"]), (200, &json!("succeeded")), "{name}");
            assert_eq!((bench.entry().charges, bench.entry().charged), (1, 9900), "{name}");
        }
    }
}

#[test]
fn where_nobody_can_authenticate_a_card_that_needs_it_is_declined() {
    let bench = Bench::new();
    let path = bench.create(&CARD.replace("pm_card_visa", "pm_card_authenticationRequired"));
    let unattended = "error_on_requires_action=true";
    let (status, body, _) = bench.answer("POST", &format!("{path}/confirm"), unattended, None);
    assert_eq!((status, &body["error"]["code"]), (402, &json!("authentication_required")));
    assert_eq!(bench.status(&path), "requires_payment_method");
}

#[test]
fn a_declined_intent_takes_another_card() {
    let bench = Bench::new();
    let path = bench.create(&CARD.replace("pm_card_visa", "pm_card_chargeDeclined"));
    let confirm = format!("{path}/confirm");
    assert_eq!(bench.post(&confirm, "", "first").0, 402);
    let (status, body, _) = bench.post(&confirm, "", "second");
    assert_eq!((status, &body["error"]["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(bench.post(&confirm, "payment_method=pm_card_amex", "third").0, 200);
    assert_eq!(bench.entry().payment_method.as_deref(), Some("pm_card_amex"));
}

#[test]
fn an_intent_that_could_redirect_needs_somewhere_to_return_to() {
    let bench = Bench::new();
    let path = bench.create("amount=9900&currency=usd&payment_method=pm_card_visa");
    let (status, body, _) = bench.answer("POST", &format!("{path}/confirm"), "", None);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("return_url")));
    let cards_only =
        bench.create("amount=9900&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card");
    assert_eq!(bench.answer("POST", &format!("{cards_only}/confirm"), "", None).0, 200);
}

#[test]
fn a_key_repeats_its_answer_until_its_time_is_over() {
    let mut bench = Bench::new();
    let (_, first, replayed) = bench.post("/v1/payment_intents", CARD, "42:create");
    assert!(!replayed);
    bench.now += Duration::from_secs(24 * 60 * 60 - 1);
    let (_, again, replayed) = bench.post("/v1/payment_intents", CARD, "42:create");
    assert_eq!((&again, replayed), (&first, true));
    bench.now += Duration::from_secs(1);
    let (_, other, replayed) = bench.post("/v1/payment_intents", CARD, "42:create");
    assert!(!replayed && other["id"] != first["id"]);
}

#[test]
fn a_key_is_for_one_endpoint_and_one_set_of_parameters() {
    let bench = Bench::new();
    let reordered = CARD.split('&').rev().collect::<Vec<_>>().join("&");
    bench.post("/v1/payment_intents", CARD, "k");
    assert!(bench.post("/v1/payment_intents", &reordered, "k").2, "the order of parameters means nothing");
    for (url, form) in [("/v1/payment_intents", "amount=1&currency=eur"), ("/v1/refunds", CARD)] {
        let (status, body, _) = bench.post(url, form, "k");
        assert_eq!((status, &body["error"]["type"]), (400, &json!("idempotency_error")), "{url}");
    }
}

#[test]
fn what_fails_validation_is_not_saved_but_what_executed_in_vain_is() {
    let bench = Bench::new();
    assert_eq!(bench.post("/v1/payment_intents", "amount=x&currency=usd", "k").0, 400);
    assert_eq!(bench.post("/v1/payment_intents", CARD, "k").0, 200);
    let unknown = CARD.replace("pm_card_visa", "pm_x");
    assert!(!bench.post("/v1/payment_intents", &unknown, "m").2);
    assert!(bench.post("/v1/payment_intents", &unknown, "m").2);
}

#[test]
fn refunds_are_partial_listed_newest_first_and_never_exceed_the_charge() {
    let bench = Bench::new();
    let path = bench.create(CARD);
    let id = path.rsplit('/').next().unwrap();
    let refund =
        |rest: &str| bench.answer("POST", "/v1/refunds", &format!("payment_intent={id}{rest}"), None);
    assert_eq!(refund("").0, 400, "nothing has been charged yet");
    bench.answer("POST", &format!("{path}/confirm"), "", None);
    assert_eq!(refund("&amount=4000").1["amount"], 4000);
    assert_eq!(refund("&amount=9000").1["error"]["param"], "amount");
    assert_eq!(refund("").1["amount"], 5900);
    assert_eq!(refund("").1["error"]["code"], "charge_already_refunded");
    let (_, list, _) = bench.answer("GET", &format!("/v1/refunds?payment_intent={id}&limit=1"), "", None);
    assert_eq!((&list["has_more"], &list["data"][0]["amount"]), (&json!(true), &json!(5900)));
    let entry = bench.entry();
    assert_eq!((entry.charged, entry.refunds, entry.refunded), (9900, 2, 9900));
}

#[test]
fn processing_succeeds_by_itself_and_cannot_be_canceled_meanwhile() {
    let mut bench = Bench::with(json!({"times": 1, "do": {"kind": "processing", "forMs": 2000}}));
    let path = bench.create(CARD);
    let (_, body, _) = bench.post(&format!("{path}/confirm"), "", "k");
    assert_eq!(body["status"], "processing");
    let (status, body, _) = bench.post(&format!("{path}/cancel"), "", "c");
    assert_eq!((status, &body["error"]["payment_intent"]["status"]), (400, &json!("processing")));
    assert_eq!(bench.entry().charged, 0);
    bench.now += Duration::from_secs(2);
    assert_eq!((bench.entry().status.as_str(), bench.entry().charged), ("succeeded", 9900));
    assert_eq!(bench.status(&path), "succeeded");
}

#[rstest]
#[case(json!({"call": "confirm"}), true)]
#[case(json!({"call": "refund"}), false)]
#[case(json!({"path": "/confirm$"}), true)]
#[case(json!({"path": "^/refunds"}), false)]
#[case(json!({"paymentMethod": "pm_card_visa"}), true)]
#[case(json!({"paymentMethod": "pm_card_amex"}), false)]
#[case(json!({"metadata": {"orderId": "42"}}), true)]
#[case(json!({"metadata": {"orderId": "42", "other": "x"}}), false)]
fn a_fault_strikes_what_all_its_selectors_fit(#[case] on: Value, #[case] strikes: bool) {
    let bench = Bench::new();
    let path = bench.create(CARD);
    bench.fault(json!({"on": on, "do": {"kind": "unavailable"}}));
    let (status, ..) = bench.post(&format!("{path}/confirm"), "", "k");
    assert_eq!(status, if strikes { 503 } else { 200 });
}

#[test]
fn a_fault_strikes_as_often_as_it_should_and_is_counted() {
    let bench = Bench::with(json!({"times": 2, "do": {"kind": "unavailable", "status": 429}}));
    let statuses: Vec<u16> = (0..3).map(|_| bench.answer("GET", "/v1/refunds", "", None).0).collect();
    assert_eq!(statuses, [429, 429, 200]);
    let active = bench.gateway.faults();
    assert_eq!((active[0].id.as_str(), active[0].struck), ("fault_1", 2));
    assert!(bench.gateway.remove_fault("fault_1") && !bench.gateway.remove_fault("fault_1"));
}

#[test]
fn a_decline_waits_for_the_confirmation_and_is_not_spent_on_a_replay() {
    let bench = Bench::with(json!({"times": 2, "do": {"kind": "decline", "declineCode": "do_not_honor"}}));
    let path = bench.create(CARD);
    let confirm = format!("{path}/confirm");
    for replayed in [false, true] {
        let (status, body, again) = bench.post(&confirm, "", "k");
        assert_eq!((status, &body["error"]["decline_code"]), (402, &json!("do_not_honor")));
        assert_eq!(again, replayed);
    }
    assert_eq!(bench.gateway.faults()[0].struck, 1);
}

#[rstest]
#[case("server_error", "requires_confirmation")]
#[case("server_error_after_effect", "succeeded")]
fn a_server_error_is_saved_whether_or_not_it_took_effect(#[case] kind: &str, #[case] status: &str) {
    let bench = Bench::with(json!({"on": {"call": "confirm"}, "times": 1, "do": {"kind": kind}}));
    let path = bench.create(CARD);
    for replayed in [false, true] {
        let (status, _, again) = bench.post(&format!("{path}/confirm"), "", "k");
        assert_eq!((status, again), (500, replayed));
    }
    assert_eq!(bench.status(&path), status);
}

#[test]
fn a_lost_response_is_saved_under_the_key() {
    let bench = Bench::with(json!({"on": {"call": "confirm"}, "times": 1, "do": {"kind": "lost_response"}}));
    bench.fault(
        json!({"on": {"call": "refund"}, "times": 1, "do": {"kind": "lost_response", "badGateway": true}}),
    );
    let path = bench.create(CARD);
    let confirm = format!("{path}/confirm");
    assert!(matches!(bench.step("POST", &confirm, "", Some("k")), Step::Drop));
    let (status, body, replayed) = bench.post(&confirm, "", "k");
    assert_eq!((status, &body["status"], replayed), (200, &json!("succeeded"), true));
    let form = format!("payment_intent={}", path.rsplit('/').next().unwrap());
    assert_eq!(bench.post("/v1/refunds", &form, "r").0, 502);
    assert_eq!((bench.entry().charges, bench.entry().refunds), (1, 1));
    assert_eq!(bench.post("/v1/refunds", &form, "r").0, 200);
}

#[rstest]
#[case(false, "requires_confirmation")]
#[case(true, "succeeded")]
fn a_timeout_does_nothing_or_does_it_late(#[case] late: bool, #[case] status: &str) {
    let fault =
        json!({"on": {"call": "confirm"}, "times": 1, "do": {"kind": "timeout", "delayMs": 9, "late": late}});
    let bench = Bench::with(fault);
    let path = bench.create(CARD);
    let confirm = format!("{path}/confirm");
    let Step::Wait(delay, ticket) = bench.step("POST", &confirm, "", Some("k")) else { panic!("no wait") };
    assert_eq!(delay, Duration::from_millis(9));
    assert_eq!(bench.status(&path), "requires_confirmation");
    if late {
        let (status, body, _) = bench.post(&confirm, "", "k");
        assert_eq!((status, &body["error"]["code"]), (409, &json!("idempotency_key_in_use")));
    }
    let answered = matches!(bench.gateway.resume(ticket, bench.now), Step::Answer(_));
    assert_eq!(answered, late);
    assert_eq!(bench.status(&path), status);
}

#[test]
fn without_memory_for_keys_only_the_state_protects() {
    let bench = Bench::with(json!({"do": {"kind": "forget_keys"}}));
    let first = bench.post("/v1/payment_intents", CARD, "k").1;
    let second = bench.post("/v1/payment_intents", CARD, "k").1;
    assert_ne!(first["id"], second["id"], "two intents for one order: both are unconfirmed");
    let confirm = format!("/v1/payment_intents/{}/confirm", first["id"].as_str().unwrap());
    assert_eq!(bench.post(&confirm, "", "c").0, 200);
    let (status, body, _) = bench.post(&confirm, "", "c");
    assert_eq!((status, &body["error"]["payment_intent"]["status"]), (400, &json!("succeeded")));
}

#[test]
fn keys_are_forgotten_on_demand_and_by_a_shorter_life() {
    let mut bench = Bench::new();
    bench.post("/v1/payment_intents", CARD, "k");
    bench.gateway.forget_keys();
    assert!(!bench.post("/v1/payment_intents", CARD, "k").2);
    bench.gateway.set_key_lifetime(Duration::from_millis(5));
    bench.now += Duration::from_millis(5);
    assert!(!bench.post("/v1/payment_intents", CARD, "k").2);
}

#[test]
fn equal_seeds_and_equal_calls_give_equal_ids() {
    assert_eq!(Bench::new().create(CARD), Bench::new().create(CARD));
    let other = Gateway::new(Settings::new(KEY));
    let bench = Bench { gateway: other, now: Timestamp::UNIX_EPOCH };
    assert_ne!(bench.create(CARD), Bench::new().create(CARD));
}

#[test]
fn faults_have_one_form_and_typing_errors_are_refused() {
    let fault = json!({
        "on": {"call": "confirm", "path": "/pi_.*", "paymentMethod": "pm_card_visa",
            "metadata": {"orderId": "42"}},
        "times": 2,
        "do": {"kind": "timeout", "delayMs": 30000, "late": true},
    });
    let typed: Fault = serde_json::from_value(fault.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), fault);
    for wrong in [
        json!({"on": {"method": "x"}, "do": {"kind": "server_error"}}),
        json!({"do": {"kind": "timeout", "delay": 1}}),
        json!({"do": {"kind": "timeout", "delayMs": 1, "lat": true}}),
        json!({"do": {"kind": "earthquake"}}),
    ] {
        assert!(serde_json::from_value::<Fault>(wrong.clone()).is_err(), "{wrong}");
    }
    let pattern = serde_json::from_value(json!({"on": {"path": "("}, "do": {"kind": "server_error"}}));
    assert!(Bench::new().gateway.add_fault(pattern.unwrap()).unwrap_err().contains("on.path"));
}

#[test]
fn the_ledger_shows_intents_and_calls_under_stable_names() {
    let bench = Bench::new();
    let path = bench.create(CARD);
    let id = path.rsplit('/').next().unwrap();
    bench.answer("POST", &format!("{path}/confirm"), "", None);
    let ledger = serde_json::to_value(bench.gateway.ledger(bench.now)).unwrap();
    assert_eq!(
        ledger,
        json!({
            "intents": [{
                "id": id, "metadata": {"orderId": "42"}, "amount": 9900, "currency": "usd",
                "status": "succeeded", "paymentMethod": "pm_card_visa", "charges": 1, "declines": 0,
                "charged": 9900, "refunds": 0, "refunded": 0,
            }],
            "calls": {"create": 1, "confirm": 1},
        })
    );
}
