//! Properties of a template that must not be dropped.

use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TimeToLiveStatus};
use serde_json::json;

use super::lab::{Lab, table};

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
