use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};
use envconfig::Envconfig as _;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::template::{Grant, Template};
use crate::ambient::{Ambient, Manual, Source as _};
use crate::aws::{Aws, TEST_ENDPOINT};
use crate::batch::{Consumer, Deadline, Parking, ParkingConfig, QueueWorker};
use crate::row::{Item, Key, Row, from_item, to_item};
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

/// A cloud in this process, for one function: the template's tables in a real DynamoDB implementation, all other
/// services recorded. Calls that the function's role does not allow are denied.
#[derive(Clone)]
pub struct TestCloud(Arc<Inner>);

struct Inner {
    database: Database,
    clock: Manual,
    function: super::template::Function,
    secrets: Mutex<HashMap<String, String>>,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<HashMap<String, VecDeque<Fault>>>,
    partner: SharedHttpClient,
}

struct DatabaseClock(Manual);

impl Clock for DatabaseClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().as_second()).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_duration().as_secs_f64()
    }
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
        let database =
            Database::memory_with_clock(Arc::new(DatabaseClock(clock.clone()))).expect("a database");
        for table in template.tables() {
            let request = serde_json::from_value(table.create_table).expect("a table definition");
            database.create_table(request).expect("the table can be created");
        }
        Self(Arc::new(Inner {
            database,
            clock,
            function,
            secrets: Mutex::default(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            partner: aws_smithy_http_client::Builder::new().build_http(),
        }))
    }

    /// Clients and clock, as a function gets them.
    #[must_use]
    pub fn aws(&self) -> Aws {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(TEST_ENDPOINT)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .sleep_impl(TokioSleep::new())
            .http_client(SharedHttpClient::new(self.clone()))
            .build();
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

    /// A deadline far enough away for any test.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    /// Stores a secret.
    pub fn secret(&self, id: &str, value: &str) {
        locked(&self.0.secrets).insert(id.to_owned(), value.to_owned());
    }

    /// The next call of this name, e.g. `dynamodb:PutItem`, meets this. Faults of one name queue up.
    pub fn inject(&self, call: &str, fault: Fault) {
        locked(&self.0.faults).entry(call.to_owned()).or_default().push_back(fault);
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
        let request = json!({ "TableName": table, "Item": plain(item) });
        self.0
            .database
            .put_item(serde_json::from_value(request).expect("a request"))
            .expect("the row is put");
    }

    /// The row of this key in the table of this logical id.
    #[must_use]
    pub fn get<R: Row>(&self, table: &str, key: Key<R>) -> Option<R> {
        let request = json!({ "TableName": table, "Key": plain(key.attributes) });
        let found = self.0.database.get_item(serde_json::from_value(request).expect("a request"));
        let found = serde_json::to_value(found.expect("an answer")).expect("JSON");
        let item = found.get("Item").filter(|item| !item.is_null())?;
        Some(from_item(typed(item)).expect("a readable row"))
    }

    /// All rows of the table of this logical id that are of this kind.
    #[must_use]
    pub fn rows<R: Row>(&self, table: &str) -> Vec<R> {
        let request = serde_json::from_value(json!({ "TableName": table })).expect("a request");
        let found = serde_json::to_value(self.0.database.scan(request).expect("an answer")).expect("JSON");
        let items = found.get("Items").and_then(Value::as_array).cloned().unwrap_or_default();
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

    fn answer(&self, name: &str, operation: &str, body: &Value) -> (u16, String) {
        if let Some(denied) = self.denied(name, body) {
            return error(400, "AccessDeniedException", &denied);
        }
        match name.split_once(':').map(|(service, _)| service) {
            Some("dynamodb") => self.dynamodb(operation, body),
            Some("events") => {
                let entries = body.get("Entries").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
                let ids: Vec<_> = (0..entries).map(|index| json!({ "EventId": index.to_string() })).collect();
                (200, json!({ "FailedEntryCount": 0, "Entries": ids }).to_string())
            }
            Some("sqs") => (200, json!({ "MessageId": "1", "MD5OfMessageBody": "" }).to_string()),
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

    /// The first action on a resource that the function's role does not allow.
    fn denied(&self, name: &str, body: &Value) -> Option<String> {
        needed(name, body)
            .into_iter()
            .find(|grant| !self.0.function.grants.contains(grant))
            .map(|Grant { action, resource }| format!("the role does not allow {action} on {resource}"))
    }

    fn dynamodb(&self, operation: &str, body: &Value) -> (u16, String) {
        let database = &self.0.database;
        let done = match operation {
            "PutItem" => run(body, |request| database.put_item(request)),
            "UpdateItem" => run(body, |request| database.update_item(request)),
            "GetItem" => run(body, |request| database.get_item(request)),
            "DeleteItem" => run(body, |request| database.delete_item(request)),
            "Query" => run(body, |request| database.query(request)),
            "Scan" => run(body, |request| database.scan(request)),
            "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
            "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
            other => return error(400, "UnknownOperationException", other),
        };
        match done {
            Ok(answer) => (200, answer),
            Err(refused) => (refused.status_code(), refused.to_json()),
        }
    }

    async fn serve(
        &self,
        mut request: HttpRequest,
        partner: SharedHttpConnector,
    ) -> Result<HttpResponse, ConnectorError> {
        let Some((name, operation)) = request.headers().get("x-amz-target").and_then(call_name) else {
            // Not an AWS call: a partner on loopback, spoken to for real.
            return partner.call(request).await;
        };
        let bytes = std::mem::replace(request.body_mut(), SdkBody::empty());
        let body: Value = serde_json::from_slice(bytes.bytes().unwrap_or_default()).unwrap_or_default();
        locked(&self.0.calls).push(Call { name: name.clone(), body: body.clone() });
        let fault = locked(&self.0.faults).get_mut(&name).and_then(VecDeque::pop_front);
        let (status, answer) = match fault {
            None => self.answer(&name, &operation, &body),
            Some(Fault::Answered(answer)) => (200, answer.to_string()),
            Some(Fault::Refused(status, kind, mut fields)) => {
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("__type".to_owned(), json!(kind));
                }
                (status, fields.to_string())
            }
            Some(Fault::ReplyLost) => {
                self.answer(&name, &operation, &body);
                return Err(ConnectorError::timeout("the reply was lost".into()));
            }
        };
        let status =
            StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(answer)))
    }
}

