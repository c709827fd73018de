//! Properties of a template that must not be dropped.

use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TimeToLiveStatus};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::ReplayDestination;
use serde_json::json;

use super::lab::{Lab, attribute, eventually, queue, table};

#[tokio::test]
async fn a_tables_expiry_and_point_in_time_recovery_are_switched_on() {
    let lab = Lab::new().await;
    let mut table = table();
    table["Properties"]["TimeToLiveSpecification"] = json!({ "AttributeName": "expiresAt", "Enabled": true });
    table["Properties"]["PointInTimeRecoverySpecification"] = json!({ "PointInTimeRecoveryEnabled": true });
    let ids = lab.deploy(json!({ "Table": table })).await;

    let expiry = lab.dynamodb.describe_time_to_live().table_name(&ids["Table"]).send().await.unwrap();
    let expiry = expiry.time_to_live_description().unwrap();
    assert_eq!(expiry.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
    assert_eq!(expiry.attribute_name(), Some("expiresAt"));

    let backups = lab.dynamodb.describe_continuous_backups().table_name(&ids["Table"]).send().await.unwrap();
    let recovery =
        backups.continuous_backups_description().unwrap().point_in_time_recovery_description().unwrap();
    assert_eq!(recovery.point_in_time_recovery_status(), Some(&PointInTimeRecoveryStatus::Enabled));
}

#[tokio::test]
async fn a_functions_reserved_concurrency_is_set() {
    let lab = Lab::new().await;
    let mut function = lab.function("return 1");
    function["Properties"]["ReservedConcurrentExecutions"] = json!(3);
    let ids = lab.deploy(json!({ "Function": function })).await;
    let reserved =
        lab.lambda.get_function_concurrency().function_name(&ids["Function"]).send().await.unwrap();
    assert_eq!(reserved.reserved_concurrent_executions(), Some(3));
}

#[tokio::test]
async fn schemas_are_registered_under_their_names() {
    let lab = Lab::new().await;
    let registry = json!({ "Type": "AWS::EventSchemas::Registry", "Properties": { "RegistryName": "lab" } });
    let schema = json!({ "Type": "AWS::EventSchemas::Schema", "Properties": {
        "RegistryName": { "Fn::GetAtt": ["Registry", "RegistryName"] }, "SchemaName": "orders@OrderPlaced-1.0",
        "Type": "JSONSchemaDraft4", "Content": "{}",
    } });
    let ids = lab.deploy(json!({ "Registry": registry, "Schema": schema })).await;
    assert!(ids["Registry"].ends_with(":registry/lab"), "{ids:?}");
    assert!(ids["Schema"].ends_with(":schema/lab/orders@OrderPlaced-1.0"), "{ids:?}");
}

#[tokio::test]
async fn an_archive_keeps_what_the_bus_took_and_it_can_be_replayed() {
    let lab = Lab::new().await;
    let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
    let ids = lab
        .deploy(json!({
            "Archive": { "Type": "AWS::Events::Archive", "Properties": {
                "SourceArn": bus, "RetentionDays": 365, "EventPattern": { "source": ["lab"] },
            } },
            "Queue": queue(),
            "Rule": { "Type": "AWS::Events::Rule", "Properties": {
                "EventPattern": { "source": ["lab"] },
                "Targets": [{ "Id": "Queue", "Arn": attribute("Queue", "Arn") }],
            } },
        }))
        .await;
    let archive = lab.events.describe_archive().archive_name(&ids["Archive"]).send().await.unwrap();
    assert_eq!(archive.retention_days(), Some(365));
    lab.publish(json!({ "n": 1 })).await;
    assert_eq!(lab.receive(&ids["Queue"]).await["detail"], json!({ "n": 1 }));

    let destination = ReplayDestination::builder().arn(bus).build().unwrap();
    let replay = lab.events.start_replay().replay_name("again").destination(destination);
    let replay = replay.event_source_arn(archive.archive_arn().unwrap());
    let replay =
        replay.event_start_time(DateTime::from_secs(0)).event_end_time(DateTime::from_secs(4_000_000_000));
    replay.send().await.unwrap();
    let again = eventually("the event comes again", || async {
        let received = lab.receive(&ids["Queue"]).await;
        received.get("replay-name").is_some().then_some(received)
    });
    assert_eq!(again.await["detail"], json!({ "n": 1 }));
}

#[tokio::test]
async fn a_dashboard_and_a_saved_query_are_accepted() {
    let lab = Lab::new().await;
    let body = json!({ "widgets": [{ "type": "text", "properties": { "markdown": "lab" } }] }).to_string();
    let ids = lab
        .deploy(json!({
            "Dashboard": { "Type": "AWS::CloudWatch::Dashboard", "Properties": {
                "DashboardName": "lab", "DashboardBody": body,
            } },
            "Query": { "Type": "AWS::Logs::QueryDefinition", "Properties": {
                "Name": "lab/all", "QueryString": "fields @message",
            } },
        }))
        .await;
    assert_eq!(ids["Dashboard"], "lab");
}
