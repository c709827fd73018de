//! A deployed stack: its clients, and the names of all it holds.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use eda::ambient::Ambient;
use eda::aws::Aws;
use eda::dead_letters::{Desk, DeskConfig, Routes};
use eda::row::{Row, Table, from_item};
use serde_json::Value;

use crate::cli::Target;
use crate::error::Error;

/// The stack.
pub(crate) struct Deployment {
    pub(crate) stack: String,
    pub(crate) aws: Aws,
    pub(crate) formation: aws_sdk_cloudformation::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    outputs: BTreeMap<String, String>,
    resources: Vec<Resource>,
}

/// A resource of the stack.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) kind: String,
}

/// A queue of the stack.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) logical_id: String,
    pub(crate) url: String,
    pub(crate) arn: String,
    /// ARN of its dead-letter queue.
    pub(crate) redrives_to: Option<String>,
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
}

impl Deployment {
    /// Finds the stack with the usual credentials.
    ///
    /// # Errors
    /// [`Error::NoStack`], or [`Error::Aws`].
    pub(crate) async fn find(target: &Target) -> Result<Self, Error> {
        // ring, as in the functions: the workspace has one TLS provider.
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(endpoint) = &target.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &target.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let sdk = loader.load().await;
        let formation = aws_sdk_cloudformation::Client::new(&sdk);
        let described = formation.describe_stacks().stack_name(&target.stack).send().await;
        let described = described
            .map_err(|error| Error::NoStack { stack: target.stack.clone(), reason: reason_of(&error) })?;
        let outputs = described.stacks().iter().flat_map(|stack| stack.outputs());
        let outputs = outputs
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())));
        let mut resources = Vec::new();
        let mut pages =
            formation.list_stack_resources().stack_name(&target.stack).into_paginator().items().send();
        while let Some(resource) = pages.next().await {
            let resource = resource.map_err(Error::aws("cloudformation:ListStackResources"))?;
            if let (Some(logical_id), Some(physical_id), Some(kind)) =
                (resource.logical_resource_id(), resource.physical_resource_id(), resource.resource_type())
            {
                resources.push(Resource {
                    logical_id: logical_id.to_owned(),
                    physical_id: physical_id.to_owned(),
                    kind: kind.to_owned(),
                });
            }
        }
        Ok(Self {
            stack: target.stack.clone(),
            outputs: outputs.collect(),
            resources,
            lambda: aws_sdk_lambda::Client::new(&sdk),
            formation,
            aws: Aws::from_parts(sdk, Ambient::system()),
        })
    }

    /// An output of the stack: a table's name, a queue's URL.
    pub(crate) fn output(&self, name: &str) -> Result<&str, Error> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Error::Missing { stack: self.stack.clone(), what: format!("output {name}") })
    }

    /// The table of this output.
    pub(crate) fn table<R>(&self, name: &str) -> Result<Table<R>, Error> {
        Ok(Table::named(self.output(name)?))
    }

    /// All resources of a type.
    pub(crate) fn resources<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    /// The deployed name of a function, by its package: `process-dlq`.
    pub(crate) fn function(&self, package: &str) -> Result<&str, Error> {
        let functions = || self.resources("AWS::Lambda::Function");
        let found = functions().find(|function| package_of(&function.logical_id) == package);
        let missing = || Error::Missing { stack: self.stack.clone(), what: format!("function {package}") };
        found.map(|function| function.physical_id.as_str()).ok_or_else(missing)
    }

    /// All queues, as they are now.
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>, Error> {
        let sqs = self.aws.sqs();
        let mut queues = Vec::new();
        for resource in self.resources("AWS::SQS::Queue") {
            let asked = sqs
                .get_queue_attributes()
                .queue_url(&resource.physical_id)
                .attribute_names(QueueAttributeName::All)
                .send()
                .await
                .map_err(Error::aws("sqs:GetQueueAttributes"))?;
            let attributes = asked.attributes.unwrap_or_default();
            let text = |name: QueueAttributeName| attributes.get(&name).cloned().unwrap_or_default();
            let count = |name| text(name).parse().unwrap_or(0);
            let redrive: Value =
                serde_json::from_str(&text(QueueAttributeName::RedrivePolicy)).unwrap_or_default();
            queues.push(Queue {
                logical_id: resource.logical_id.clone(),
                url: resource.physical_id.clone(),
                arn: text(QueueAttributeName::QueueArn),
                redrives_to: redrive
                    .get("deadLetterTargetArn")
                    .and_then(Value::as_str)
                    .map(ToOwned::to_owned),
                visible: count(QueueAttributeName::ApproximateNumberOfMessages),
                in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            });
        }
        Ok(queues)
    }

    /// The queues that process-dlq reads: the dead-letter queues.
    pub(crate) async fn dead_letter_queues(&self) -> Result<Vec<Queue>, Error> {
        let name = self.function("process-dlq")?;
        let mut arns = Vec::new();
        let mut pages =
            self.lambda.list_event_source_mappings().function_name(name).into_paginator().items().send();
        while let Some(mapping) = pages.next().await {
            let mapping = mapping.map_err(Error::aws("lambda:ListEventSourceMappings"))?;
            arns.extend(mapping.event_source_arn);
        }
        let mut queues = self.queues().await?;
        queues.retain(|queue| arns.contains(&queue.arn));
        Ok(queues)
    }

    /// Where retries go.
    pub(crate) async fn routes(&self) -> Result<Routes, Error> {
        let queues = self.queues().await?;
        let sources = queues.iter().filter_map(|queue| Some((queue.redrives_to.clone()?, queue.arn.clone())));
        Ok(Routes {
            sources: sources.collect(),
            urls: queues.iter().map(|queue| (queue.arn.clone(), queue.url.clone())).collect(),
        })
    }

    /// Where failures are decided about.
    pub(crate) fn desk(&self) -> Result<Desk, Error> {
        let config = DeskConfig {
            failures: self.table("FailedMessagesTable")?,
            bucket: self.output("FailedMessagesBucket")?.to_owned(),
            outbox: self.table("OutboxTable")?,
        };
        Ok(Desk::new(&self.aws, config)?)
    }

    /// All rows of a table that are of this kind, strongly consistent.
    pub(crate) async fn scan<R: Row>(&self, table: &Table<R>) -> Result<Vec<R>, Error> {
        let dynamodb = self.aws.dynamodb();
        let scan = dynamodb.scan().table_name(table.name()).consistent_read(true);
        let mut pages = scan.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(item) = pages.next().await {
            rows.extend(from_item(item.map_err(Error::aws("dynamodb:Scan"))?).ok());
        }
        Ok(rows)
    }

    /// The time, in epoch milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.aws.ambient().now().as_millisecond()
    }
}

/// `ReserveInventoryFunction` → `reserve-inventory`.
pub(crate) fn package_of(logical_id: &str) -> String {
    let mut package = String::new();
    for letter in logical_id.trim_end_matches("Function").chars() {
        if letter.is_ascii_uppercase() && !package.is_empty() {
            package.push('-');
        }
        package.push(letter.to_ascii_lowercase());
    }
    package
}

/// The service's own words, or why there are none.
fn reason_of(error: &aws_sdk_cloudformation::error::SdkError<impl std::error::Error + 'static>) -> String {
    let text = aws_sdk_dynamodb::error::DisplayErrorContext(error).to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::package_of;

    #[test]
    fn a_function_is_named_after_its_package() {
        assert_eq!(package_of("ReserveInventoryFunction"), "reserve-inventory");
    }
}
