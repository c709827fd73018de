//! Snapshots: keeps what an order's events came to, after those that the policy names.
//!
//! A snapshot that is late, or lost with its stream record, costs whoever loads the order some reading and nothing else.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Deadline, Doorbell, FailedAt, Projection, StreamConsumer, project_each};
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::snapshot::{Policy, Snapshot, Snapshots};
use envconfig::Envconfig;
use serde::Deserialize;
use shop::order::{OrderHead, OrderView};

/// The tables of this step, and its policy.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// One row per order that has a snapshot.
    #[envconfig(from = "SNAPSHOTS_TABLE")]
    pub snapshots: Table<Snapshot>,
    /// Which events are followed by a snapshot: `100` for every hundredth version, names of events, or both.
    #[envconfig(from = "SNAPSHOT_POLICY")]
    pub policy: Policy,
}

/// Takes snapshots of orders.
pub struct SnapshotOrders {
    snapshots: Snapshots<OrderHead>,
    policy: Policy,
}

/// An event as it was appended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Appended {
    /// Its order.
    aggregate_id: String,
    /// Its version.
    version: u64,
    /// Its contract.
    event_type: String,
}

impl Function for SnapshotOrders {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let snapshots = Snapshots::new(aws.dynamodb(), config.event_store, config.snapshots);
        Ok(Self { snapshots, policy: config.policy })
    }
}

impl StreamConsumer for SnapshotOrders {
    type Image = Appended;

    async fn consume(&self, appended: Vec<Appended>, deadline: Deadline) -> Result<(), FailedAt> {
        let due = |event: &Appended| self.policy.is_due(event.version, &event.event_type);
        let (positions, doorbells): (Vec<_>, Vec<_>) = appended
            .into_iter()
            .enumerate()
            .filter(|(_, event)| due(event))
            .map(|(position, Appended { aggregate_id, version, .. })| {
                (position, Doorbell { aggregate_id, version })
            })
            .unzip();
        project_each(self, doorbells, deadline).await.map_err(|FailedAt { position, failure }| FailedAt {
            position: positions.get(position).copied().unwrap_or_default(),
            failure,
        })
    }
}

impl Projection for SnapshotOrders {
    async fn project(&self, order_id: &str, version: u64) -> Result<(), Failure> {
        self.snapshots.take::<OrderView>(order_id, version).await
    }
}
