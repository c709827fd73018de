//! Targets of EventBridge rules that fail.

use serde_json::{Value, json};

use super::lab::{Lab, attribute, queue};

fn rule(target: Value) -> Value {
    json!({
        "Type": "AWS::Events::Rule",
        "Properties": { "EventPattern": { "source": ["lab"] }, "Targets": [target] },
    })
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
#[tokio::test]
async fn a_function_that_fails_is_invoked_twice_more_and_then_reported() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Failures": queue(),
            "Function": lab.function("note(event['detail']['number'])\nraise ValueError('no')"),
            "Settings": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {
                    "FunctionName": { "Ref": "Function" },
                    "Qualifier": "$LATEST",
                    "DestinationConfig": { "OnFailure": { "Destination": attribute("Failures", "Arn") } },
                },
            },
            "Rule": rule(json!({ "Id": "function", "Arn": attribute("Function", "Arn") })),
        }))
        .await;
    lab.publish(json!({ "number": 7 })).await;
    let report = lab.receive(&ids["Failures"]).await;
    assert_eq!(report["requestPayload"]["detail"]["number"], 7);
    assert_eq!(lab.notes(), ["7", "7", "7"]);
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
#[tokio::test]
async fn an_event_whose_target_is_gone_goes_to_the_dead_letter_queue_as_it_was() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Undelivered": queue(),
            "Rule": rule(json!({
                "Id": "gone",
                "Arn": "arn:aws:sqs:us-east-1:000000000000:no-such-queue",
                "DeadLetterConfig": { "Arn": attribute("Undelivered", "Arn") },
            })),
        }))
        .await;
    lab.publish(json!({ "number": 8 })).await;
    let event = lab.receive(&ids["Undelivered"]).await;
    assert_eq!((&event["source"], &event["detail"]["number"]), (&json!("lab"), &json!(8)));
}
