//! Replays of archived events: started, followed, cancelled.
//!
//! An archive knows the time of an event and nothing else about it, so a replay is bounded by time and by the rules that its
//! events go to, never by their names: where names are asked for, the rules that match them are taken, with all that
//! these match. Without rules all of ours are, and no others: what forwards events to a partner stays out. A replayed
//! event is the event as it was, `eventId` and all, so each consumer knows it again; it comes in no particular order.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::str::FromStr;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{ReplayDestination, ReplayState};
use envconfig::Envconfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failure;
use crate::ambient::Ambient;
use crate::aws::Aws;

/// What is replayed, and where to.
#[derive(Clone, Debug, Envconfig)]
pub struct ReplayConfig {
    /// ARN of the archive.
    #[envconfig(from = "EVENT_ARCHIVE_ARN")]
    pub archive_arn: String,
    /// ARN of the bus that it belongs to.
    #[envconfig(from = "EVENT_BUS_ARN")]
    pub bus_arn: String,
    /// ARNs of the rules that replayed events may go to, separated by commas.
    #[envconfig(from = "EVENT_RULE_ARNS")]
    pub rule_arns: Arns,
    /// What the names of all replays begin with, at most 50 characters.
    #[envconfig(from = "REPLAY_PREFIX")]
    pub prefix: String,
}

/// ARNs, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arns(Vec<String>);

impl FromStr for Arns {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let arns = text.split(',').map(str::trim).filter(|arn| !arn.is_empty());
        Ok(Self(arns.map(ToOwned::to_owned).collect()))
    }
}

/// What to replay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// From this event time on.
    pub from: Timestamp,
    /// Up to this event time.
    pub to: Timestamp,
    /// Only to these rules, each named by a part of its name that no other has.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Only to rules that match one of these events; they get whatever else they match as well.
    #[serde(default)]
    pub detail_types: Vec<String>,
}

/// A replay, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Its name.
    pub name: String,
    /// `STARTING`, `RUNNING`, `CANCELLING`, `COMPLETED`, `CANCELLED` or `FAILED`.
    pub state: String,
    /// Why it stands so, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rules that its events go to.
    pub rules: Vec<String>,
    /// From this event time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Up to this event time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Event time of the last event that was replayed; none where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed_to: Option<Timestamp>,
    /// How much of the window is done, in percent. Not of the events: nobody knows how many there are.
    pub percent: u8,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// Starts and follows replays.
pub struct Replays {
    events: Client,
    ambient: Ambient,
    config: ReplayConfig,
}

impl Replays {
    /// Of this archive.
    #[must_use]
    pub fn new(aws: &Aws, config: ReplayConfig) -> Self {
        Self { events: aws.eventbridge(), ambient: aws.ambient(), config }
    }

    /// Starts a replay.
    ///
    /// # Errors
    /// [`Failure`]: permanent where the window is empty, a rule is unknown or no rule matches; else transient.
    pub async fn start(&self, window: &Window) -> Result<Progress, Failure> {
        if window.from >= window.to {
            return Err(Failure::permanent("from must be before to"));
        }
        let rules = self.rules(window).await?;
        // Names cannot be used again for 90 days.
        let name = format!("{}-{}", self.config.prefix, self.ambient.now().as_millisecond());
        let destination = ReplayDestination::builder()
            .arn(&self.config.bus_arn)
            .set_filter_arns(Some(rules.clone()))
            .build()
            .map_err(|error| Failure::permanent("the destination is malformed").because(error))?;
        let started = self
            .events
            .start_replay()
            .replay_name(&name)
            .event_source_arn(&self.config.archive_arn)
            .event_start_time(date_time(window.from))
            .event_end_time(date_time(window.to))
            .destination(destination)
            .send()
            .await
            .map_err(|error| refused("the replay was not started", error))?;
        Ok(Progress {
            name,
            state: state(started.state()),
            reason: started.state_reason().map(ToOwned::to_owned),
            rules,
            from: Some(window.from),
            to: Some(window.to),
            replayed_to: None,
            percent: 0,
            ended: None,
        })
    }

