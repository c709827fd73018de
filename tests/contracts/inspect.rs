//! Questions to the template that several contracts ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use eda::testing::template::{Function, Resource, Template};
use serde_json::Value;

pub(crate) static TEMPLATE: LazyLock<Template> = LazyLock::new(|| system_tests::template().unwrap());

/// What makes a function run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A route of the API, such as `POST /orders`.
    Http(String),
    /// A queue, by logical id.
    Queue(String),
    /// A dead-letter queue, by logical id.
    DeadLetters(String),
    /// A table's stream, by the table's logical id.
    Stream(String),
    /// A stream of facts, by logical id.
    Facts(String),
    /// A schedule.
    Schedule,
    /// A rule that targets the function itself, by logical id.
    Rule(String),
    /// A state machine, where nothing else does.
    Task,
}

/// All triggers of a function: those SAM makes from its `Events` and the mappings that name it.
pub(crate) fn triggers(function: &Function) -> Vec<Trigger> {
    let events = function.properties["Events"].as_object().into_iter().flat_map(|events| events.values());
    let own = events.map(|event| match event["Type"].as_str().unwrap() {
        "HttpApi" => Trigger::Http(format!(
            "{} {}",
            event["Properties"]["Method"].as_str().unwrap(),
            event["Properties"]["Path"].as_str().unwrap()
        )),
        "Schedule" => Trigger::Schedule,
        other => panic!("{}: a trigger of type {other} is unknown to this test", function.logical_id),
    });
    let mapped = mappings_of(function).into_iter().map(|mapping| {
        let source = text(&mapping.properties["EventSourceArn"]);
        match source.rsplit_once('.').unwrap() {
            (table, "StreamArn") => Trigger::Stream(table.to_owned()),
            (stream, "Arn") if resource(stream).kind == "AWS::Kinesis::Stream" => {
                Trigger::Facts(stream.to_owned())
            }
            (queue, "Arn") if dead_letter_queues().contains(queue) => Trigger::DeadLetters(queue.to_owned()),
            (queue, "Arn") => Trigger::Queue(queue.to_owned()),
            _ => panic!("{}: a mapping of {source} is unknown to this test", function.logical_id),
        }
    });
    let targeted = rules_targeting(function).into_iter().map(|rule| Trigger::Rule(rule.logical_id));
    let mut triggers: Vec<_> = own.chain(mapped).chain(targeted).collect();
    let arn = format!("\"{}.Arn\"", function.logical_id);
    let machines = TEMPLATE.resources("AWS::Serverless::StateMachine");
    let called = machines.iter().any(|machine| machine.properties["Definition"].to_string().contains(&arn));
    if triggers.is_empty() && called {
        triggers.push(Trigger::Task);
    }
    triggers
}

/// The queues in which ends what could not be handled: by redrive, by a rule's target, by a mapping's or an asynchronous
/// invocation's destination.
pub(crate) fn dead_letter_queues() -> BTreeSet<String> {
    const DESTINATIONS: [&str; 3] = ["RedrivePolicy", "DeadLetterConfig", "OnFailure"];
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        for (name, inner) in value.as_object().into_iter().flatten() {
            if DESTINATIONS.contains(&name.as_str()) {
                let fields = ["deadLetterTargetArn", "Arn", "Destination"].map(|field| &inner[field]);
                let arns = fields.into_iter().filter_map(|arn| arn.as_str()?.strip_suffix(".Arn"));
                found.extend(arns.filter(|id| resource(id).kind == "AWS::SQS::Queue").map(str::to_owned));
            }
            collect(inner, found);
        }
        value.as_array().into_iter().flatten().for_each(|inner| collect(inner, found));
    }
    let mut found = BTreeSet::new();
    for resource in TEMPLATE.all_resources() {
        collect(&resource.properties, &mut found);
    }
    found
}

/// The rules that target a function without a queue between.
pub(crate) fn rules_targeting(function: &Function) -> Vec<Resource> {
    let arn = format!("{}.Arn", function.logical_id);
    let mut rules = TEMPLATE.resources("AWS::Events::Rule");
    rules.retain(|rule| {
        rule.properties["Targets"].as_array().into_iter().flatten().any(|target| target["Arn"] == arn)
    });
    rules
}

pub(crate) fn mappings_of(function: &Function) -> Vec<Resource> {
    let mut mappings = TEMPLATE.resources("AWS::Lambda::EventSourceMapping");
    mappings.retain(|mapping| mapping.properties["FunctionName"] == function.logical_id.as_str());
    mappings
}

/// The queues from which functions read, with the function that reads each.
pub(crate) fn fed_queues() -> Vec<(Resource, Function)> {
    let functions = TEMPLATE.functions();
    let fed: Vec<_> = functions
        .values()
        .flat_map(|function| triggers(function).into_iter().map(move |trigger| (trigger, function)))
        .filter_map(|(trigger, function)| match trigger {
            Trigger::Queue(queue) => Some((resource(&queue), function.clone())),
            _ => None,
        })
        .collect();
    assert!(!fed.is_empty(), "no function reads a queue");
    fed
}

pub(crate) fn resource(logical_id: &str) -> Resource {
    /// Resolved once: they are asked for hundreds of times.
    static RESOURCES: LazyLock<BTreeMap<String, Resource>> = LazyLock::new(|| {
        TEMPLATE.all_resources().map(|resource| (resource.logical_id.clone(), resource)).collect()
    });
    let found = RESOURCES.get(logical_id).cloned();
    found.unwrap_or_else(|| panic!("the template has no resource {logical_id}"))
}

/// The properties of the resource that an ARN such as `ThingQueue.Arn` belongs to.
pub(crate) fn behind(arn: &Value) -> Resource {
    resource(text(arn).strip_suffix(".Arn").unwrap_or_else(|| panic!("{arn} is not the ARN of a resource")))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

/// Every file below a folder whose name ends so.
pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Nothing of the template breaks the relation, which names what does, and each of these changes of a resource's property
/// breaks it: a relation that cannot be broken says nothing.
pub(crate) fn holds(relation: fn(&Template) -> Vec<String>, changes: &[(&str, &str, Value)]) {
    let broken = relation(&TEMPLATE);
    assert!(broken.is_empty(), "{broken:#?}");
    for (resource, property, value) in changes {
        let place = format!("/Resources/{resource}/Properties/{property}");
        let broken = relation(&TEMPLATE.clone().with(&place, value.clone()));
        assert!(!broken.is_empty(), "{resource}: nobody notices {property}: {value}");
    }
}
