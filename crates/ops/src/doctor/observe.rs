//! What there is to see of a deployment, asked of AWS.

use std::collections::BTreeMap;

use eda::dead_letters::Group;
use eda::outbox::OutboxRow;
use eda::row::{Key, Table};
use eda::rows::Rows;
use eda::view::View as _;
use shop::order::OrderViewRow;

use super::{alarms, schemas};
use crate::deployment::{Deployment, Queue, package_of};
use crate::error::Error;
use crate::outbox;
use crate::saga::{Open, open_before};

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// Epoch milliseconds.
    pub(super) now: i64,
    pub(super) stack: String,
    /// Queues, with whether process-dlq reads them.
    pub(super) queues: Vec<(Queue, bool)>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) functions: Vec<Function>,
    /// Names of rules that are switched off.
    pub(super) disabled_rules: Vec<String>,
    pub(super) outbox: Vec<OutboxRow>,
    pub(super) groups: Vec<Group>,
    /// Orders past their deadline.
    pub(super) overdue: Vec<Open>,
    /// Views that are behind their order: order, version of the view, version of the order.
    pub(super) behind: Vec<(String, u64, u64)>,
    /// Alarms that are on: name and reason.
    pub(super) alarms: Vec<(String, String)>,
    /// Contracts that the deployment lacks, or has otherwise than this program.
    pub(super) contracts: Vec<String>,
    /// Tables that should have a stream and have none.
    pub(super) silent_tables: Vec<String>,
    /// What could not be looked at, and why.
    pub(super) unchecked: Vec<String>,
}

/// A mapping of a source to a function.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping {
    pub(super) id: String,
    /// The function's package.
    pub(super) function: String,
    pub(super) source: String,
    pub(super) enabled: bool,
    /// What Lambda says of its last batch.
    pub(super) last_result: String,
}

/// A function.
#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    pub(super) package: String,
    pub(super) name: String,
    /// Invocations that it may have at a time, where that is limited.
    pub(super) reserved: Option<i32>,
    /// `Active`, or why not.
    pub(super) state: String,
}

pub(super) async fn observe(deployment: &Deployment) -> Result<Observation, Error> {
    let now = deployment.now();
    let dead: Vec<_> = deployment.dead_letter_queues().await?.into_iter().map(|queue| queue.arn).collect();
    let queues = deployment.queues().await?.into_iter();
    let queues = queues.map(|queue| (queue.clone(), dead.contains(&queue.arn)));
    let mut seen = Observation {
        now,
        stack: deployment.stack.clone(),
        queues: queues.collect(),
        functions: functions(deployment).await?,
        mappings: mappings(deployment).await?,
        disabled_rules: disabled_rules(deployment).await?,
        outbox: outbox::rows(deployment).await?,
        groups: deployment.desk()?.groups().await?,
        overdue: open_before(deployment, now / 1_000).await?,
        behind: behind(deployment).await?,
        silent_tables: silent_tables(deployment).await?,
        ..Observation::default()
    };
    // What one may lack leave for, without the rest being of no use.
    match alarms::on(deployment).await {
        Ok(alarms) => seen.alarms = alarms,
        Err(error) => seen.unchecked.push(format!("alarms: {error}")),
    }
    match schemas::drift(deployment).await {
        Ok(contracts) => seen.contracts = contracts,
        Err(error) => seen.unchecked.push(format!("contracts: {error}")),
    }
    Ok(seen)
}

async fn functions(deployment: &Deployment) -> Result<Vec<Function>, Error> {
    let mut functions = Vec::new();
    for resource in deployment.resources("AWS::Lambda::Function") {
        let name = resource.physical_id.clone();
        let configured = deployment.lambda.get_function_configuration().function_name(&name).send().await;
        let configured = configured.map_err(Error::aws("lambda:GetFunctionConfiguration"))?;
        let limited = deployment.lambda.get_function_concurrency().function_name(&name).send().await;
        let limited = limited.map_err(Error::aws("lambda:GetFunctionConcurrency"))?;
        let state = configured.state().map_or("Active", |state| state.as_str()).to_owned();
        functions.push(Function {
            package: package_of(&resource.logical_id),
            name,
            reserved: limited.reserved_concurrent_executions,
            state,
        });
    }
    Ok(functions)
}

async fn mappings(deployment: &Deployment) -> Result<Vec<Mapping>, Error> {
    let mut mappings = Vec::new();
    for resource in deployment.resources("AWS::Lambda::Function") {
        let list = deployment.lambda.list_event_source_mappings().function_name(&resource.physical_id);
        let mut pages = list.into_paginator().items().send();
        while let Some(mapping) = pages.next().await {
            let mapping = mapping.map_err(Error::aws("lambda:ListEventSourceMappings"))?;
            let state = mapping.state.unwrap_or_default();
            mappings.push(Mapping {
                id: mapping.uuid.unwrap_or_default(),
                function: package_of(&resource.logical_id),
                source: mapping.event_source_arn.unwrap_or_default(),
                enabled: matches!(state.as_str(), "Enabled" | "Enabling" | "Creating" | "Updating"),
                last_result: mapping.last_processing_result.unwrap_or_default(),
            });
        }
    }
    Ok(mappings)
}

async fn disabled_rules(deployment: &Deployment) -> Result<Vec<String>, Error> {
    let events = deployment.aws.eventbridge();
    let bus = deployment.output("EventBus")?;
    let mut disabled = Vec::new();
    for (bus, prefix) in [(Some(bus), None), (None, Some(deployment.stack.as_str()))] {
        let mut next = None;
        loop {
            let list = events.list_rules().set_event_bus_name(bus.map(ToOwned::to_owned));
            let list = list.set_name_prefix(prefix.map(ToOwned::to_owned)).set_next_token(next.take());
            let page = list.send().await.map_err(Error::aws("events:ListRules"))?;
            let off = page
                .rules()
                .iter()
                .filter(|rule| rule.state().is_some_and(|state| state.as_str() == "DISABLED"));
            disabled.extend(off.filter_map(|rule| rule.name().map(ToOwned::to_owned)));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
    }
    Ok(disabled)
}

/// Views of open orders that are behind. An order that moved this minute may be ahead of its view.
async fn behind(deployment: &Deployment) -> Result<Vec<(String, u64, u64)>, Error> {
    let views: Table<OrderViewRow> = deployment.table("OrderViewsTable")?;
    let rows = Rows::new(deployment.aws.dynamodb());
    let mut behind = Vec::new();
    for order in open_before(deployment, i64::MAX / 2_000).await? {
        let mut newest = 0;
        // Two generations have a place: the live one and the one that is being built.
        for generation in [1, 2] {
            let key: Key<OrderViewRow> = OrderViewRow::key(&order.order_id, generation);
            let view = rows.read(&views, key).await?;
            newest = newest.max(view.map_or(0, |view| view.checkpoint()));
        }
        if newest < order.version {
            behind.push((order.order_id, newest, order.version));
        }
    }
    Ok(behind)
}

async fn silent_tables(deployment: &Deployment) -> Result<Vec<String>, Error> {
    let dynamodb = deployment.aws.dynamodb();
    let mut silent = Vec::new();
    for output in ["EventStoreTable", "OutboxTable"] {
        let asked = dynamodb.describe_table().table_name(deployment.output(output)?).send().await;
        let asked = asked.map_err(Error::aws("dynamodb:DescribeTable"))?;
        let stream = asked.table.and_then(|table| table.stream_specification);
        if !stream.is_some_and(|stream| stream.stream_enabled) {
            silent.push(output.to_owned());
        }
    }
    Ok(silent)
}

/// How many of each.
pub(super) fn counted<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
