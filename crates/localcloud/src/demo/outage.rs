//! The payment gateway is out of reach for a while, in the middle of it all.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::gateway::{ActiveFault, Do, Fault, On};
use crate::http::HttpClient;
use crate::{Error, Stack};

/// How long it lasts: several times as long as the circuit waits before it tries the gateway again.
const LENGTH: Duration = Duration::from_secs(10);
/// How long it lasts where the circuit has not opened before, for a busy machine brings few orders to their payment: well
/// below the orders' deadline.
const LONGEST: Duration = Duration::from_secs(30);

/// An outage of the payment gateway.
#[derive(Debug)]
pub(super) struct Outage {
    faults: String,
    http: HttpClient,
    state: State,
    /// Whether the circuit was seen open: nobody called the gateway then.
    opened: bool,
}

#[derive(Debug)]
enum State {
    /// It is not staged.
    Never,
    Ahead,
    UnderWay {
        since: Instant,
        fault: String,
    },
    Over {
        took: Duration,
        refused: u32,
        waited: usize,
    },
}

impl Outage {
    pub(super) fn new(gateway_url: &str, staged: bool) -> Self {
        let faults = format!("{gateway_url}/_localcloud/faults");
        let state = if staged { State::Ahead } else { State::Never };
        Self { faults, http: HttpClient::new(), state, opened: false }
    }

    /// Whether it is still to come.
    pub(super) fn is_ahead(&self) -> bool {
        matches!(self.state, State::Ahead)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. } | State::Never)
    }

    /// Whether it has lasted long enough.
    pub(super) fn is_due_to_end(&self) -> bool {
        let length = if self.opened { LENGTH } else { LONGEST };
        matches!(&self.state, State::UnderWay { since, .. } if since.elapsed() >= length)
    }

    /// From now on every call is refused.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        let fault = Fault { on: On::default(), times: None, what: Do::Unavailable { status: 503 } };
        let headers = [("content-type", "application/json")];
        let answer =
            self.http.send(Method::POST, &self.faults, &headers, json!(fault).to_string().into_bytes());
        let active: ActiveFault = read(&self.faults, &answer.await?)?;
        self.state = State::UnderWay { since: Instant::now(), fault: active.id };
        Ok(())
    }

    /// Looks whether the circuit is open.
    pub(super) async fn watch(&mut self, stack: &Stack) -> Result<(), Error> {
        if !self.opened && matches!(self.state, State::UnderWay { .. }) {
            let circuits = stack.rows("CircuitsTable").await?;
            self.opened =
                circuits.iter().any(|row| row.get("status").is_some_and(|status| status != "closed"));
        }
        Ok(())
    }

    /// The gateway answers again. So many orders have waited for it.
    pub(super) async fn end(&mut self, waited: usize) -> Result<(), Error> {
        let State::UnderWay { since, fault } = &self.state else { return Ok(()) };
        let active: Vec<ActiveFault> = read(&self.faults, &self.http.get(&self.faults).await?)?;
        let refused = active.iter().find(|active| active.id == *fault).map_or(0, |active| active.struck);
        let url = format!("{}/{fault}", self.faults);
        self.http.send(Method::DELETE, &url, &[], Vec::new()).await?;
        self.state = State::Over { took: since.elapsed(), refused, waited };
        Ok(())
    }

    /// What it came to. Of `enough` orders some need the gateway meanwhile, so that it would be no outage otherwise.
    pub(super) fn outcome(&self, enough: bool) -> Result<String, String> {
        match &self.state {
            State::Never => Ok("none was staged".to_owned()),
            State::Ahead => Err("it never began".to_owned()),
            State::UnderWay { .. } => Err("it never ended".to_owned()),
            State::Over { refused: 0, .. } if enough => Err("nobody called the gateway meanwhile".to_owned()),
            State::Over { .. } if enough && !self.opened => Err("the circuit stayed closed".to_owned()),
            State::Over { took, refused, waited } => {
                let circuit = if self.opened { ", and nobody called any more" } else { "" };
                let seconds = took.as_secs_f64();
                Ok(format!(
                    "out of reach for {seconds:.1} s, {refused} calls refused{circuit}; {waited} orders waited"
                ))
            }
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(url: &str, answer: &crate::Answer) -> Result<T, Error> {
    answer.json().map_err(|error| Error::Content { path: url.into(), message: error.to_string() })
}
