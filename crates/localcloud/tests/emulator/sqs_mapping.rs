//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use serde_json::json;

use super::lab::{Lab, attribute, queue};

#[tokio::test]
async fn a_response_that_names_no_message_of_the_batch_fails_the_whole_batch() {
    let lab = Lab::new().await;
    let ids = lab
        .deploy(json!({
            "Queue": queue(),
            "Function": lab.function(r#"
count = event["Records"][0]["attributes"]["ApproximateReceiveCount"]
note(count)
return {"batchItemFailures": [{"itemIdentifier": "unknown"}] if count == "1" else []}
"#),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": { "Ref": "Function" },
                    "EventSourceArn": attribute("Queue", "Arn"),
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                },
            },
        }))
        .await;
    lab.sqs.send_message().queue_url(&ids["Queue"]).message_body("{}").send().await.unwrap();
    let notes = lab.noted("the message comes again", |notes| notes.len() >= 2).await;
    assert_eq!(notes, ["1", "2"]);
}
