//! Files of orders, put into the bucket: S3 tells the default bus, and each line is an order.

use serde_json::{Value, json};
use shop::order::imported_order_id;
use shop::testing::place_order;

use super::clouds::{eventually, run, shared};

#[test]
fn a_file_of_orders_is_placed_and_what_is_wrong_is_said_beside_it() {
    run(async {
        let stack = shared().await.stack();
        let order = serde_json::to_value(place_order(&[("keyboard", 1)])).unwrap();
        let mut keyed = order.clone();
        keyed["idempotencyKey"] = json!("purchase-4711");
        let mut wrong = order.clone();
        wrong["items"] = json!([]);
        let file = format!("{order}\nno order\n{wrong}\n\n{keyed}\n");
        let key = "incoming/a day/orders+1.jsonl";
        let escaped = "incoming/a%20day/orders%2B1.jsonl";
        let put = stack.put_object("ImportsBucket", escaped, file).await.unwrap();
        assert_eq!(put.status, 200, "{}", put.text());

        let said = async || {
            let results = stack.object("ImportsBucket", "results/a%20day/orders%2B1.jsonl").await.ok()?;
            (results.status == 200).then(|| results.text())
        };
        let said = eventually("the result stands beside the file", said).await;
        let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<_> = said.iter().map(|said| &said["line"]).collect();
        assert_eq!(lines, [&json!(2), &json!(3), &Value::Null], "{said:?}");
        assert_eq!(said[2], json!({ "lines": 5, "taken": 2, "refused": 2 }));

        let bucket = stack.output("ImportsBucket").unwrap();
        for (line, idempotency_key) in [(1, None), (5, Some("purchase-4711"))] {
            let id = imported_order_id(bucket, key, line, idempotency_key);
            let confirmed = async || {
                let order: Value = stack.get(&format!("/orders/{id}")).await.ok()?.json().ok()?;
                (order["status"] == "confirmed").then_some(())
            };
            eventually(&format!("the order of line {line} is confirmed"), confirmed).await;
        }
    });
}
