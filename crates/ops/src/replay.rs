//! `ops replay`: replays of archived events, by the function that has the right to start them.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::Verdict;
use crate::cli::{Manner, Replay, Window};
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{confirm, json, print, print_json};

/// The function that starts and follows replays.
const FUNCTION: &str = "replay-events";

/// How often a replay is looked at that is followed.
const LOOK: Duration = Duration::from_secs(2);

/// How a replay stands, as the function says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    name: String,
    state: String,
    reason: Option<String>,
    rules: Vec<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    replayed_to: Option<Timestamp>,
    percent: u64,
    ended: Option<Timestamp>,
}

impl Standing {
    fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "COMPLETED" | "CANCELLED" | "FAILED")
    }

    fn verdict(&self) -> Verdict {
        if self.state == "FAILED" { Verdict::Attention } else { Verdict::Well }
    }
}

pub(crate) async fn run(deployment: &Deployment, manner: Manner, command: Replay) -> Result<Verdict, Error> {
    match command {
        Replay::Start { window, no_follow } => start(deployment, manner, window, no_follow).await,
        Replay::Status { name, follow } => {
            let mut answer = ask(deployment, &json!({ "status": name })).await?;
            if follow {
                answer = followed(deployment, manner, answer).await?;
            }
            told(deployment, manner, &answer).await
        }
        Replay::Cancel { name } => {
            if manner.dry_run {
                return would(manner, &json!({ "cancel": name }));
            }
            confirm(manner, &format!("Cancel the replay {name}"))?;
            told(deployment, manner, &ask(deployment, &json!({ "cancel": name })).await?).await
        }
    }
}

async fn start(
    deployment: &Deployment,
    manner: Manner,
    window: Window,
    no_follow: bool,
) -> Result<Verdict, Error> {
    let Window { from, to, rules, events } = window;
    let to = to.unwrap_or_else(|| deployment.aws.ambient().now());
    let command = json!({ "start": { "from": from, "to": to, "rules": rules, "detailTypes": events } });
    if manner.dry_run {
        return would(manner, &command);
    }
    confirm(manner, &format!("Replay what happened from {from} to {to}"))?;
    let mut answer = ask(deployment, &command).await?;
    if !no_follow {
        answer = followed(deployment, manner, answer).await?;
    }
    told(deployment, manner, &answer).await
}

/// Asks until a replay is over.
async fn followed(deployment: &Deployment, manner: Manner, begun: Value) -> Result<Value, Error> {
    let bar = if manner.json { ProgressBar::hidden() } else { ProgressBar::new(100) };
    let style = ProgressStyle::with_template("{bar:40} {percent} % {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answer = begun;
    loop {
        let standing = read(&answer)?;
        bar.set_position(standing.percent);
        bar.set_message(standing.state.to_lowercase());
        if standing.is_over() {
            bar.finish_and_clear();
            return Ok(answer);
        }
        look.tick().await;
        answer = ask(deployment, &json!({ "status": standing.name })).await?;
    }
}

async fn ask(deployment: &Deployment, command: &Value) -> Result<Value, Error> {
    deployment.invoke(FUNCTION, command).await
}

fn read(answer: &Value) -> Result<Standing, Error> {
    let what = || format!("the answer of {FUNCTION}");
    Standing::deserialize(answer).map_err(|source| Error::Json { what: what(), source })
}

fn would(manner: Manner, command: &Value) -> Result<Verdict, Error> {
    if manner.json {
        print_json(&json!({ "would": command }))?;
    } else {
        print(format_args!("Would ask {FUNCTION} for {command}; nothing was done."))?;
    }
    Ok(Verdict::Well)
}

/// How it stands and, once it is over, whether anything of it lies in a dead-letter queue.
async fn told(deployment: &Deployment, manner: Manner, answer: &Value) -> Result<Verdict, Error> {
    let standing = read(answer)?;
    let mut parked = 0;
    if standing.is_over() {
        parked = deployment.dead_letter_queues().await?.iter().map(|queue| queue.visible).sum();
    }
    if manner.json {
        let mut answer = answer.clone();
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("deadLetters".to_owned(), json(&parked));
        }
        print_json(&answer)?;
    } else {
        let time = |time: Option<Timestamp>| time.map_or_else(|| "–".to_owned(), |time| time.to_string());
        let rules: Vec<_> = standing.rules.iter().filter_map(|arn| arn.rsplit('/').next()).collect();
        let mut lines = vec![
            format!("replay       {}", standing.name),
            format!("state        {}, {} % of the window", standing.state.to_lowercase(), standing.percent),
            format!("window       {} to {}", time(standing.from), time(standing.to)),
            format!("replayed to  {}", time(standing.replayed_to)),
            format!("rules        {}", rules.join(", ")),
        ];
        lines.extend(standing.reason.as_ref().map(|reason| format!("reason       {reason}")));
        lines.extend(standing.ended.map(|ended| format!("ended        {ended}")));
        if parked > 0 {
            lines.push(format!("\n{parked} dead letters lie in their queues: see `ops failed collect`."));
        }
        print(lines.join("\n"))?;
    }
    Ok(standing.verdict())
}
