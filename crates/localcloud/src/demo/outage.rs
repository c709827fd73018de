//! The payment gateway is out of reach for a while, in the middle of it all.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::gateway::{ActiveFault, Do, Fault, On};
use crate::http::HttpClient;
use crate::{Error, Stack};

/// How long it lasts: several times as long as the circuit waits before it tries the gateway again.
const LENGTH: Duration = Duration::from_secs(10);
/// How long it lasts where nobody has met it before, or not often enough for the circuit to open: well below the orders' deadline.
const LONGEST: Duration = Duration::from_secs(30);

/// An outage of the payment gateway.
#[derive(Debug)]
pub(super) struct Outage {
    faults: String,
    http: HttpClient,
    state: State,
    /// Whether the circuit was seen open: nobody called the gateway then.
    opened: bool,
    /// How many calls were refused meanwhile.
    refused: u32,
}

#[derive(Debug)]
enum State {
    /// It is not staged.
    Never,
    Ahead,
    UnderWay {
        since: Instant,
        fault: String,
        /// Calls that were refused before.
        before: u32,
    },
    Over {
        took: Duration,
        waited: usize,
    },
}

impl Outage {
    pub(super) fn new(gateway_url: &str, staged: bool) -> Self {
        let faults = format!("{gateway_url}/_localcloud/faults");
        let state = if staged { State::Ahead } else { State::Never };
        Self { faults, http: HttpClient::new(), state, opened: false, refused: 0 }
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
        let length = if self.opened && self.refused > 0 { LENGTH } else { LONGEST };
        matches!(&self.state, State::UnderWay { since, .. } if since.elapsed() >= length)
    }

    /// From now on every call is refused.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        let before = self.refusals().await?;
        let fault = Fault { on: On::default(), times: None, what: Do::Unavailable { status: 503 } };
        let headers = [("content-type", "application/json")];
        let answer =
            self.http.send(Method::POST, &self.faults, &headers, json!(fault).to_string().into_bytes());
        let active: ActiveFault = read(&self.faults, &answer.await?)?;
        self.state = State::UnderWay { since: Instant::now(), fault: active.id, before };
        Ok(())
    }

    /// Looks whether calls are refused, and whether the circuit is open.
    pub(super) async fn watch(&mut self, stack: &Stack) -> Result<(), Error> {
        self.count().await?;
        if !self.opened && matches!(self.state, State::UnderWay { .. }) {
            let circuits = stack.rows("CircuitsTable").await?;
            self.opened =
                circuits.iter().any(|row| row.get("status").is_some_and(|status| status != "closed"));
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<(), Error> {
        if let State::UnderWay { before, .. } = self.state {
            self.refused = self.refusals().await?.saturating_sub(before);
        }
        Ok(())
    }

    /// How many calls have been refused so far. An older fault, of a card of its own, goes before the outage, so that all of
    /// them count.
    async fn refusals(&self) -> Result<u32, Error> {
        let active: Vec<ActiveFault> = read(&self.faults, &self.http.get(&self.faults).await?)?;
        let refusing = active.iter().filter(|active| matches!(active.fault.what, Do::Unavailable { .. }));
        Ok(refusing.map(|active| active.struck).sum())
    }

    /// The gateway answers again. So many orders have waited for it.
    pub(super) async fn end(&mut self, waited: usize) -> Result<(), Error> {
        let State::UnderWay { since, fault, .. } = &self.state else { return Ok(()) };
        let url = format!("{}/{fault}", self.faults);
        self.http.send(Method::DELETE, &url, &[], Vec::new()).await?;
        self.state = State::Over { took: since.elapsed(), waited };
        Ok(())
    }

    /// What it came to. Of `enough` orders some need the gateway meanwhile, so that it would be no outage otherwise.
    pub(super) fn outcome(&self, enough: bool) -> Result<String, String> {
        match &self.state {
            State::Never => Ok("none was staged".to_owned()),
            State::Ahead => Err("it never began".to_owned()),
            State::UnderWay { .. } => Err("it never ended".to_owned()),
            State::Over { .. } if enough && self.refused == 0 => {
                Err("nobody called the gateway meanwhile".to_owned())
            }
            State::Over { .. } if enough && !self.opened => Err("the circuit stayed closed".to_owned()),
            State::Over { took, waited } => {
                let refused = self.refused;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Hosted, Settings};

    #[tokio::test]
    async fn calls_count_that_an_older_fault_refuses() {
        let gateway = Hosted::start(Settings::new("sk_test")).await.unwrap();
        gateway
            .fault(Fault { on: On::default(), times: None, what: Do::Unavailable { status: 503 } })
            .unwrap();
        let http = HttpClient::new();
        let url = format!("{}/v1/payment_intents", gateway.url());
        let headers = [("authorization", "Bearer sk_test")];
        let call = async || http.send(Method::POST, &url, &headers, Vec::new()).await.unwrap().status;
        let mut outage = Outage::new(gateway.url(), true);

        assert_eq!(call().await, 503);
        outage.begin().await.unwrap();
        outage.count().await.unwrap();
        assert_eq!(outage.refused, 0, "what was refused before is not of the outage");
        assert_eq!(call().await, 503);
        outage.count().await.unwrap();
        assert_eq!(outage.refused, 1);
    }
}
