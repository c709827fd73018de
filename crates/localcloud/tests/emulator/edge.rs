//! Faults on demand.

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::lab::{Lab, table};

async fn inject(lab: &Lab, faults: Value) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let body = Full::new(std::io::Cursor::new(faults.to_string().into_bytes()));
    let request = Request::post(format!("{}/_localcloud/faults", lab.cloud.endpoint())).body(body).unwrap();
    assert!(client.request(request).await.unwrap().status().is_success());
}

fn item() -> (&'static str, AttributeValue) {
    ("id", AttributeValue::S("a".to_owned()))
}

#[tokio::test]
async fn a_call_fails_as_often_as_ordered_and_a_lost_response_leaves_its_effect() {
    let lab = Lab::new().await;
    let ids = lab.deploy(json!({ "Table": table() })).await;
    let once = aws_sdk_dynamodb::config::Builder::from(&lab.cloud.configuration())
        .retry_config(RetryConfig::disabled())
        .build();
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(once);
    let put = || {
        let (name, value) = item();
        dynamodb.put_item().table_name(&ids["Table"]).item(name, value).send()
    };
    let stored = async || {
        let (name, value) = item();
        let get = lab.dynamodb.get_item().table_name(&ids["Table"]).key(name, value).send();
        get.await.unwrap().item().is_some()
    };

    let throttled = json!([{ "target": "DynamoDB_.*PutItem", "status": 400, "type": "ThrottlingException" }]);
    inject(&lab, throttled).await;
    let error = put().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("ThrottlingException"));
    assert!(!stored().await);

    let lost = json!([{
        "target": "PutItem", "match": ids["Table"], "status": 500, "type": "InternalServerError", "after": true,
    }]);
    inject(&lab, lost).await;
    put().await.unwrap_err();
    assert!(stored().await);
    put().await.unwrap();
}
