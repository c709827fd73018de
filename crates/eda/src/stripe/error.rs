//! What can go wrong, by what the caller has to do about it.

use std::error::Error;
use std::fmt;

use serde::Deserialize;

use super::intent::Intent;
use super::wire::Answer;
use crate::failure::{Failure, Kind};

/// A call that brought no result.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The card was refused: a business outcome. The same key repeats it.
    #[error("the payment was declined: {0}")]
    Declined(Decline),
    /// The intent's state does not allow the call; nothing was changed.
    #[error("the payment intent's state does not allow this: {message}")]
    UnexpectedState {
        /// The provider's words.
        message: String,
        /// The intent as it is now, if the answer held it; else retrieve it.
        intent: Option<Box<Intent>>,
    },
    /// All of the charge has been given back before: for who wanted that, it is done.
    #[error("the charge has already been refunded")]
    AlreadyRefunded,
    /// The request is wrong, and stays so however often it is sent.
    #[error("the request is not valid{}: {message}", named(param.as_deref()))]
    Invalid {
        /// The provider's code: `resource_missing`, `amount_too_small`, …
        code: Option<String>,
        /// The parameter at fault.
        param: Option<String>,
        /// The provider's words.
        message: String,
    },
    /// The key is wrong, revoked, or may not do this. Whoever keeps the key can mend it.
    #[error("the API key was refused (HTTP status {status})")]
    Unauthorized {
        /// 401 or 403.
        status: u16,
    },
    /// No answer, or none to rely on. **The call may have taken effect**: retrieve before deciding.
    #[error("the payment provider is unavailable: {message}")]
    Unavailable {
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// The answer repeats a saved one: the same key brings it again until the provider forgets the key.
        replayed: bool,
        /// What happened.
        message: String,
        /// The failure beneath, where nothing was answered.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl StripeError {
    /// Whether doing it again can help.
    ///
    /// [`Kind::Transient`] where the outcome is unknown, and for a refused key: parking every payment
    /// because a key was rotated late would turn a minute's mistake into a day's work.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::Unauthorized { .. } => Kind::Transient,
            Self::Declined(_) | Self::UnexpectedState { .. } | Self::AlreadyRefunded => Kind::Permanent,
            Self::Invalid { .. } => Kind::Permanent,
        }
    }

    /// Whether it says that the provider is out of order for everybody, a refused key included, and not that this
    /// request or its intent is: a saved answer was given long ago, and 409 is about one key or one intent.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { replayed: true, .. } | Self::Unavailable { status: Some(409), .. } => false,
            Self::Unavailable { .. } | Self::Unauthorized { .. } => true,
            Self::Declined(_) | Self::UnexpectedState { .. } => false,
            Self::AlreadyRefunded | Self::Invalid { .. } => false,
        }
    }

    pub(super) fn invalid(param: &str, message: &str) -> Self {
        Self::Invalid { code: None, param: Some(param.to_owned()), message: message.to_owned() }
    }

    pub(super) fn silent(message: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            status: None,
            replayed: false,
            message: message.to_owned(),
            source: Some(source.into()),
        }
    }

    /// An answer of which nothing can be concluded.
    pub(super) fn unreliable(answer: &Answer, message: impl Into<String>) -> Self {
        Self::Unavailable {
            status: Some(answer.status),
            replayed: answer.replayed,
            message: message.into(),
            source: None,
        }
    }

    /// Reads an answer that is no success.
    /// <https://docs.stripe.com/api/errors>, <https://docs.stripe.com/error-low-level>
    pub(super) fn from_answer(answer: &Answer) -> Self {
        if matches!(answer.status, 401 | 403) {
            // The provider's words would repeat a part of the key.
            return Self::Unauthorized { status: answer.status };
        }
        let Ok(Envelope { error }) = serde_json::from_slice::<Envelope>(&answer.body) else {
            return Self::unreliable(answer, format!("HTTP status {} without its error", answer.status));
        };
        let message = error.message.unwrap_or_else(|| format!("HTTP status {}", answer.status));
        match (answer.status, error.code.as_deref()) {
            // Another request holds the key or the intent; or too many requests.
            (409 | 429, _) | (_, Some("lock_timeout" | "rate_limit")) => Self::unreliable(answer, message),
            (402, _) => Self::Declined(Decline {
                code: error.code.unwrap_or_else(|| "card_declined".to_owned()),
                decline_code: error.decline_code,
                message,
            }),
            (400..=499, Some("payment_intent_unexpected_state")) => {
                Self::UnexpectedState { message, intent: error.payment_intent }
            }
            (400..=499, Some("charge_already_refunded")) => Self::AlreadyRefunded,
            (400..=499, _) => Self::Invalid { code: error.code, param: error.param, message },
            _ => Self::unreliable(answer, message),
        }
    }
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        let what = "the payment provider was called in vain";
        match error.kind() {
            Kind::Transient => Self::transient(what).because(error),
            Kind::Permanent => Self::permanent(what).because(error),
        }
    }
}

fn named(param: Option<&str>) -> String {
    param.map(|name| format!(" ({name})")).unwrap_or_default()
}

/// Why a card was refused. <https://docs.stripe.com/declines/codes>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Decline {
    /// `card_declined`, `expired_card`, `processing_error`, …
    #[serde(default)]
    pub code: String,
    /// The issuer's reason, where it gave one: `insufficient_funds`, …
    #[serde(default)]
    pub decline_code: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: String,
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decline_code {
            Some(reason) => write!(f, "{} ({reason})", self.code),
            None => f.write_str(&self.code),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
struct Body {
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    payment_intent: Option<Box<Intent>>,
}
