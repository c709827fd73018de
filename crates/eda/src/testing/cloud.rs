use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::Region;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use envconfig::Envconfig as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::dynamodb::{DynamoDb, plain, typed};
use super::template::Template;
use super::wire::{call_name, denied, error, rest_call, sdk_config};
use crate::ambient::{Ambient, Manual};
use crate::aws::Aws;
use crate::batch::{Consumer, Deadline, OrderedWorker, Parking, ParkingConfig, QueueWorker, SequencesConfig};
use crate::row::{Item, Key, Row, from_item, to_item};
use crate::saga::{self, SagaStep};
use crate::serve::Function;

/// An AWS call that a function made.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Such as `dynamodb:TransactWriteItems`.
    pub name: String,
    /// The request's body.
    pub body: Value,
}

/// What the next call of a kind meets.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused with this status, error type and body; it has no effect.
    Refused(u16, &'static str, Value),
    /// It has its effect; the reply is lost.
    ReplyLost,
    /// It is answered with this body instead; it has no effect.
    Answered(Value),
}

/// When a function dies at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The call is never made.
    Before,
    /// The call has its effect.
    After,
}

/// A cloud in this process, for one function: the template's tables in a real DynamoDB implementation, all other
/// services recorded. Calls that the function's role does not allow are denied.
#[derive(Clone)]
pub struct TestCloud(Arc<Inner>);

struct Inner {
    database: DynamoDb,
    clock: Manual,
    function: super::template::Function,
    secrets: Mutex<HashMap<String, String>>,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<HashMap<String, VecDeque<Fault>>>,
    death: Mutex<Option<(usize, Death)>>,
    partner: SharedHttpClient,
}

/// Where the clock of a new cloud stands.
const START: i64 = 1_768_473_000;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]
impl TestCloud {
    /// The cloud that the function of this package finds itself in.
    #[must_use]
    pub fn of(package: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let template = Template::load(root.join("template.yaml")).expect("the template can be read");
        Self::deployed_by(&template, package)
    }

    /// The cloud that the function of this package finds itself in, deployed by this template.
    #[must_use]
    pub fn deployed_by(template: &Template, package: &str) -> Self {
        let function =
            template.function(package).unwrap_or_else(|| panic!("the template deploys no {package}"));
        let start = Timestamp::from_second(START).expect("a valid time");
        let clock = Manual::new(start, 1);
        let ambient = Ambient::from_source(clock.clone());
        let database = DynamoDb::deployed_by(template, ambient);
        Self(Arc::new(Inner {
            database,
            clock,
            function,
            secrets: Mutex::default(),
            objects: Mutex::default(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            death: Mutex::default(),
            partner: aws_smithy_http_client::Builder::new().build_http(),
        }))
    }

    /// Clients and clock, as a function gets them.
    #[must_use]
    pub fn aws(&self) -> Aws {
        let sdk = sdk_config(SharedHttpClient::new(self.clone()), Region::from_static("us-east-1"));
        Aws::from_parts(sdk, self.ambient())
    }

    /// The cloud's time and identifiers.
    #[must_use]
    pub fn ambient(&self) -> Ambient {
        Ambient::from_source(self.0.clock.clone())
    }

    /// Moves the cloud's clock.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The function's environment, as the template sets it.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.0.function.environment.clone()
    }

    /// Starts the function with the template's environment, in which `changed` variables have other values.
    pub async fn start_with<F: Function>(&self, changed: &[(&str, &str)]) -> F {
        let mut environment: HashMap<_, _> = self.environment().into_iter().collect();
        environment.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config =
            F::Config::init_from_hashmap(&environment).expect("the template sets what the function reads");
        F::start(&self.aws(), config).await.expect("the function starts")
    }

    /// Starts the function with the template's environment.
    pub async fn start<F: Function>(&self) -> F {
        self.start_with(&[]).await
    }

    /// A worker for the function's queue.
    pub async fn worker<C: Consumer>(&self) -> QueueWorker<C> {
        self.worker_of(self.start::<C>().await)
    }

    /// A worker for the queue of a consumer that was started before.
    pub fn worker_of<C: Consumer>(&self, consumer: C) -> QueueWorker<C> {
        let environment: HashMap<_, _> = self.environment().into_iter().collect();
        let parking =
            ParkingConfig::init_from_hashmap(&environment).expect("the template names the dead-letter queue");
        QueueWorker::new(consumer, Parking::new(self.aws().sqs(), parking, C::NAME))
    }

    /// A worker for the function's FIFO queue.
    pub async fn ordered_worker<C: Consumer>(&self) -> OrderedWorker<C> {
        let consumer = self.start::<C>().await;
        let environment: HashMap<_, _> = self.environment().into_iter().collect();
        let parking =
            ParkingConfig::init_from_hashmap(&environment).expect("the template names the dead-letter queue");
        let sequences = SequencesConfig::init_from_hashmap(&environment)
            .expect("the template names the table of held groups");
        let aws = self.aws();
        OrderedWorker::new(consumer, Parking::new(aws.sqs(), parking, C::NAME), &aws, sequences)
    }

