//! The mailing against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use eda::Failure;
use eda::idempotency::{Progress, Record};
use eda::row::Key;
use eda::serve::{Task, perform};
use eda::testing::{Fault, TestCloud};
use send_receipt::{Report, SendReceipt};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const ONCE: [&str; 4] = ["dynamodb:PutItem", "dynamodb:UpdateItem", "ses:SendEmail", "dynamodb:UpdateItem"];

fn cloud() -> TestCloud {
    TestCloud::of("send-receipt")
}

fn input(order_id: &str) -> Box<RawValue> {
    let input = json!({
        "orderId": order_id, "customerEmail": "ada@example.com", "amount": "99.5 USD",
        "eventId": "7c1f1a34-51d7-5b0e-8f43-9d1e6a0b7c53",
    });
    RawValue::from_string(input.to_string()).unwrap()
}

async fn started(cloud: &TestCloud) -> SendReceipt {
    cloud.start_with::<SendReceipt>(&[("RECEIPT_SENDER", "receipts@example.com")]).await
}

async fn send(cloud: &TestCloud, order_id: &str) -> Result<Report, Failure> {
    perform(&started(cloud).await, &input(order_id), cloud.deadline()).await
}

fn mails(cloud: &TestCloud) -> Vec<Value> {
    let calls = cloud.take_calls().into_iter();
    calls.filter(|call| call.name == "ses:SendEmail").map(|call| call.body).collect()
}

fn record(cloud: &TestCloud, order_id: &str) -> Option<Record> {
    cloud.get("IdempotencyTable", Key::of(format!("receipt#{order_id}")))
}

#[tokio::test]
async fn a_receipt_is_mailed_and_remembered() {
    let cloud = cloud();
    assert_eq!(send(&cloud, "o1").await.unwrap(), Report { sent: true });
    let calls = cloud.take_calls();
    assert_eq!(calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ONCE);
    let mail = &calls[2].body;
    assert_eq!(mail["FromEmailAddress"], "receipts@example.com");
    assert_eq!(mail["Destination"]["ToAddresses"], json!(["ada@example.com"]));
    let text = mail["Content"]["Simple"]["Body"]["Text"]["Data"].as_str().unwrap();
    assert!(text.contains("o1") && text.contains("99.5 USD"), "{text}");
    let record = record(&cloud, "o1").unwrap();
    assert_eq!((record.status, record.result.as_deref()), (Progress::Completed, Some("mail-1")));
}

#[tokio::test]
async fn a_duplicate_sends_nothing_for_one_call() {
    let cloud = cloud();
    send(&cloud, "o1").await.unwrap();
    cloud.take_calls();
    cloud.advance(Duration::from_secs(86_400));
    assert_eq!(send(&cloud, "o1").await.unwrap(), Report { sent: false });
    assert_eq!(cloud.take_call_names(), ["dynamodb:PutItem"]);
}

#[tokio::test]
async fn two_invocations_at_once_send_one_mail() {
    let cloud = cloud();
    let (one, other) = tokio::join!(send(&cloud, "o1"), send(&cloud, "o1"));
    let sent = [one, other].into_iter().flatten().filter(|report| report.sent).count();
    assert_eq!(sent, 1, "the other finds it done, or is told to come again");
    assert_eq!(mails(&cloud).len(), 1);
    assert_eq!(send(&cloud, "o1").await.unwrap(), Report { sent: false });
}

