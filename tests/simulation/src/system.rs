//! What is deployed: functions, queues, rules, mappings and schedules, read from the template.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use eda::testing::template::{Function, Grant, Resource, TableDefinition, Template, at, list};
use eda::testing::transform::Transformer;
use serde_json::Value;

use crate::asynchronous::Retries;
use crate::execution::Machine;
use crate::facts;
use crate::functions::names;

/// The deployed system, without its data.
#[derive(Clone, Debug)]
pub struct System {
    /// The template, with the parameters of this run.
    pub template: Template,
    /// All functions.
    pub functions: Vec<Deployed>,
    /// All queues, by logical id.
    pub queues: BTreeMap<String, QueueSettings>,
    /// What takes messages from queues.
    pub queue_mappings: Vec<QueueMapping>,
    /// What takes letters from dead-letter queues once somebody switches it on.
    pub collections: Vec<QueueMapping>,
    /// What reads streams.
    pub stream_mappings: Vec<StreamMapping>,
    /// What the bus does with events.
    pub rules: Vec<Rule>,
    /// State machines, by ARN.
    pub machines: BTreeMap<String, Rc<Machine>>,
    /// What is invoked every so often: function and interval.
    pub schedules: Vec<(usize, Duration)>,
    /// All tables.
    pub tables: Vec<TableDefinition>,
    /// Tables whose rows expire, with the attribute that says when.
    pub expiring: BTreeMap<String, String>,
    /// The key attributes of every table, the partition key first.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// Its logical id.
    pub id: String,
    /// Its package.
    pub name: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// What its role allows.
    pub grants: BTreeSet<Grant>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// What becomes of its asynchronous invocations.
    pub retries: Retries,
}

/// A queue. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// How long a received message is hidden.
    pub visibility: Duration,
    /// After how many receives a message goes where.
    pub redrive: Option<(u32, String)>,
    /// Whether it keeps the order of its groups.
    pub fifo: bool,
}

/// A function's mapping of a queue.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>
#[derive(Clone, Debug)]
pub struct QueueMapping {
    /// The queue.
    pub queue: String,
    /// The function, by its position.
    pub function: usize,
    /// Messages per invocation, at most.
    pub batch_size: usize,
    /// Invocations at a time, at most.
    pub concurrency: usize,
    /// Whether the function says which messages failed; else they succeed or fail together.
    pub reports_items: bool,
}

/// A function's mapping of a table's stream.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html>
#[derive(Clone, Debug)]
pub struct StreamMapping {
    /// The table, or the stream of facts.
    pub table: String,
    /// Whether it is a Kinesis stream.
    pub facts: bool,
    /// How long records are gathered before they are handed over.
    pub gathering: Duration,
    /// The function, by its position.
    pub function: usize,
    /// Records per invocation, at most.
    pub batch_size: usize,
    /// Batches of a shard at a time.
    pub lanes: usize,
    /// Patterns of which one must fit; none lets everything pass.
    pub filters: Vec<Value>,
    /// Whether the function says which record failed first.
    pub reports_items: bool,
    /// Whether a batch that failed as a whole is halved.
    pub bisects: bool,
    /// How often a batch is tried again.
    pub retries: u32,
    /// The age beyond which a record is discarded.
    pub max_age: Duration,
    /// Where the addresses of discarded records go.
    pub on_failure: Option<String>,
}

/// A rule of the bus, and one of its targets.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html>
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule.
    pub name: String,
    /// Which events.
    pub pattern: Value,
    /// The queue or function that gets them, by its logical id.
    pub target: String,
    /// What cuts them down before.
    pub transformer: Option<Transformer>,
    /// What becomes of those that it does not take.
    pub retries: Retries,
}

/// What the template holds and the simulation has no model of.
#[derive(Debug)]
pub struct Unmodelled(String);

impl std::fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the simulation has no model of {}", self.0)
    }
}

impl std::error::Error for Unmodelled {}

