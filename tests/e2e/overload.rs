//! More requests than there is room for: what is refused can be sent again, and what is accepted is there.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use localcloud::{Answer, GatewayHost, LocalCloud, Options, Progress, Stack, Workspace, sample_order};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::clouds::{eventually, run};

/// How many requests the API takes at once.
const ROOM: usize = 2;
/// How many orders come at once.
const ORDERS: usize = 40;
/// How long a client waits at most before it tries again; it says so itself where the answer does not.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// A cloud whose API has room for a few requests only.
async fn narrow() -> LocalCloud {
    let parameters = [("ApiConcurrency", ROOM.to_string()), ("ApiRequestsPerSecond", "50".to_owned())];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).into();
    let options = Options { gateway: GatewayHost::Thread, parameters };
    LocalCloud::up(&Workspace::find().unwrap(), options, &Progress::silent()).await.unwrap()
}

/// Sends an order until it is accepted, later and later and at random; answers its id and the refusals.
async fn insist(stack: Stack, order: Value) -> (String, Vec<Answer>) {
    let (key, mut rng, mut refusals) = (Uuid::now_v7().to_string(), Rng::new(), Vec::new());
    let mut wait = Duration::from_millis(20);
    loop {
        let answer = stack.post("/orders", &[("idempotency-key", &key)], &order).await.unwrap();
        if answer.status == 202 {
            let accepted: Value = answer.json().unwrap();
            return (accepted["orderId"].as_str().unwrap().to_owned(), refusals);
        }
        refusals.push(answer);
        tokio::time::sleep(wait.mul_f64(rng.f64())).await;
        wait = (2 * wait).min(LONGEST_WAIT);
    }
}

/// Says that there is no room, and nothing of what is behind the API.
fn is_refusal(answer: &Answer) -> bool {
    let body: Value = answer.json().unwrap();
    match answer.status {
        429 => body == json!({ "message": "Too Many Requests" }),
        503 if answer.header("content-type") == Some("application/problem+json") => {
            answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok())
        }
        503 => body == json!({ "message": "Service Unavailable" }),
        _ => false,
    }
}

#[test]
fn orders_for_which_there_is_no_room_are_refused_and_each_that_is_accepted_is_there_once() {
    run(async {
        let cloud = narrow().await;
        let stack = cloud.stack();
        let customer = format!("customer-{}", Uuid::now_v7());
        let mut order = sample_order();
        order["customerId"] = json!(customer);

        let clients: JoinSet<_> = (0..ORDERS).map(|_| insist(stack.clone(), order.clone())).collect();
        let (mut accepted, mut refusals) = (BTreeSet::new(), Vec::new());
        for (order, refused) in clients.join_all().await {
            accepted.insert(order);
            refusals.extend(refused);
        }

        assert_eq!(accepted.len(), ORDERS);
        assert!(!refusals.is_empty(), "{ORDERS} orders at once found room");
        for refusal in &refusals {
            assert!(is_refusal(refusal), "{} {}", refusal.status, refusal.text());
        }
        let listed = async || {
            let answer = stack.get(&format!("/customers/{customer}/orders?limit=100")).await.unwrap();
            let list: Value = answer.json().unwrap();
            let orders = list["orders"].as_array()?.iter();
            let listed: Vec<_> = orders.map(|order| order["orderId"].as_str().unwrap().to_owned()).collect();
            (listed.len() >= ORDERS).then_some(listed)
        };
        let listed = eventually("all orders are listed", listed).await;
        assert_eq!(listed.len(), ORDERS, "an order is listed twice");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), accepted);

        // What takes orders has no room at all; what reads them has its own.
        let function = stack.function("place-order").unwrap();
        let limited = stack.lambda().put_function_concurrency().function_name(function);
        limited.reserved_concurrent_executions(0).send().await.unwrap();
        let key = Uuid::now_v7().to_string();
        let refused = stack.post("/orders", &[("idempotency-key", &key)], &order).await.unwrap();
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(is_refusal(&refused), "{}", refused.text());
        let known = accepted.first().unwrap();
        let read = async || {
            let answer = stack.get(&format!("/orders/{known}")).await.unwrap();
            assert!(answer.status == 200 || is_refusal(&answer), "{}", answer.text());
            (answer.status == 200).then_some(())
        };
        eventually("an order is read", read).await;
        stack.lambda().delete_function_concurrency().function_name(function).send().await.unwrap();
        let again = async || {
            let answer = stack.post("/orders", &[("idempotency-key", &key)], &order).await.unwrap();
            assert!(answer.status == 202 || is_refusal(&answer), "{}", answer.text());
            (answer.status == 202).then_some(())
        };
        eventually("there is room again", again).await;
    });
}
