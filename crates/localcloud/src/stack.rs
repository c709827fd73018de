//! The deployed system, as a test or a demonstration sees it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sqs::types::QueueAttributeName;
use http::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::http::{Answer, HttpClient};
use crate::{Error, aws};

/// Clients, names and addresses of one deployed stack.
#[derive(Debug, Clone)]
pub struct Stack {
    name: String,
    endpoint: String,
    outputs: BTreeMap<String, String>,
    /// Logical id → physical name.
    functions: BTreeMap<String, String>,
    http: HttpClient,
    dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    formation: aws_sdk_cloudformation::Client,
    lambda: aws_sdk_lambda::Client,
    sqs: aws_sdk_sqs::Client,
}

/// Credentials that name S3, for a server that tells services apart by them and looks at nothing else.
const S3: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260115/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// What an invoked function answered.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// `Unhandled` or `Handled` if the function failed.
    pub error: Option<String>,
    /// Its result, or the error document; a result that is not JSON is a JSON string here.
    pub payload: Value,
}

/// How many messages a queue holds; eventually consistent on AWS, exact here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

impl QueueDepth {
    /// All messages of the queue.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

impl Stack {
    /// Looks a stack up in the local cloud at this endpoint.
    ///
    /// # Errors
    /// [`Error::Aws`] if there is no such stack.
    pub async fn describe(endpoint: &str, name: &str) -> Result<Self, Error> {
        let configuration = aws::configuration(endpoint);
        let formation = aws_sdk_cloudformation::Client::new(&configuration);
        let stacks = formation
            .describe_stacks()
            .stack_name(name)
            .send()
            .await
            .map_err(Error::aws("cloudformation:DescribeStacks"))?;
        let outputs = stacks
            .stacks()
            .iter()
            .flat_map(aws_sdk_cloudformation::types::Stack::outputs)
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())))
            .collect();
        let resources = formation
            .describe_stack_resources()
            .stack_name(name)
            .send()
            .await
            .map_err(Error::aws("cloudformation:DescribeStackResources"))?;
        let functions = resources
            .stack_resources()
            .iter()
            .filter(|resource| resource.resource_type() == Some("AWS::Lambda::Function"))
            .filter_map(|resource| {
                Some((
                    resource.logical_resource_id()?.to_owned(),
                    resource.physical_resource_id()?.to_owned(),
                ))
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            outputs,
            functions,
            http: HttpClient::new(),
            dynamodb: aws_sdk_dynamodb::Client::new(&configuration),
            eventbridge: aws_sdk_eventbridge::Client::new(&configuration),
            formation,
            lambda: aws_sdk_lambda::Client::new(&configuration),
            sqs: aws_sdk_sqs::Client::new(&configuration),
        })
    }

    /// The stack's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the AWS APIs, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The environment variables with which any AWS tool or SDK reaches it instead of AWS.
    #[must_use]
    pub fn access(&self) -> Vec<(&'static str, String)> {
        aws::environment(&self.endpoint)
    }

    /// The stack's outputs, as the template names them. The one called `ApiUrl` is an address on AWS: use
    /// [`Stack::api_url`].
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// One output: a table's name, a queue's URL, the bus's name.
    ///
    /// # Errors
    /// [`Error::Missing`] if the template has no such output.
    pub fn output(&self, key: &str) -> Result<&str, Error> {
        self.outputs
            .get(key)
            .map(String::as_str)
            .ok_or_else(|| Error::Missing { what: format!("output {key}") })
    }

    /// The base URL of the HTTP API on this machine, without a trailing slash.
    ///
    /// # Errors
    /// [`Error::Missing`] if the stack has no `ApiUrl`.
    pub fn api_url(&self) -> Result<String, Error> {
        let id = self
            .output("ApiUrl")?
            .split_once("://")
            .and_then(|(_, host)| host.split_once('.'))
            .map(|(id, _)| id)
            .ok_or_else(|| Error::Missing { what: "API id in its output ApiUrl".to_owned() })?;
        Ok(format!("{}/_aws/execute-api/{id}/$default", self.endpoint))
    }

    /// Names of the function packages that are deployed, sorted.
    pub fn function_packages(&self) -> impl Iterator<Item = String> + use<'_> {
        self.functions.keys().filter_map(|id| id.strip_suffix("Function")).map(kebab_case)
    }

    /// The deployed name of a function, by its package: `reserve-inventory`.
    ///
    /// # Errors
    /// [`Error::Missing`] if the stack has no such function.
    pub fn function(&self, package: &str) -> Result<&str, Error> {
        self.functions.get(&logical_id(package)).map(String::as_str).ok_or_else(|| {
            let known: Vec<_> = self.function_packages().collect();
            Error::Missing { what: format!("function {package}; it has {}", known.join(", ")) }
        })
    }

    /// The environment variables of a function, by its package.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Aws`].
    pub async fn environment(&self, package: &str) -> Result<BTreeMap<String, String>, Error> {
        let configuration = self
            .lambda
            .get_function_configuration()
            .function_name(self.function(package)?)
            .send()
            .await
            .map_err(Error::aws("lambda:GetFunctionConfiguration"))?;
        let variables = configuration.environment().and_then(|environment| environment.variables());
        Ok(variables.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Sends a JSON body to the API; `path` begins with a slash.
    ///
    /// # Errors
    /// [`Error::Http`] if there was no answer; an answer of any status is none.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer, Error> {
        self.post_raw(path, headers, body.to_string().into_bytes()).await
    }

    /// Sends any body to the API, labelled as JSON.
    ///
    /// # Errors
    /// [`Error::Http`] if there was no answer.
    pub async fn post_raw(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.api_url()?);
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.http.send(Method::POST, &url, &all, body).await
    }

    /// Reads from the API; `path` begins with a slash.
    ///
    /// # Errors
    /// [`Error::Http`] if there was no answer.
    pub async fn get(&self, path: &str) -> Result<Answer, Error> {
        self.http.get(&format!("{}{path}", self.api_url()?)).await
    }

    /// Reads from another address than the API's, such as the payment gateway's books.
    ///
    /// # Errors
    /// [`Error::Http`] if there was no answer.
    pub async fn fetch(&self, url: &str) -> Result<Answer, Error> {
        self.http.get(url).await
    }

    /// Invokes a function and waits for its result.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Aws`] if it could not be invoked; its own failure is in the result.
    pub async fn invoke(&self, package: &str, payload: &[u8]) -> Result<Invocation, Error> {
        let output = self
            .lambda
            .invoke()
            .function_name(self.function(package)?)
            .payload(Blob::new(payload))
            .send()
            .await
            .map_err(Error::aws("lambda:Invoke"))?;
        let bytes = output.payload().map(|blob| blob.as_ref().to_vec()).unwrap_or_default();
        let payload = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Invocation { error: output.function_error().map(str::to_owned), payload })
    }

    /// All rows of a table, consistently read, in no order.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Aws`].
    pub async fn items(&self, table: &str) -> Result<Vec<HashMap<String, AttributeValue>>, Error> {
        let mut pages = self
            .dynamodb
            .scan()
            .table_name(self.output(table)?)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(Error::aws("dynamodb:Scan"))?);
        }
        Ok(items)
    }

    /// All rows of a table as JSON; `table` is the name of the stack's output.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Aws`], or [`Error::Content`] for a value that JSON cannot hold.
    pub async fn rows(&self, table: &str) -> Result<Vec<Value>, Error> {
        serde_dynamo::from_items(self.items(table).await?)
            .map_err(|error| Error::Content { path: table.into(), message: error.to_string() })
    }

    /// Puts an object; `bucket` is the name of the stack's output.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Http`] if there was no answer; an answer of any status is none.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, Error> {
        let url = format!("{}/{}/{key}", self.endpoint, self.output(bucket)?);
        self.http.send(Method::PUT, &url, &[("authorization", S3)], body.into()).await
    }

    /// Gets an object; `bucket` is the name of the stack's output.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Http`] if there was no answer; an answer of any status is none.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Answer, Error> {
        let url = format!("{}/{}/{key}", self.endpoint, self.output(bucket)?);
        self.http.send(Method::GET, &url, &[("authorization", S3)], Vec::new()).await
    }

    /// How many messages a queue holds; `queue` is the name of the stack's output.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Aws`].
    pub async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, Error> {
        let attributes = self
            .sqs
            .get_queue_attributes()
            .queue_url(self.output(queue)?)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(Error::aws("sqs:GetQueueAttributes"))?;
        let count = |name: QueueAttributeName| {
            attributes
                .attributes()
                .and_then(|all| all.get(&name))
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Ok(QueueDepth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// Puts a message on a queue; `queue` is the name of the stack's output.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Aws`].
    pub async fn send_message(&self, queue: &str, body: impl Into<String>) -> Result<(), Error> {
        let url = self.output(queue)?;
        let mut send = self.sqs.send_message().queue_url(url).message_body(body);
        if url.ends_with(".fifo") {
            send = send.message_group_id(queue).message_deduplication_id(Uuid::now_v7().to_string());
        }
        send.send().await.map(drop).map_err(Error::aws("sqs:SendMessage"))
    }

    /// The physical names of the stack's resources of a type, by logical id.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn resources(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        let resources = self
            .formation
            .describe_stack_resources()
            .stack_name(&self.name)
            .send()
            .await
            .map_err(Error::aws("cloudformation:DescribeStackResources"))?;
        let of_kind =
            resources.stack_resources().iter().filter(|resource| resource.resource_type() == Some(kind));
        let names = of_kind.filter_map(|resource| {
            Some((resource.logical_resource_id()?.to_owned(), resource.physical_resource_id()?.to_owned()))
        });
        Ok(names.collect())
    }

    /// Puts an alarm on, as its metric would.
    ///
    /// # Errors
    /// [`Error::Http`] if there was no answer.
    pub async fn set_alarm(&self, name: &str) -> Result<Answer, Error> {
        let input = serde_json::json!({ "AlarmName": name, "StateValue": "ALARM", "StateReason": "a test" });
        self.call("monitoring", "GraniteServiceVersion20100801.SetAlarmState", &input).await
    }

    /// How the execution of this name stands: `RUNNING`, `SUCCEEDED`, `FAILED`, …; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Http`] if there was no answer.
    pub async fn execution(&self, name: &str) -> Result<Option<String>, Error> {
        let machine = self.output("OrderSagaStateMachine")?.replace(":stateMachine:", ":execution:");
        let input = serde_json::json!({ "executionArn": format!("{machine}:{name}") });
        let answer = self.call("states", "AWSStepFunctions.DescribeExecution", &input).await?;
        let found: Value = answer.json().unwrap_or_default();
        Ok(found.get("status").and_then(Value::as_str).map(str::to_owned))
    }

    /// How many executions run.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Http`] if there was no answer.
    pub async fn running_executions(&self) -> Result<usize, Error> {
        let machine = self.output("OrderSagaStateMachine")?;
        let input = serde_json::json!({ "stateMachineArn": machine, "statusFilter": "RUNNING" });
        let answer = self.call("states", "AWSStepFunctions.ListExecutions", &input).await?;
        let found: Value = answer.json().unwrap_or_default();
        Ok(found.get("executions").and_then(Value::as_array).map_or(0, Vec::len))
    }

    /// Calls a service that speaks JSON and of which we need a call or two. The credentials name the service that one server
    /// has to tell from others.
    async fn call(&self, service: &str, target: &str, input: &Value) -> Result<Answer, Error> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260115/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target),
            ("authorization", authorization.as_str()),
        ];
        self.http
            .send(Method::POST, &format!("{}/", self.endpoint), &headers, input.to_string().into_bytes())
            .await
    }

    /// Adds faults to those that calls to the local cloud are still to meet; their shape is told in `shims/edge.py`.
    ///
    /// # Errors
    /// [`Error::Http`].
    pub async fn inject(&self, faults: &Value) -> Result<(), Error> {
        let url = format!("{}/_localcloud/faults", self.endpoint);
        self.http.send(Method::POST, &url, &[], faults.to_string().into_bytes()).await.map(drop)
    }

    /// The client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    /// The client of EventBridge.
    #[must_use]
    pub fn eventbridge(&self) -> &aws_sdk_eventbridge::Client {
        &self.eventbridge
    }

    /// The client of Lambda.
    #[must_use]
    pub fn lambda(&self) -> &aws_sdk_lambda::Client {
        &self.lambda
    }

    /// The client of SQS.
    #[must_use]
    pub fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.sqs
    }
}

/// `reserve-inventory` → `ReserveInventoryFunction`.
fn logical_id(package: &str) -> String {
    let mut id = String::new();
    for word in package.split('-') {
        let mut letters = word.chars();
        id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        id.push_str(letters.as_str());
    }
    id + "Function"
}

/// `ReserveInventory` → `reserve-inventory`.
fn kebab_case(id: &str) -> String {
    let mut package = String::new();
    for letter in id.chars() {
        if letter.is_ascii_uppercase() && !package.is_empty() {
            package.push('-');
        }
        package.push(letter.to_ascii_lowercase());
    }
    package
}

#[cfg(test)]
mod tests {
    use super::{kebab_case, logical_id};

    #[test]
    fn a_package_and_its_function_are_named_after_each_other() {
        assert_eq!(logical_id("reserve-inventory"), "ReserveInventoryFunction");
        assert_eq!(kebab_case("ReserveInventory"), "reserve-inventory");
    }
}