impl System {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Unmodelled`] names what the simulation cannot run: better than leaving it out in silence.
    pub fn deployed_by(template: Template) -> Result<Self, Unmodelled> {
        let by_id = template.functions();
        let ids: Vec<String> = by_id.keys().cloned().collect();
        let function = |property: &Value| {
            let id = property.as_str().unwrap_or_default().trim_end_matches(".Arn");
            ids.iter().position(|known| known == id).ok_or_else(|| Unmodelled(format!("the function {id}")))
        };
        let queues = template.resources("AWS::SQS::Queue").into_iter().map(queue).collect();
        let kinesis = template.resources("AWS::Kinesis::Stream");
        let (mut queue_mappings, mut stream_mappings) = (Vec::new(), Vec::new());
        let mut collections = Vec::new();
        let collector = by_id.values().position(|function| function.binary == "process-dlq");
        for mapping in template.resources("AWS::Lambda::EventSourceMapping") {
            let properties = &mapping.properties;
            if at(properties, "/Enabled") == false {
                continue;
            }
            let function = function(at(properties, "/FunctionName"))?;
            let source = at(properties, "/EventSourceArn").as_str().unwrap_or_default();
            let is_stream = |id: &str| kinesis.iter().any(|stream| stream.logical_id == id);
            match source.split_once('.') {
                Some((stream, "Arn")) if is_stream(stream) => {
                    let mapping = stream_mapping(stream, function, properties);
                    stream_mappings.push(StreamMapping { facts: true, lanes: facts::SHARDS, ..mapping });
                }
                Some((queue, "Arn")) if Some(function) == collector => {
                    collections.push(queue_mapping(queue, function, properties));
                }
                Some((queue, "Arn")) => queue_mappings.push(queue_mapping(queue, function, properties)),
                Some((table, "StreamArn")) => {
                    stream_mappings.push(stream_mapping(table, function, properties))
                }
                _ => return Err(Unmodelled(format!("the event source {source}"))),
            }
        }
        let mut rules = Vec::new();
        let rules_on = template.resources("AWS::Events::Rule").into_iter();
        for rule in rules_on.filter(|rule| at(&rule.properties, "/State") != "DISABLED") {
            for target in list(at(&rule.properties, "/Targets")) {
                let arn = at(target, "/Arn").as_str().unwrap_or_default();
                rules.push(Rule {
                    name: rule.logical_id.clone(),
                    pattern: at(&rule.properties, "/EventPattern").clone(),
                    target: arn.trim_end_matches(".Arn").to_owned(),
                    transformer: Transformer::of(target),
                    retries: Retries::of_target(target),
                });
            }
        }
        let mut schedules = Vec::new();
        for (index, function) in by_id.values().enumerate() {
            for event in at(&function.properties, "/Events").as_object().into_iter().flat_map(|e| e.values())
            {
                if *at(event, "/Type") == "Schedule" {
                    schedules.push((index, rate(at(event, "/Properties/Schedule"))?));
                }
            }
        }
        let arns: BTreeMap<_, _> =
            ids.iter().enumerate().map(|(index, id)| (format!("{id}.Arn"), index)).collect();
        let mut machines = BTreeMap::new();
        for machine in template.resources("AWS::Serverless::StateMachine") {
            let definition = at(&machine.properties, "/Definition").clone();
            let read = Machine::read(definition, arns.clone())
                .map_err(|unknown| Unmodelled(format!("{}: {unknown}", machine.logical_id)))?;
            machines.insert(format!("{}.Arn", machine.logical_id), Rc::new(read));
        }
        let tables = template.tables();
        let expiring =
            tables.iter().filter_map(|t| Some((t.name.clone(), t.time_to_live.clone()?))).collect();
        let keys = tables.iter().map(|table| {
            let keys = list(at(&table.create_table, "/KeySchema"));
            let names = keys.filter_map(|key| Some(key.get("AttributeName")?.as_str()?.to_owned()));
            (table.name.clone(), names.collect())
        });
        let keys = keys.collect();
        let functions: Vec<_> = by_id.into_values().map(deployed).collect();
        if let Some(unknown) = functions.iter().find(|function| !names().any(|name| name == function.name)) {
            return Err(Unmodelled(format!("the function {}", unknown.name)));
        }
        Ok(Self {
            template,
            functions,
            queues,
            queue_mappings,
            collections,
            stream_mappings,
            rules,
            machines,
            schedules,
            tables,
            expiring,
            keys,
        })
    }

    /// The position of the function of this package.
    #[must_use]
    pub fn function(&self, package: &str) -> Option<usize> {
        self.functions.iter().position(|function| function.name == package)
    }

    /// The position of the function with this logical id.
    #[must_use]
    pub fn target(&self, id: &str) -> Option<usize> {
        self.functions.iter().position(|function| function.id == id)
    }

    /// Whether a queue is told what rules could not deliver, or functions gave up on.
    #[must_use]
    pub fn is_destination(&self, queue: &str) -> bool {
        let rules = self.rules.iter().map(|rule| &rule.retries);
        let mut all = rules.chain(self.functions.iter().map(|function| &function.retries));
        all.any(|retries| retries.on_failure.as_deref() == Some(queue))
    }

    /// The queues that feed a function.
    #[must_use]
    pub fn is_work_queue(&self, queue: &str) -> bool {
        self.queue_mappings.iter().any(|mapping| mapping.queue == queue)
    }
}

fn deployed(function: Function) -> Deployed {
    let timeout = seconds(at(&function.properties, "/Timeout"), 3);
    let retries = Retries::of_function(&function.properties);
    let Function { logical_id: id, binary: name, environment, grants, .. } = function;
    Deployed { id, name, environment, grants, timeout, retries }
}

fn queue(resource: Resource) -> (String, QueueSettings) {
    let properties = &resource.properties;
    let redrive = at(properties, "/RedrivePolicy/deadLetterTargetArn").as_str().map(|arn| {
        let receives = number(at(properties, "/RedrivePolicy/maxReceiveCount")).unwrap_or(10);
        (u32::try_from(receives).unwrap_or(u32::MAX), arn.trim_end_matches(".Arn").to_owned())
    });
    let visibility = seconds(at(properties, "/VisibilityTimeout"), 30);
    (resource.logical_id, QueueSettings { visibility, redrive, fifo: *at(properties, "/FifoQueue") == true })
}

fn reports_items(properties: &Value) -> bool {
    list(at(properties, "/FunctionResponseTypes")).any(|kind| kind == "ReportBatchItemFailures")
}

fn count(value: &Value, otherwise: usize) -> usize {
    number(value).and_then(|number| usize::try_from(number).ok()).unwrap_or(otherwise)
}

fn queue_mapping(queue: &str, function: usize, properties: &Value) -> QueueMapping {
    QueueMapping {
        queue: queue.to_owned(),
        function,
        batch_size: count(at(properties, "/BatchSize"), 10),
        concurrency: count(at(properties, "/ScalingConfig/MaximumConcurrency"), 1_000),
        reports_items: reports_items(properties),
    }
}

fn stream_mapping(table: &str, function: usize, properties: &Value) -> StreamMapping {
    let filters = list(at(properties, "/FilterCriteria/Filters"));
    let filters = filters.filter_map(|filter| serde_json::from_str(filter.get("Pattern")?.as_str()?).ok());
    let destination = at(properties, "/DestinationConfig/OnFailure/Destination");
    StreamMapping {
        table: table.to_owned(),
        facts: false,
        gathering: seconds(at(properties, "/MaximumBatchingWindowInSeconds"), 0),
        function,
        batch_size: count(at(properties, "/BatchSize"), 100),
        lanes: count(at(properties, "/ParallelizationFactor"), 1),
        filters: filters.collect(),
        reports_items: reports_items(properties),
        bisects: at(properties, "/BisectBatchOnFunctionError") == true,
        retries: number(at(properties, "/MaximumRetryAttempts"))
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(u32::MAX),
        max_age: seconds(at(properties, "/MaximumRecordAgeInSeconds"), 24 * 60 * 60),
        on_failure: destination.as_str().map(|arn| arn.trim_end_matches(".Arn").to_owned()),
    }
}

pub(crate) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

pub(crate) fn seconds(value: &Value, otherwise: u64) -> Duration {
    Duration::from_secs(number(value).and_then(|n| u64::try_from(n).ok()).unwrap_or(otherwise))
}

/// `rate(1 minute)`. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
fn rate(expression: &Value) -> Result<Duration, Unmodelled> {
    let text = expression.as_str().unwrap_or_default();
    let unknown = || Unmodelled(format!("the schedule {text}"));
    let inner = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(unknown)?;
    let (amount, unit) = inner.split_once(' ').ok_or_else(unknown)?;
    let amount: u64 = amount.parse().map_err(|_| unknown())?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err(unknown()),
    };
    Ok(Duration::from_secs(amount * unit))
}
