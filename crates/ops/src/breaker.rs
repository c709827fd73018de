//! `ops breaker`: the circuits, and moving one by hand.

use eda::breaker::{Circuit, CircuitState};
use eda::event::{Cause, SagaStyle};
use eda::outbox::OutboxRow;
use eda::row::{Key, Table};
use eda::rows::Rows;
use eda::spine::Spine;
use eda::step::State as _;
use eda::transition::{Outcome, Transition};
use serde::Serialize;
use serde_json::json;
use shop::events::CircuitStateChanged;

use crate::Verdict;
use crate::cli::{Breaker, Manner};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{age, confirm, moment, print, print_json, table};

/// A circuit, as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    resource: &'a str,
    status: &'static str,
    /// Epoch milliseconds when it came into its state; 0 where it has always been closed.
    since: i64,
    /// Epoch milliseconds before which nobody calls, but the prober if there is one; none where it is closed.
    until: Option<i64>,
    trips: u32,
    consecutive_failures: u32,
    calls: u32,
    failures: u32,
}

impl<'a> From<&'a Circuit> for Told<'a> {
    fn from(circuit: &'a Circuit) -> Self {
        let sum = |count: fn(&eda::breaker::Slice) -> u32| circuit.slices.iter().map(count).sum();
        Self {
            resource: &circuit.resource,
            status: circuit.status.name(),
            since: circuit.since,
            until: (circuit.status != CircuitState::Closed).then_some(circuit.until),
            trips: circuit.trips,
            consecutive_failures: circuit.consecutive,
            calls: sum(|slice| slice.calls),
            failures: sum(|slice| slice.failures),
        }
    }
}

pub(crate) async fn run(
    deployment: &Deployment,
    manner: Manner,
    command: Option<Breaker>,
) -> Result<Verdict, Error> {
    match command {
        None => status(deployment, manner).await,
        Some(Breaker::Close { resource }) => by_hand(deployment, manner, &resource, None).await,
        Some(Breaker::Open { resource, seconds }) => {
            by_hand(deployment, manner, &resource, Some(seconds)).await
        }
    }
}

async fn status(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let mut circuits: Vec<Circuit> = deployment.scan(&deployment.table("CircuitsTable")?).await?;
    circuits.sort_by(|one, other| one.resource.cmp(&other.resource));
    let now = deployment.now();
    if manner.json {
        print_json(&circuits.iter().map(Told::from).collect::<Vec<_>>())?;
    } else if circuits.is_empty() {
        print("Nothing has failed yet: every circuit is closed.")?;
    } else {
        let lines = circuits.iter().map(|circuit| {
            let told = Told::from(circuit);
            let since = if told.since == 0 { "ever".to_owned() } else { moment(told.since) };
            let until = told.until.map_or_else(|| "–".to_owned(), |until| age(until - now));
            let failures = format!("{} of {}", told.failures, told.calls);
            vec![
                told.resource.to_owned(),
                told.status.to_owned(),
                since,
                until,
                told.trips.to_string(),
                failures,
            ]
        });
        let headings = ["RESOURCE", "STATE", "SINCE", "TRIED AGAIN IN", "OPENED", "FAILED LATELY"];
        print(table(&headings, &lines.collect::<Vec<_>>()))?;
    }
    let closed = circuits.iter().all(|circuit| circuit.status == CircuitState::Closed);
    Ok(if closed { Verdict::Well } else { Verdict::Attention })
}

/// Closes a circuit, or opens it for so many seconds. Announced, as every change of its state is.
async fn by_hand(
    deployment: &Deployment,
    manner: Manner,
    resource: &str,
    open_for: Option<u32>,
) -> Result<Verdict, Error> {
    let circuits: Table<Circuit> = deployment.table("CircuitsTable")?;
    let standing = Rows::new(deployment.aws.dynamodb()).read(&circuits, Key::of(resource)).await?;
    let standing = standing.ok_or_else(|| Error::NoCircuit(resource.to_owned()))?;
    let now = deployment.now();
    let until = open_for.map(|seconds| now.saturating_add(i64::from(seconds).saturating_mul(1_000)));
    let to = if until.is_some() { CircuitState::Open } else { CircuitState::Closed };
    let done = |outcome: &str| -> Result<(), Error> {
        if manner.json {
            return print_json(
                &json!({ "resource": resource, "from": standing.status.name(), "outcome": outcome }),
            );
        }
        print(format_args!("{resource}: {outcome}."))
    };
    if manner.dry_run {
        done(&format!("would be {}, is {}", to.name(), standing.status.name()))?;
        return Ok(Verdict::Well);
    }
    confirm(manner, &format!("{resource} is {}; make it {}", standing.status.name(), to.name()))?;
    let ambient = deployment.aws.ambient();
    let outbox: Table<OutboxRow> = deployment.table("OutboxTable")?;
    let spine = Spine::new(deployment.aws.dynamodb(), outbox, ambient.clone());
    let write = match until {
        Some(until) => Circuit::open_by_hand(&circuits, resource, standing.trips, until, now),
        None => Circuit::close_by_hand(&circuits, resource, &ambient.new_id().to_string(), now),
    };
    let trips = if until.is_some() { standing.trips.max(1) } else { 0 };
    let (resource_name, from) = (resource.to_owned(), standing.status.to_string());
    let changed = CircuitStateChanged { resource: resource_name, from, to: to.to_string(), trips };
    let event = spine.event(&Cause::root(SagaStyle::default(), None), &changed)?;
    match spine.commit(Transition::guarded_by(write).emit(event)).await? {
        Outcome::Applied => done(&format!("is {} now, for all environments within seconds", to.name()))?,
        Outcome::Duplicate(_) => done(&format!("stays {}: there is nothing to do", to.name()))?,
    }
    Ok(Verdict::Well)
}
