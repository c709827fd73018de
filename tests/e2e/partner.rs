//! A partner in another account, for which a second bus stands in.

use std::collections::BTreeMap;

use aws_sdk_eventbridge::types::{PutEventsRequestEntry, Target};
use localcloud::{GatewayHost, LocalCloud, Options, Progress, Stack, Workspace};
use serde_json::{Value, json};
use shop::testing::place_order;

use super::clouds::{eventually, run};

const ACCOUNT: &str = "000000000000";
const PARTNER: &str = "partner";

async fn with_partner() -> LocalCloud {
    let parameters = BTreeMap::from([
        ("PartnerAccountId".to_owned(), ACCOUNT.to_owned()),
        ("PartnerBusArn".to_owned(), format!("arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{PARTNER}")),
    ]);
    let options = Options { gateway: GatewayHost::Thread, parameters };
    LocalCloud::up(&Workspace::find().unwrap(), options, &Progress::silent()).await.unwrap()
}

/// The partner's bus, and the queue in which it hears everything; answers the queue's URL.
async fn partner(stack: &Stack) -> String {
    stack.eventbridge().create_event_bus().name(PARTNER).send().await.unwrap();
    let queue = stack.sqs().create_queue().queue_name(PARTNER).send().await.unwrap().queue_url.unwrap();
    let rule = stack.eventbridge().put_rule().event_bus_name(PARTNER).name("everything");
    rule.event_pattern(json!({ "account": [ACCOUNT] }).to_string()).send().await.unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{PARTNER}");
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    let targets = stack.eventbridge().put_targets().event_bus_name(PARTNER).rule("everything");
    targets.targets(target).send().await.unwrap();
    queue
}

async fn placed(stack: &Stack, key: &str) -> String {
    let order = serde_json::to_value(place_order(&[("keyboard", 1)])).unwrap();
    let accepted = stack.post("/orders", &[("idempotency-key", key)], &order).await.unwrap();
    let accepted: Value = accepted.json().unwrap();
    accepted["orderId"].as_str().unwrap().to_owned()
}

/// What the partner hears until it hears of this order's end.
async fn heard_until_confirmed(stack: &Stack, queue: &str, order_id: &str) -> Vec<Value> {
    let mut heard: Vec<Value> = Vec::new();
    eventually(&format!("the partner hears of {order_id}"), async || {
        let received = stack.sqs().receive_message().queue_url(queue).max_number_of_messages(10);
        for message in received.send().await.ok()?.messages() {
            heard.push(serde_json::from_str(message.body()?).ok()?);
            let delete = stack.sqs().delete_message().queue_url(queue);
            delete.receipt_handle(message.receipt_handle()?).send().await.ok()?;
        }
        heard.iter().any(|event| event["detail"]["orderId"] == order_id).then_some(())
    })
    .await;
    heard
}

#[test]
fn the_partner_hears_how_our_orders_end_and_what_it_says_stays_here() {
    run(async {
        let cloud = with_partner().await;
        let stack = cloud.stack();
        let queue = partner(stack).await;

        let first = placed(stack, "first").await;
        let heard = heard_until_confirmed(stack, &queue, &first).await;
        let [confirmed] = heard.as_slice() else { panic!("{heard:?}") };
        assert_eq!(
            (&confirmed["source"], &confirmed["detail-type"]),
            (&json!("orders"), &json!("OrderConfirmed"))
        );
        let stored = stack.rows("EventStoreTable").await.unwrap();
        let stored = stored.iter().find(|row| row["aggregateId"] == first && row["version"] == 2).unwrap();
        assert_eq!(confirmed["detail"]["metadata"]["eventId"], stored["eventId"], "the very event");

        // What the partner says, under a name of ours, is not sent back to it: the next it hears is our next order.
        let said = PutEventsRequestEntry::builder().event_bus_name(stack.output("EventBus").unwrap());
        let said = said.source("partner.orders").detail_type("OrderConfirmed");
        let said = said.detail(json!({ "orderId": "theirs" }).to_string()).build();
        stack.eventbridge().put_events().entries(said).send().await.unwrap();
        let second = placed(stack, "second").await;
        let heard = heard_until_confirmed(stack, &queue, &second).await;
        let orders: Vec<_> = heard.iter().map(|event| &event["detail"]["orderId"]).collect();
        assert_eq!(orders, [&json!(second)]);

        let bus = stack.eventbridge().describe_event_bus().name(stack.output("EventBus").unwrap());
        let policy = bus.send().await.unwrap().policy.unwrap();
        let policy: Value = serde_json::from_str(&policy).unwrap();
        let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
        assert_eq!(
            (&statement["Sid"], &statement["Action"]),
            (&json!("PartnerPutsItsOwnEvents"), &json!("events:PutEvents"))
        );
    });
}