#[tokio::test]
async fn what_certainly_sent_nothing_may_be_tried_again() {
    for status in [429, 403, 400] {
        let cloud = cloud();
        cloud.inject("ses:SendEmail", Fault::Refused(status, "Refused", json!({})));
        assert!(send(&cloud, "o1").await.is_err());
        assert_eq!(send(&cloud, "o1").await.unwrap(), Report { sent: true }, "after {status}");
        assert_eq!(mails(&cloud).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_gone_out_is_never_sent_again_and_stays_for_a_human() {
    for fault in [Fault::ReplyLost, Fault::Refused(500, "InternalFailure", json!({}))] {
        let cloud = cloud();
        cloud.inject("ses:SendEmail", fault);
        assert!(send(&cloud, "o1").await.is_err());
        assert_eq!(mails(&cloud).len(), 1, "the client does not repeat it either");
        // Within the lease it may still be under way; after it, nobody can know.
        assert!(send(&cloud, "o1").await.is_err());
        cloud.advance(Duration::from_secs(60));
        let failure = send(&cloud, "o1").await.unwrap_err();
        assert!(failure.to_string().contains("a human decides"), "{failure}");
        assert!(mails(&cloud).is_empty());
        assert_eq!(record(&cloud, "o1").unwrap().status, Progress::Sending);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_cannot_be_remembered_is_not_sent_again() {
    let cloud = cloud();
    send(&cloud, "o0").await.unwrap();
    // The mark before the mail is made; the record after it is not.
    cloud.inject("ses:SendEmail", Fault::Answered(json!({ "MessageId": "mail-2" })));
    let receipts = started(&cloud).await;
    let answered = Fault::Answered(json!({}));
    cloud.inject("dynamodb:UpdateItem", answered);
    for _ in 0..3 {
        cloud.inject("dynamodb:UpdateItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert!(perform(&receipts, &input("o1"), cloud.deadline()).await.is_err());
    assert_eq!(mails(&cloud).len(), 2);
}

#[tokio::test]
async fn an_invocation_that_died_before_the_mail_is_succeeded_after_its_lease() {
    let cloud = cloud();
    let dead = Record {
        idempotency_key: "receipt#o1".into(),
        status: Progress::Working,
        owner: "somebody".into(),
        leased_until: cloud.ambient().now().as_millisecond() + 35_000,
        result: None,
        expires_at: i64::MAX,
    };
    cloud.put("IdempotencyTable", &dead);
    assert!(send(&cloud, "o1").await.is_err());
    cloud.advance(Duration::from_secs(36));
    assert_eq!(send(&cloud, "o1").await.unwrap(), Report { sent: true });
}

#[tokio::test]
async fn no_failure_tells_an_address() {
    let cloud = cloud();
    let message = json!({ "message": "Email address is not verified: ada@example.com" });
    cloud.inject("ses:SendEmail", Fault::Refused(400, "MessageRejected", message));
    let failure = send(&cloud, "o1").await.unwrap_err();
    assert!(!failure.chain().contains("ada"), "{}", failure.chain());

    let receipts = started(&cloud).await;
    for wrong in [
        json!({ "orderId": "o1", "customerEmail": ["ada@example.com"] }),
        json!({ "customerEmail": "ada@example.com" }),
    ] {
        let wrong = RawValue::from_string(wrong.to_string()).unwrap();
        let failure = perform(&receipts, &wrong, cloud.deadline()).await.err().unwrap();
        assert!(!failure.chain().contains("ada"), "{}", failure.chain());
    }
}

#[tokio::test]
async fn an_input_without_an_id_sends_nothing_and_names_what_is_missing() {
    let cloud = cloud();
    let receipts = started(&cloud).await;
    for missing in ["orderId", "eventId", "customerEmail", "amount"] {
        let mut input: Value = serde_json::from_str(input("o1").get()).unwrap();
        input.as_object_mut().unwrap().remove(missing);
        let input = RawValue::from_string(input.to_string()).unwrap();
        let failure = perform(&receipts, &input, cloud.deadline()).await.err().unwrap();
        assert!(failure.chain().contains(missing), "{}", failure.chain());
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn the_sample_is_understood() {
    let cloud = cloud();
    let sample = RawValue::from_string(include_str!("../events/order-enriched.json").into()).unwrap();
    let receipts = started(&cloud).await;
    assert!(perform(&receipts, &sample, cloud.deadline()).await.unwrap().sent);
    assert_eq!(
        SendReceipt::run(&receipts, serde_json::from_str(sample.get()).unwrap(), cloud.deadline())
            .await
            .unwrap(),
        Report { sent: false }
    );
}
