//! Rebuild without downtime: builds the next generation of the orders' views from the store, beside the one that readers
//! see, and switches when it is whole.
//!
//! It only reads events and writes views: no step runs again, and nothing is announced.

use std::num::NonZeroU32;
use std::time::Duration;

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::row::Table;
use eda::serve::{Function, StartError, Task};
use eda::view::{Generations, Rebuild, Settings};
use envconfig::Envconfig;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shop::order::{ORDERS, OrderHead, OrderViewRow};

/// The tables of this task, and its pace.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The orders' heads and events: the truth.
    #[envconfig(from = "EVENT_STORE_TABLE")]
    pub event_store: Table<OrderHead>,
    /// The views, of two generations.
    #[envconfig(from = "ORDER_VIEWS_TABLE")]
    pub views: Table<OrderViewRow>,
    /// The views' generations, and how far a build has come.
    #[envconfig(from = "PROJECTIONS_TABLE")]
    pub projections: Table<Generations>,
    /// Orders per second, at most, where a request does not say.
    #[envconfig(from = "REBUILD_RATE")]
    pub rate: NonZeroU32,
    /// How long an invocation of the projection may take: one that knows nothing of a build must have ended.
    #[envconfig(from = "PROJECTION_TIMEOUT_SECONDS")]
    pub projection_timeout: u64,
}

/// Rebuilds the orders' views.
pub struct RebuildOrdersView {
    rebuild: Rebuild<OrderViewRow, OrderHead>,
    rate: NonZeroU32,
}

/// What is asked for: an action, or by the schedule that a build goes on.
#[derive(Debug, Deserialize)]
pub struct Request {
    action: Option<Action>,
    rate: Option<NonZeroU32>,
    #[serde(rename = "detail-type")]
    scheduled: Option<IgnoredAny>,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Begin a build.
    Start,
    /// Go on with one.
    Continue,
    /// Tell how things stand.
    Status,
    /// Give a build up.
    Cancel,
    /// Send readers back to the generation that they saw before.
    Rollback,
}

/// How things stand, and why not otherwise.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The generations, and the latest build.
    #[serde(flatten)]
    pub generations: Generations,
    /// Why what was asked for was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Function for RebuildOrdersView {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let Config { event_store, views, projections, rate, projection_timeout } = config;
        let settings = Settings {
            view: ORDERS,
            function: Self::NAME,
            event_store,
            views,
            generations: projections,
            projection_timeout: Duration::from_secs(projection_timeout),
        };
        Ok(Self { rebuild: Rebuild::new(aws.dynamodb(), aws.ambient(), settings), rate })
    }
}

impl Task for RebuildOrdersView {
    type Input = Request;
    type Report = Report;

    async fn run(&self, request: Request, deadline: Deadline) -> Result<Report, Failure> {
        let action = request.action.or(request.scheduled.map(|_| Action::Continue));
        let Some(action) = action else {
            return Err(Failure::permanent(
                "action is required: start, continue, status, cancel or rollback",
            ));
        };
        let rate = request.rate.unwrap_or(self.rate).get();
        let changed = match action {
            Action::Start => self.rebuild.start(rate).await?,
            Action::Continue => Ok(self.rebuild.run(deadline).await?),
            Action::Status => Ok(self.rebuild.status().await?),
            Action::Cancel => self.rebuild.cancel().await?,
            Action::Rollback => self.rebuild.roll_back().await?,
        };
        Ok(match changed {
            Ok(generations) => Report { generations, refused: None },
            Err(refused) => {
                Report { generations: self.rebuild.status().await?, refused: Some(refused.to_string()) }
            }
        })
    }
}
