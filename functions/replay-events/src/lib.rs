//! Replays archived events, bounded by time and by rules: starts a replay, looks how far it has come, cancels it.
//!
//! `{"start": {"from": …, "to": …, "rules": […], "detailTypes": […]}}`, `{"status": NAME}` or `{"cancel": NAME}`; the
//! answer says how the replay stands.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Deadline;
use eda::replay::{Progress, ReplayConfig, Replays, Window};
use eda::serve::{Function, StartError, Task};
use serde::Deserialize;

/// Replays archived events.
pub struct ReplayEvents(Replays);

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Replays what lies in this window.
    Start(Window),
    /// Looks how far the replay of this name has come.
    Status(String),
    /// Cancels the replay of this name.
    Cancel(String),
}

impl Function for ReplayEvents {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = ReplayConfig;

    async fn start(aws: &Aws, config: ReplayConfig) -> Result<Self, StartError> {
        Ok(Self(Replays::new(aws, config)))
    }
}

impl Task for ReplayEvents {
    type Input = Command;
    type Report = Progress;

    async fn run(&self, command: Command, _: Deadline) -> Result<Progress, Failure> {
        let progress = match &command {
            Command::Start(window) => self.0.start(window).await?,
            Command::Status(name) => self.0.status(name).await?,
            Command::Cancel(name) => self.0.cancel(name).await?,
        };
        tracing::info!(
            replay = progress.name,
            state = progress.state,
            percent = progress.percent,
            "a replay"
        );
        Ok(progress)
    }
}
