//! Reconciliation: finds views that are behind their orders though no doorbell rang, and brings them up to date.
//!
//! A run looks at a bounded part of the store, and the next one goes on from there, so every order comes up in turn.

use eda::aws::Aws;
use eda::batch::Deadline;
use eda::row::Table;
use eda::serve::{Function, StartError, Task, Tick};
use eda::view::{Current, Generations, Reconciled, Reconciliation, WRITERS_LAG};
use eda::{Failure, telemetry};
use envconfig::Envconfig;
use shop::order::{ORDERS, OrderHead, OrderViewRow};

/// The tables of this task, and its pace.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' heads and events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// The views.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
    /// The views' generations, and where the next run goes on.
    #[envconfig(from = "PROJECTIONS_TABLE")]
    pub projections: Table<Generations>,
    /// Pages of a hundred items that a run looks at, at most.
    #[envconfig(from = "RECONCILE_PAGES")]
    pub pages: u32,
}

/// Repairs views.
pub struct ReconcileViews {
    reconciliation: Reconciliation<OrderViewRow, OrderHead>,
    pages: u32,
}

impl Function for ReconcileViews {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let Config { event_store, views, projections, pages } = config;
        let places = projections.holding();
        let current = Current::new(aws.dynamodb(), projections, ORDERS, aws.ambient(), WRITERS_LAG);
        Ok(Self {
            reconciliation: Reconciliation::new(aws.dynamodb(), event_store, views, places, current),
            pages,
        })
    }
}

impl Task for ReconcileViews {
    type Input = Tick;
    type Report = Reconciled;

    async fn run(&self, _: Tick, deadline: Deadline) -> Result<Reconciled, Failure> {
        let report = self.reconciliation.run(self.pages, deadline).await?;
        telemetry::report(Self::NAME, "ViewsRepaired", report.repaired);
        telemetry::report(Self::NAME, "Unprojectable", report.unreadable);
        Ok(report)
    }
}
