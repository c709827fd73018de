use serde_json::json;

use super::{Grant, Template};

const TEMPLATE: &str = r#"
Parameters:
  Seconds: {Type: Number, Default: 30}
  Topic: {Type: String, Default: ""}
  Secret: {Type: String}
Conditions:
  HasTopic: !Not [!Equals [!Ref Topic, ""]]
Globals:
  Function:
    Timeout: !Ref Seconds
    LoggingConfig: {LogFormat: JSON}
Resources:
  WorkFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: work}}
    Properties:
      LoggingConfig: {LogGroup: !Ref WorkLogGroup}
      Environment:
        Variables:
          TABLE: !Ref ThingsTable
          SECONDS: !Ref Seconds
          INDEX: !Sub ${ThingsTable.Arn}/index/byDate
      Policies:
        - Statement:
            - Effect: Allow
              Action: [dynamodb:PutItem, dynamodb:Query]
              Resource: !GetAtt ThingsTable.Arn
            - {Effect: Allow, Action: sqs:SendMessage, Resource: [!GetAtt A.Arn, !Ref Secret]}
  ThingsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expiresAt, Enabled: true}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Condition: HasTopic
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmActions: !If [HasTopic, [!Ref Topic], !Ref AWS::NoValue]
Outputs:
  ThingsTable: {Value: !Ref ThingsTable}
"#;

fn template() -> Template {
    Template::parse(TEMPLATE).unwrap()
}

#[test]
fn a_resource_is_there_where_its_condition_holds() {
    let policies = |template: Template| template.resources("AWS::SNS::TopicPolicy").len();
    assert_eq!(policies(template()), 0);
    assert_eq!(policies(template().with_parameter("Topic", "t")), 1);
}

#[test]
fn a_functions_environment_names_resources_by_their_logical_ids() {
    let function = template().function("work").unwrap();

    assert_eq!(function.environment["TABLE"], "ThingsTable");
    assert_eq!(function.environment["SECONDS"], "30");
    assert_eq!(function.environment["INDEX"], "ThingsTable.Arn/index/byDate");
}

#[test]
fn globals_lie_under_a_functions_own_properties() {
    let properties = template().functions()["WorkFunction"].properties.clone();

    assert_eq!(properties["Timeout"], 30);
    assert_eq!(properties["LoggingConfig"], json!({ "LogFormat": "JSON", "LogGroup": "WorkLogGroup" }));
}

#[test]
fn a_statement_grants_each_of_its_actions_on_each_of_its_resources() {
    let grant = |action: &str, resource: &str| Grant { action: action.into(), resource: resource.into() };

    assert_eq!(
        template().function("work").unwrap().grants,
        [
            grant("dynamodb:PutItem", "ThingsTable.Arn"),
            grant("dynamodb:Query", "ThingsTable.Arn"),
            grant("sqs:SendMessage", "A.Arn"),
            grant("sqs:SendMessage", "Secret"),
        ]
        .into()
    );
}

#[test]
fn a_table_becomes_the_body_of_a_create_table_request() {
    let [table] = template().tables().try_into().unwrap();

    assert_eq!(table.time_to_live.as_deref(), Some("expiresAt"));
    assert_eq!(
        table.create_table,
        json!({
            "TableName": "ThingsTable",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
        })
    );
}

#[test]
fn a_condition_takes_the_branch_that_the_parameters_choose() {
    let actions = |template: Template| template.resources("AWS::CloudWatch::Alarm")[0].properties.clone();

    assert_eq!(actions(template()), json!({}));
    assert_eq!(actions(template().with_parameter("Topic", "t")), json!({ "AlarmActions": ["t"] }));
}

#[test]
fn outputs_are_resolved() {
    assert_eq!(template().outputs()["ThingsTable"], "ThingsTable");
}