    /// Calls a step as a state machine does, with the bus's document of an event: the document it returns, or the error's
    /// name and message.
    ///
    /// # Errors
    /// Name and message of the error.
    pub async fn call<S: SagaStep>(&self, step: &S, event: &Value) -> Result<Value, (&'static str, String)> {
        let input = serde_json::value::to_raw_value(event).expect("JSON");
        match saga::call(step, &input, None, self.deadline()).await {
            Ok(document) => Ok(serde_json::from_str(document.get()).expect("JSON")),
            Err(error) => Err((error.name(), error.message())),
        }
    }

    /// A deadline far enough away for any test.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    /// Stores a secret.
    pub fn secret(&self, id: &str, value: &str) {
        locked(&self.0.secrets).insert(id.to_owned(), value.to_owned());
    }

    /// The objects in all buckets, by bucket and key: `FilesBucket/a/b`.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, String> {
        let objects = locked(&self.0.objects);
        objects.iter().map(|(name, body)| (name.clone(), String::from_utf8_lossy(body).into())).collect()
    }

    /// Puts an object, by bucket and key: `FilesBucket/a/b`.
    pub fn put_object(&self, name: &str, body: impl Into<Vec<u8>>) {
        locked(&self.0.objects).insert(name.to_owned(), body.into());
    }

    /// The next call of this name, e.g. `dynamodb:PutItem`, meets this. Faults of one name queue up.
    pub fn inject(&self, call: &str, fault: Fault) {
        locked(&self.0.faults).entry(call.to_owned()).or_default().push_back(fault);
    }

    /// The function dies at its `nth` call from now on, counted from 0: nothing ever answers it. Whoever waits for the function gives up
    /// by dropping it, as a killed environment does.
    pub fn kill_at(&self, nth: usize, death: Death) {
        *locked(&self.0.death) = Some((nth, death));
    }

    /// The death that is due at this call, if one is.
    fn death(&self) -> Option<Death> {
        let mut due = locked(&self.0.death);
        match due.take() {
            Some((0, death)) => Some(death),
            Some((nth, death)) => {
                *due = Some((nth - 1, death));
                None
            }
            None => None,
        }
    }

    /// Forgets all faults that nothing has met.
    pub fn clear_faults(&self) {
        locked(&self.0.faults).clear();
        locked(&self.0.death).take();
    }

    /// The calls since the last time, in order.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *locked(&self.0.calls))
    }

    /// The names of the calls since the last time, in order.
    pub fn take_call_names(&self) -> Vec<String> {
        self.take_calls().into_iter().map(|call| call.name).collect()
    }

    /// Puts a row into the table of this logical id.
    pub fn put<R: Row>(&self, table: &str, row: &R) {
        self.put_item(table, to_item(row).expect("a row"));
    }

    pub(super) fn put_item(&self, table: &str, item: Item) {
        self.0.database.put(table, &plain(item));
    }

    /// The row of this key in the table of this logical id.
    #[must_use]
    pub fn get<R: Row>(&self, table: &str, key: Key<R>) -> Option<R> {
        let found = self.0.database.get(table, &plain(key.attributes))?;
        Some(from_item(typed(&found)).expect("a readable row"))
    }

    /// All rows of the table of this logical id that are of this kind.
    #[must_use]
    pub fn rows<R: Row>(&self, table: &str) -> Vec<R> {
        let items = self.0.database.items(table);
        items.iter().filter_map(|item| from_item(typed(item)).ok()).collect()
    }

    /// The details of the events in the outbox by name, oldest first.
    #[must_use]
    pub fn announced(&self) -> Vec<(String, Value)> {
        let mut rows = self.rows::<crate::outbox::OutboxRow>("OutboxTable");
        rows.sort_by(|a, b| a.event_id.cmp(&b.event_id));
        let detail = |row: &crate::outbox::OutboxRow| serde_json::from_str(&row.detail).expect("JSON");
        rows.iter().map(|row| (row.detail_type.clone(), detail(row))).collect()
    }

    /// The names of the events in the outbox, oldest first.
    #[must_use]
    pub fn announced_names(&self) -> Vec<String> {
        self.announced().into_iter().map(|(name, _)| name).collect()
    }

    fn answer(&self, name: &str, operation: &str, body: &Value) -> (u16, Vec<u8>) {
        if let Some(denied) = denied(&self.0.function.grants, name, body) {
            let (status, body) = error(400, "AccessDeniedException", &denied);
            return (status, body.into_bytes());
        }
        if name.starts_with("s3:") {
            return self.object(operation, body);
        }
        let (status, answer) = self.answer_json(name, operation, body);
        (status, answer.into_bytes())
    }

    fn answer_json(&self, name: &str, operation: &str, body: &Value) -> (u16, String) {
        match name.split_once(':').map(|(service, _)| service) {
            Some("dynamodb") => self.0.database.call(operation, body),
            Some("events") => {
                let entries = body.get("Entries").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
                let ids: Vec<_> = (0..entries).map(|index| json!({ "EventId": index.to_string() })).collect();
                (200, json!({ "FailedEntryCount": 0, "Entries": ids }).to_string())
            }
            Some("sqs") if operation == "ChangeMessageVisibilityBatch" => {
                (200, json!({ "Successful": [], "Failed": [] }).to_string())
            }
            Some("sqs") if operation == "SendMessageBatch" => {
                let entries = body.get("Entries").and_then(Value::as_array).into_iter().flatten();
                let taken = entries.map(|entry| {
                    json!({ "Id": entry.get("Id"), "MessageId": entry.get("Id"), "MD5OfMessageBody": "" })
                });
                (200, json!({ "Successful": taken.collect::<Vec<_>>(), "Failed": [] }).to_string())
            }
            Some("sqs") => (200, json!({ "MessageId": "1", "MD5OfMessageBody": "" }).to_string()),
            Some("kinesis") if operation == "PutRecords" => {
                let records = body.get("Records").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
                let taken = (0..records)
                    .map(|index| json!({ "SequenceNumber": index.to_string(), "ShardId": "shardId-0" }));
                (200, json!({ "FailedRecordCount": 0, "Records": taken.collect::<Vec<_>>() }).to_string())
            }
            Some("lambda") => (200, Value::Null.to_string()),
            Some("states") => {
                let execution = body.get("name").and_then(Value::as_str).unwrap_or_default();
                (200, json!({ "executionArn": execution, "startDate": START }).to_string())
            }
            Some("ses") => (200, json!({ "MessageId": "mail-1" }).to_string()),
            Some("secretsmanager") => {
                let id = body.get("SecretId").and_then(Value::as_str).unwrap_or_default();
                match locked(&self.0.secrets).get(id) {
                    Some(value) => (200, json!({ "ARN": id, "Name": id, "SecretString": value }).to_string()),
                    None => error(400, "ResourceNotFoundException", "no such secret"),
                }
            }
            _ => error(400, "UnknownOperationException", name),
        }
    }

    /// An object; the tag of every version of it is its size.
    fn object(&self, operation: &str, body: &Value) -> (u16, Vec<u8>) {
        let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}/{}", field("Bucket"), field("Key"));
        let mut objects = locked(&self.0.objects);
        if operation == "PutObject" {
            objects.insert(name, field("Body").as_bytes().to_vec());
            return (200, Vec::new());
        }
        let Some(content) = objects.get(&name) else {
            return (404, b"<Error><Code>NoSuchKey</Code></Error>".to_vec());
        };
        if body.get("IfMatch").is_some() && field("IfMatch") != format!("\"{}\"", content.len()) {
            return (412, b"<Error><Code>PreconditionFailed</Code></Error>".to_vec());
        }
        let range = field("Range").strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<usize>().ok()?)));
        match range {
            Some((first, last)) => (206, content.get(first..=last).unwrap_or_default().to_vec()),
            None => (200, content.clone()),
        }
    }

    async fn serve(
        &self,
        request: HttpRequest,
        partner: SharedHttpConnector,
    ) -> Result<HttpResponse, ConnectorError> {
        let targeted = request.headers().get("x-amz-target").and_then(call_name);
        let content = || request.body().bytes().unwrap_or_default();
        let call = match targeted {
            Some((name, operation)) => {
                Some((name, operation, serde_json::from_slice(content()).unwrap_or_default()))
            }
            None => {
                let header = |name: &str| request.headers().get(name).map(ToOwned::to_owned);
                rest_call(request.method(), request.uri(), header, content())
            }
        };
        let Some((name, operation, body)) = call else {
            // Not an AWS call: a partner on loopback, spoken to for real.
            return partner.call(request).await;
        };
        let death = self.death();
        if death == Some(Death::Before) {
            return std::future::pending().await;
        }
        locked(&self.0.calls).push(Call { name: name.clone(), body: body.clone() });
        let fault = locked(&self.0.faults).get_mut(&name).and_then(VecDeque::pop_front);
        let (status, answer) = match fault {
            None => self.answer(&name, &operation, &body),
            Some(Fault::Answered(answer)) => (200, answer.to_string().into_bytes()),
            Some(Fault::Refused(status, kind, mut fields)) => {
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("__type".to_owned(), json!(kind));
                }
                (status, fields.to_string().into_bytes())
            }
            Some(Fault::ReplyLost) => {
                self.answer(&name, &operation, &body);
                return Err(ConnectorError::timeout("the reply was lost".into()));
            }
        };
        if death == Some(Death::After) {
            return std::future::pending().await;
        }
        let status =
            StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(answer)))
    }
}

impl std::fmt::Debug for TestCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCloud").field("function", &self.0.function.logical_id).finish_non_exhaustive()
    }
}

impl HttpClient for TestCloud {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.clone(), self.0.partner.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct Connector(TestCloud, SharedHttpConnector);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (cloud, partner) = (self.0.clone(), self.1.clone());
        HttpConnectorFuture::new(async move { cloud.serve(request, partner).await })
    }
}
