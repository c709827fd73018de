//! What goes wrong on purpose.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::request::CallKind;

/// A fault: which requests it strikes, how often, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests; all, by default.
    #[serde(default)]
    pub on: On,
    /// How many requests it strikes; for ever, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(rename = "do")]
    pub what: Do,
}

/// Which requests a fault strikes: those that everything given here fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct On {
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallKind>,
    /// A regular expression that finds something in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The payment method given with the request, else at the intent's creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Metadata of the request, else of the intent: all of these must be there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Do {
    /// The confirmation is refused with 402, as a card would.
    Decline {
        /// `card_declined`, `expired_card`, …
        #[serde(default = "card_declined")]
        code: String,
        /// The issuer's reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decline_code: Option<String>,
    },
    /// The confirmation answers `processing`; the charge succeeds without a further call.
    Processing {
        /// After so many milliseconds.
        for_ms: u64,
    },
    /// 500 before anything is done, saved under the key.
    ServerError,
    /// All is done, but the answer is a 500, saved under the key.
    ServerErrorAfterEffect,
    /// No answer for a while.
    Timeout {
        /// The while, in milliseconds.
        delay_ms: u64,
        /// Afterwards it is done and answered after all; else the connection drops and nothing is done.
        #[serde(default)]
        late: bool,
    },
    /// All is done and saved, but the answer gets lost.
    LostResponse {
        /// The edge answers 502, which nobody saves; else the connection drops.
        #[serde(default)]
        bad_gateway: bool,
    },
    /// Refused at the edge: nothing is done, nothing saved.
    Unavailable {
        /// 503 by default; 429 is a rate limit.
        #[serde(default = "service_unavailable")]
        status: u16,
    },
    /// The request's key is forgotten before the request is looked at.
    ForgetKeys,
}

fn card_declined() -> String {
    "card_declined".to_owned()
}

fn service_unavailable() -> u16 {
    503
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the idempotency key is looked at.
    Keys,
    /// Between the client and the API: replays too.
    Way,
    /// While the call executes: never a replay.
    Execution,
}

impl Do {
    fn stage(&self) -> Stage {
        match self {
            Self::ForgetKeys => Stage::Keys,
            Self::Timeout { .. } | Self::LostResponse { .. } | Self::Unavailable { .. } => Stage::Way,
            Self::Decline { .. }
            | Self::Processing { .. }
            | Self::ServerError
            | Self::ServerErrorAfterEffect => Stage::Execution,
        }
    }

    fn suits(&self, traits: &Traits) -> bool {
        match self {
            Self::Decline { .. } | Self::Processing { .. } => traits.confirms,
            _ => true,
        }
    }
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// `fault_1`, …
    pub id: String,
    /// How many requests it has struck.
    pub struck: u32,
    /// As it was given.
    pub fault: Fault,
}

/// What a request shows to the selectors.
#[derive(Debug)]
pub(super) struct Traits {
    pub(super) kind: CallKind,
    pub(super) path: String,
    /// It would charge.
    pub(super) confirms: bool,
    pub(super) payment_method: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// All faults in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: u64,
    active: Vec<(ActiveFault, Option<Regex>)>,
}

impl Faults {
    /// Fails if the path is no regular expression.
    pub(super) fn add(&mut self, fault: Fault) -> Result<ActiveFault, String> {
        let path = fault.on.path.as_deref().map(Regex::new).transpose();
        let path = path.map_err(|error| format!("on.path: {error}"))?;
        self.count += 1;
        let active = ActiveFault { id: format!("fault_{}", self.count), struck: 0, fault };
        self.active.push((active.clone(), path));
        Ok(active)
    }

    /// Those that have struck as often as they should remain listed.
    pub(super) fn list(&self) -> Vec<ActiveFault> {
        self.active.iter().map(|(active, _)| active.clone()).collect()
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.active.len();
        self.active.retain(|(active, _)| active.id != id);
        self.active.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// The oldest fault of this stage that fits, counted as having struck.
    pub(super) fn strike(&mut self, stage: Stage, traits: &Traits) -> Option<Do> {
        let (active, _) = self.active.iter_mut().find(|(active, path)| {
            let Fault { on, times, what } = &active.fault;
            what.stage() == stage
                && what.suits(traits)
                && times.is_none_or(|times| active.struck < times)
                && on.call.is_none_or(|call| call == traits.kind)
                && path.as_ref().is_none_or(|path| path.is_match(&traits.path))
                && (on.payment_method.is_none() || on.payment_method == traits.payment_method)
                && on.metadata.iter().all(|(name, value)| traits.metadata.get(name) == Some(value))
        })?;
        active.struck = active.struck.saturating_add(1);
        Some(active.fault.what.clone())
    }
}
