//! A payment gateway on loopback, in the shape of Stripe's PaymentIntents and Refunds API.
//!
//! | call | answers |
//! |---|---|
//! | `POST /v1/payment_intents` | a new intent, unconfirmed (`confirm=true` confirms it at once) |
//! | `POST /v1/payment_intents/{id}/confirm` | charges: `succeeded`, `processing`, or 402 |
//! | `POST /v1/payment_intents/{id}/cancel` | `canceled`, unless it has succeeded or is processing |
//! | `GET /v1/payment_intents/{id}` | the intent |
//! | `POST /v1/refunds` | a refund of what was charged, or of `amount` |
//! | `GET /v1/refunds?payment_intent=` | the refunds of an intent |
//!
//! The key goes into `Authorization`, as a bearer token or as the user of basic authentication. The test
//! payment methods are [`cards::NAMES`]. Amounts are in the currency's smallest unit.
//!
//! # Idempotency
//!
//! As <https://docs.stripe.com/api/idempotent_requests> has it: the first answer to a key is saved once the
//! call has begun to execute, whatever it says, a 500 and an unknown payment method included; it comes again,
//! with `Idempotent-Replayed: true`, until the key is [forgotten](Settings::key_lifetime). 401 and
//! parameters that fail validation are not saved. Another call or other parameters under a key answer 400, a
//! key whose first request still runs answers 409.
//!
//! # Control
//!
//! | call | does |
//! |---|---|
//! | `GET /_localcloud/ledger` | what has been charged and given back: a [`Ledger`] |
//! | `POST /_localcloud/faults` | adds a [`Fault`], answers its [`ActiveFault`] |
//! | `GET /_localcloud/faults` | all faults, with how often each has struck |
//! | `DELETE /_localcloud/faults`, `…/{id}` | ends all faults, or one |
//! | `POST /_localcloud/settings` | `{"keyLifetimeMs": 60000}`: how long keys live from now on |
//! | `DELETE /_localcloud/keys` | forgets all saved keys now |
//!
//! # Faults
//!
//! ```json
//! {"on": {"call": "confirm", "path": "/pi_.*", "paymentMethod": "pm_card_visa",
//!         "metadata": {"orderId": "42"}},
//!  "times": 2,
//!  "do": {"kind": "timeout", "delayMs": 30000, "late": true}}
//! ```
//!
//! Everything in `on` must fit; what is left out fits all. Without `times`, the fault stays until it is
//! deleted.
//!
//! | `do` | effect |
//! |---|---|
//! | `{"kind":"decline","code":"card_declined","declineCode":"do_not_honor"}` | a confirmation gets 402 (saved) |
//! | `{"kind":"processing","forMs":2000}` | a confirmation answers `processing`, later succeeds |
//! | `{"kind":"server_error"}` | 500, nothing done (saved) |
//! | `{"kind":"server_error_after_effect"}` | done, but answered 500 (saved) |
//! | `{"kind":"timeout","delayMs":30000,"late":false}` | after the delay the connection drops, nothing done |
//! | `{"kind":"timeout","delayMs":30000,"late":true}` | after the delay it is done and answered |
//! | `{"kind":"lost_response","badGateway":false}` | done and saved, the connection drops; `true`: 502 |
//! | `{"kind":"unavailable","status":503}` | refused at the edge, nothing done; 429: `rate_limit` |
//! | `{"kind":"forget_keys"}` | the key of this request is forgotten first; the request goes on |
//!
//! The first four strike when a call executes, so never a replay; the others strike on the way, replays too.
//! Of each group the oldest fault that fits strikes, and once per request.

mod book;
pub mod cards;
mod endpoints;
mod engine;
mod error;
mod fault;
mod form;
mod hosted;
mod keys;
mod ledger;
mod object;
mod request;
mod server;

use std::time::Duration;

use uuid::Uuid;

pub use engine::{Gateway, Step, Ticket};
pub use fault::{ActiveFault, Do, Fault, On};
pub use hosted::Hosted;
pub use ledger::{Ledger, LedgerIntent};
pub use request::{Answer, CallKind, Request};
pub use server::{router, serve};

/// How a gateway runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one key it accepts.
    pub api_key: String,
    /// How long an idempotency key is remembered after its answer; Stripe: at least 24 hours.
    pub key_lifetime: Duration,
    /// Ids are derived from this and a counter: equal seeds, equal calls, equal ids.
    pub id_seed: Uuid,
}

impl Settings {
    /// A gateway that accepts `api_key`, remembers keys for 24 hours, and repeats no id of another run.
    pub fn new(api_key: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            key_lifetime: Duration::from_secs(24 * 60 * 60),
            id_seed: Uuid::now_v7(),
        }
    }
}

#[cfg(test)]
mod tests;
