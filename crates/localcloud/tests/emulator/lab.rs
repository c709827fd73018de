//! An empty local cloud, and what is needed to try one behaviour on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, StackStatus};
use localcloud::{EmptyCloud, Progress, Workspace};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const STACK: &str = "lab";

pub(super) struct Lab {
    pub(super) cloud: EmptyCloud,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) events: aws_sdk_eventbridge::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    notes: PathBuf,
}

impl Lab {
    pub(super) async fn new() -> Self {
        let workspace = Workspace::find().unwrap();
        let cloud = EmptyCloud::start(&workspace, &Progress::silent()).await.unwrap();
        let configuration = cloud.configuration();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&configuration),
            events: aws_sdk_eventbridge::Client::new(&configuration),
            lambda: aws_sdk_lambda::Client::new(&configuration),
            sqs: aws_sdk_sqs::Client::new(&configuration),
            notes: cloud.folder().join("tmp/notes"),
            cloud,
        }
    }

    /// A function whose body is `code`, which may call `note(text)`.
    pub(super) fn function(&self, code: &str) -> Value {
        let notes = self.notes.display();
        let code: String = code.lines().map(|line| format!("    {line}\n")).collect();
        let source = format!(
            "import json\n\
             def note(text):\n    with open('{notes}', 'a') as file:\n        file.write(str(text) + '\\n')\n\
             def handler(event, context):\n{code}"
        );
        json!({
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.12", "Handler": "index.handler", "Timeout": 10,
                "Role": "arn:aws:iam::000000000000:role/lab", "Code": { "ZipFile": source },
            },
        })
    }

    /// Deploys resources and waits for them; answers their physical ids.
    pub(super) async fn deploy(&self, resources: Value) -> BTreeMap<String, String> {
        let formation = aws_sdk_cloudformation::Client::new(&self.cloud.configuration());
        let template = json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": resources });
        let create = formation.create_stack().stack_name(STACK).template_body(template.to_string());
        create.capabilities(Capability::CapabilityIam).send().await.unwrap();
        let status = || async {
            let stacks = formation.describe_stacks().stack_name(STACK).send().await.unwrap();
            let stack = stacks.stacks().first().cloned()?;
            let status = stack.stack_status().cloned()?;
            (status != StackStatus::CreateInProgress).then_some((status, stack.stack_status_reason))
        };
        let (status, reason) = eventually("the stack is created", status).await;
        assert_eq!(status, StackStatus::CreateComplete, "{reason:?}");
        let resources = formation.describe_stack_resources().stack_name(STACK).send().await.unwrap();
        resources
            .stack_resources()
            .iter()
            .map(|resource| {
                let id = resource.physical_resource_id().unwrap_or_default();
                (resource.logical_resource_id().unwrap().to_owned(), id.to_owned())
            })
            .collect()
    }

    /// What functions have noted so far, in order.
    pub(super) fn notes(&self) -> Vec<String> {
        std::fs::read_to_string(&self.notes).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits until what was noted satisfies the condition.
    pub(super) async fn noted(&self, what: &str, condition: impl Fn(&[String]) -> bool) -> Vec<String> {
        eventually(what, || async {
            let notes = self.notes();
            condition(&notes).then_some(notes)
        })
        .await
    }

    /// Waits for the next message of a queue; answers its body as JSON.
    pub(super) async fn receive(&self, queue_url: &str) -> Value {
        let body = eventually("a message arrives", || async {
            let received = self.sqs.receive_message().queue_url(queue_url).send().await.unwrap();
            received.messages().first().and_then(|message| message.body().map(str::to_owned))
        })
        .await;
        serde_json::from_str(&body).unwrap()
    }

    /// Puts an item `{id}` into a table.
    pub(super) async fn put(&self, table: &str, id: &str) {
        let id = aws_sdk_dynamodb::types::AttributeValue::S(id.to_owned());
        self.dynamodb.put_item().table_name(table).item("id", id).send().await.unwrap();
    }

    /// Publishes an event of source `lab` on the default bus.
    pub(super) async fn publish(&self, detail: Value) {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
        let entry = entry.source("lab").detail_type("Something").detail(detail.to_string()).build();
        self.events.put_events().entries(entry).send().await.unwrap();
    }
}

/// Waits until there is a value; panics naming what did not happen.
pub(super) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// A table keyed by `id`, with a stream.
pub(super) fn table() -> Value {
    json!({
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamViewType": "NEW_IMAGE" },
        },
    })
}

pub(super) fn queue() -> Value {
    json!({ "Type": "AWS::SQS::Queue", "Properties": { "VisibilityTimeout": 1 } })
}

/// `!GetAtt`.
pub(super) fn attribute(resource: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [resource, name] })
}