    /// Looks how far a replay has come.
    ///
    /// # Errors
    /// [`Failure`]: permanent where there is no such replay; else transient.
    pub async fn status(&self, name: &str) -> Result<Progress, Failure> {
        let found = self.events.describe_replay().replay_name(name).send().await;
        let found =
            found.map_err(|error| refused(&format!("the replay {name} could not be found"), error))?;
        let time = |time: Option<&DateTime>| {
            time.and_then(|time| Timestamp::from_millisecond(time.to_millis().ok()?).ok())
        };
        let (from, to) = (time(found.event_start_time()), time(found.event_end_time()));
        let replayed_to = time(found.event_last_replayed_time());
        let percent = match found.state() {
            Some(ReplayState::Completed) => 100,
            _ => percent(from, to, replayed_to),
        };
        let rules = found.destination().map(|to| to.filter_arns().to_vec()).unwrap_or_default();
        let reason = found.state_reason().map(ToOwned::to_owned);
        let ended = time(found.replay_end_time());
        let (name, state) = (name.to_owned(), state(found.state()));
        Ok(Progress { name, state, reason, rules, from, to, replayed_to, percent, ended })
    }

    /// Cancels a replay. Events that are out already are handled all the same.
    ///
    /// # Errors
    /// [`Failure`]: permanent where there is no such replay or it is over; else transient.
    pub async fn cancel(&self, name: &str) -> Result<Progress, Failure> {
        let cancelled = self.events.cancel_replay().replay_name(name).send().await;
        cancelled.map_err(|error| refused(&format!("the replay {name} was not cancelled"), error))?;
        self.status(name).await
    }

    /// The rules that a window asks for.
    async fn rules(&self, window: &Window) -> Result<Vec<String>, Failure> {
        let Arns(all) = &self.config.rule_arns;
        let mut chosen: Vec<String> = Vec::new();
        for wanted in &window.rules {
            let found: Vec<_> = all.iter().filter(|arn| name_of(arn).contains(wanted.as_str())).collect();
            match found.as_slice() {
                [] => return Err(Failure::permanent(format!("there is no rule {wanted}"))),
                [only] => chosen.push((*only).clone()),
                _ => return Err(Failure::permanent(format!("several rules are called {wanted}"))),
            }
        }
        if window.rules.is_empty() {
            chosen.clone_from(all);
        }
        if window.detail_types.is_empty() {
            return Ok(chosen);
        }
        let mut matching = Vec::new();
        for arn in chosen {
            if self.matches(&arn, &window.detail_types).await? {
                matching.push(arn);
            }
        }
        if matching.is_empty() {
            let types = window.detail_types.join(", ");
            return Err(Failure::permanent(format!("no rule matches {types}")));
        }
        Ok(matching)
    }

    /// Whether a rule may match an event of one of these names.
    async fn matches(&self, arn: &str, detail_types: &[String]) -> Result<bool, Failure> {
        let bus = self.config.bus_arn.rsplit('/').next().unwrap_or_default();
        let rule = self.events.describe_rule().name(name_of(arn)).event_bus_name(bus).send().await;
        let rule = rule.map_err(|error| refused("a rule could not be read", error))?;
        let pattern: Value =
            serde_json::from_str(rule.event_pattern().unwrap_or_default()).unwrap_or_default();
        Ok(match pattern.get("detail-type").and_then(Value::as_array) {
            // Names only; anything else may match anything.
            Some(names) if names.iter().all(Value::is_string) => {
                let names: BTreeSet<_> = names.iter().filter_map(Value::as_str).collect();
                detail_types.iter().any(|wanted| names.contains(wanted.as_str()))
            }
            _ => true,
        })
    }
}

/// `arn:aws:events:us-east-1:111122223333:rule/bus/name` → `name`.
fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

fn date_time(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millisecond())
}

fn state(state: Option<&ReplayState>) -> String {
    state.map_or("UNKNOWN", ReplayState::as_str).to_owned()
}

/// How much of the window lies before the last replayed event.
fn percent(from: Option<Timestamp>, to: Option<Timestamp>, at: Option<Timestamp>) -> u8 {
    let (Some(from), Some(to), Some(at)) = (from, to, at) else { return 0 };
    let [from, to, at] = [from, to, at].map(Timestamp::as_millisecond);
    let done = at.saturating_sub(from).saturating_mul(100).checked_div(to.saturating_sub(from));
    u8::try_from(done.unwrap_or_default().clamp(0, 100)).unwrap_or_default()
}

/// What is wrong with the request stays so; everything else may pass.
fn refused(
    what: &str,
    error: impl ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
) -> Failure {
    let permanent = matches!(
        error.code(),
        Some(
            "ResourceNotFoundException"
                | "ValidationException"
                | "IllegalStatusException"
                | "InvalidEventPatternException"
                | "ResourceAlreadyExistsException"
        )
    );
    if permanent { Failure::permanent(what).because(error) } else { Failure::transient(what).because(error) }
}
