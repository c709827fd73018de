//! Questions to the template that several contracts ask.

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
    /// A table's stream, by the table's logical id.
    Stream(String),
    /// A schedule.
    Schedule,
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
            (queue, "Arn") => Trigger::Queue(queue.to_owned()),
            _ => panic!("{}: a mapping of {source} is unknown to this test", function.logical_id),
        }
    });
    own.chain(mapped).collect()
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
    TEMPLATE
        .all_resources()
        .find(|resource| resource.logical_id == logical_id)
        .unwrap_or_else(|| panic!("the template has no resource {logical_id}"))
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