/// The actions and resources that a call needs, by the function's own names.
fn needed(name: &str, body: &Value) -> BTreeSet<Grant> {
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let grant = |action: &str, resource: String| Grant { action: action.to_owned(), resource };
    match name {
        "dynamodb:TransactWriteItems" => {
            let actions = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let parts = actions.filter_map(|action| action.as_object()).flatten();
            parts
                .map(|(verb, part)| {
                    let verb = if verb == "ConditionCheck" {
                        "ConditionCheckItem".into()
                    } else {
                        format!("{verb}Item")
                    };
                    grant(&format!("dynamodb:{verb}"), format!("{}.Arn", text(part, "TableName")))
                })
                .collect()
        }
        "dynamodb:BatchWriteItem" | "dynamodb:BatchGetItem" => {
            let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
            tables.map(|(table, _)| grant(name, format!("{table}.Arn"))).collect()
        }
        "events:PutEvents" => {
            let entries = body.get("Entries").and_then(Value::as_array).into_iter().flatten();
            entries.map(|entry| grant(name, format!("{}.Arn", text(entry, "EventBusName")))).collect()
        }
        "sqs:SendMessage" => BTreeSet::from([grant(name, format!("{}.Arn", text(body, "QueueUrl")))]),
        "secretsmanager:GetSecretValue" => BTreeSet::from([grant(name, text(body, "SecretId"))]),
        _ => {
            let index = text(body, "IndexName");
            let table = text(body, "TableName");
            let resource =
                if index.is_empty() { format!("{table}.Arn") } else { format!("{table}.Arn/index/{index}") };
            BTreeSet::from([grant(name, resource)])
        }
    }
}

/// `DynamoDB_20120810.PutItem` → (`dynamodb:PutItem`, `PutItem`).
fn call_name(target: &str) -> Option<(String, String)> {
    let (service, operation) = target.split_once('.')?;
    let service = match service {
        "DynamoDB_20120810" => "dynamodb",
        "AWSEvents" => "events",
        "AmazonSQS" => "sqs",
        other => other,
    };
    Some((format!("{service}:{operation}"), operation.to_owned()))
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &Value,
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let malformed = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let request = serde_json::from_value(body.clone()).map_err(malformed)?;
    serde_json::to_string(&operation(request)?).map_err(malformed)
}

fn error(status: u16, kind: &str, message: &str) -> (u16, String) {
    (status, json!({ "__type": kind, "message": message }).to_string())
}

/// An item in DynamoDB's JSON.
pub(super) fn plain(item: Item) -> Value {
    let attributes = item.into_iter().map(|(name, value)| (name, plain_value(value)));
    Value::Object(attributes.collect())
}

fn plain_value(value: aws_sdk_dynamodb::types::AttributeValue) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue as A;
    match value {
        A::S(text) => json!({ "S": text }),
        A::N(number) => json!({ "N": number }),
        A::Bool(flag) => json!({ "BOOL": flag }),
        A::Ss(set) => json!({ "SS": set }),
        A::L(list) => json!({ "L": list.into_iter().map(plain_value).collect::<Vec<_>>() }),
        A::M(map) => json!({ "M": plain(map) }),
        _ => json!({ "NULL": true }),
    }
}

/// An item from DynamoDB's JSON.
pub(super) fn typed(item: &Value) -> Item {
    let attributes = item.as_object().into_iter().flatten();
    attributes.filter_map(|(name, value)| Some((name.clone(), typed_value(value)?))).collect()
}

fn typed_value(value: &Value) -> Option<aws_sdk_dynamodb::types::AttributeValue> {
    use aws_sdk_dynamodb::types::AttributeValue as A;
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(ToOwned::to_owned);
    let list = || value.as_array().into_iter().flatten();
    Some(match kind.as_str() {
        "S" => A::S(text()?),
        "N" => A::N(text()?),
        "BOOL" => A::Bool(value.as_bool()?),
        "SS" => A::Ss(list().filter_map(|element| element.as_str().map(ToOwned::to_owned)).collect()),
        "L" => A::L(list().filter_map(typed_value).collect()),
        "M" => A::M(typed(value)),
        _ => A::Null(true),
    })
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
