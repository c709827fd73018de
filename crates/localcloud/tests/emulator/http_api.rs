//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html>

use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::lab::Lab;

async fn get(url: String) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// An API whose one route calls the function, with these settings of its stage; answers the route's URL, without the last part.
async fn api(lab: &Lab, mut function: Value, reserved: Option<u64>, settings: Value) -> String {
    let integration = json!({ "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations" });
    if let Some(reserved) = reserved {
        function["Properties"]["ReservedConcurrentExecutions"] = json!(reserved);
    }
    let ids = lab
        .deploy(json!({
            "Function": function,
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": { "Body": {
                    "openapi": "3.0.1",
                    "info": { "title": "lab", "version": "1" },
                    "components": { "securitySchemes": { "AWS_IAM": {
                        "type": "apiKey", "name": "Authorization", "in": "header",
                        "x-amazon-apigateway-authtype": "awsSigv4",
                    } } },
                    "paths": { "/things/{id}": { "get": {
                        "security": [{ "AWS_IAM": [] }],
                        "x-amazon-apigateway-integration": {
                            "type": "aws_proxy", "httpMethod": "POST", "payloadFormatVersion": "2.0", "uri": integration,
                        },
                    } } },
                } },
            },
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {
                    "ApiId": { "Ref": "Api" }, "StageName": "$default", "AutoDeploy": true,
                    "DefaultRouteSettings": settings,
                },
            },
        }))
        .await;
    format!("{}/_aws/execute-api/{}/$default", lab.cloud.endpoint(), ids["Api"])
}

#[tokio::test]
async fn an_api_answers_on_the_routes_of_its_openapi_document_and_hides_a_functions_errors() {
    let lab = Lab::new().await;
    let function = lab.function(
        r#"
if event["pathParameters"]["id"] == "fail":
    raise ValueError("a secret")
caller = event["requestContext"]["authorizer"]["iam"]["userArn"]
return {"statusCode": 200, "body": json.dumps({"route": event["routeKey"], "caller": caller})}
"#,
    );
    let base = api(&lab, function, None, json!({})).await;

    let (status, body) = get(format!("{base}/things/1")).await;
    assert_eq!(status, 200);
    assert_eq!(body["route"], "GET /things/{id}");
    assert!(body["caller"].as_str().unwrap().starts_with("arn:aws:iam::"), "{body}");

    assert_eq!(
        get(format!("{base}/things/fail")).await,
        (500, json!({ "message": "Internal Server Error" }))
    );
    assert_eq!(get(format!("{base}/others")).await.0, 404);
}

#[tokio::test]
async fn a_function_whose_concurrency_is_spent_is_unavailable_and_nothing_is_told_of_it() {
    let lab = Lab::new().await;
    let base =
        api(&lab, lab.function(r#"return {"statusCode": 200, "body": "{}"}"#), Some(0), json!({})).await;
    let refused = (503, json!({ "message": "Service Unavailable" }));
    assert_eq!(get(format!("{base}/things/1")).await, refused);
}

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>
#[tokio::test]
async fn a_route_takes_a_burst_of_requests_and_then_as_many_as_its_rate_allows() {
    let lab = Lab::new().await;
    let settings = json!({ "ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.001 });
    let base = api(&lab, lab.function(r#"return {"statusCode": 200, "body": "{}"}"#), None, settings).await;
    for _ in 0..2 {
        assert_eq!(get(format!("{base}/things/1")).await.0, 200);
    }
    let refused = (429, json!({ "message": "Too Many Requests" }));
    assert_eq!(get(format!("{base}/things/2")).await, refused);
    assert_eq!(get(format!("{base}/others")).await.0, 404, "no route, no bucket");
}
