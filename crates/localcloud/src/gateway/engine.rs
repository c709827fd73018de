//! The gateway without its sockets: what a request comes to, at a given time. A simulation can drive it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::Settings;
use super::book::Book;
use super::endpoints::Command;
use super::error::ApiError;
use super::fault::{ActiveFault, Do, Fault, Faults, Stage, Traits};
use super::keys::{Begun, Keys};
use super::ledger::Ledger;
use super::request::{Answer, Call, CallKind, Request};

/// The longest key. <https://docs.stripe.com/api/idempotent_requests>
const LONGEST_KEY: usize = 255;

/// A gateway; clones share their state.
#[derive(Clone, Debug)]
pub struct Gateway(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    api_key: String,
    key_lifetime: Duration,
    book: Book,
    keys: Keys,
    faults: Faults,
    calls: BTreeMap<CallKind, u64>,
}

/// What happens next to a request.
#[derive(Debug)]
pub enum Step {
    /// This goes back.
    Answer(Answer),
    /// The connection drops.
    Drop,
    /// Nothing, for so long; then [`Gateway::resume`] tells, whether or not the client still waits.
    Wait(Duration, Ticket),
}

/// A request that waits. While it does, its key is in use.
#[derive(Debug)]
pub struct Ticket(Waiting);

#[derive(Debug)]
enum Waiting {
    Nothing,
    Replay(Answer),
    Run(Call, Option<String>),
}

impl Gateway {
    /// An empty gateway.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Mutex::new(State {
            api_key: settings.api_key,
            key_lifetime: settings.key_lifetime,
            book: Book::new(settings.id_seed),
            keys: Keys::default(),
            faults: Faults::default(),
            calls: BTreeMap::new(),
        })))
    }

    /// Takes a request.
    pub fn receive(&self, request: &Request, now: Timestamp) -> Step {
        self.state().receive(request, now).unwrap_or_else(|error| Step::Answer(error.into()))
    }

    /// Goes on with a request whose wait is over.
    pub fn resume(&self, ticket: Ticket, now: Timestamp) -> Step {
        match ticket.0 {
            Waiting::Nothing => Step::Drop,
            Waiting::Replay(answer) => Step::Answer(answer),
            Waiting::Run(call, key) => Step::Answer(self.state().execute(&call, key.as_deref(), now)),
        }
    }

    /// What has been charged and given back.
    pub fn ledger(&self, now: Timestamp) -> Ledger {
        let mut state = self.state();
        Ledger { intents: state.book.ledger(now), calls: state.calls.clone() }
    }

    /// Adds a fault. Fails, with a sentence, if its path is no regular expression.
    pub fn add_fault(&self, fault: Fault) -> Result<ActiveFault, String> {
        self.state().faults.add(fault)
    }

    /// All faults, those that have struck often enough among them.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state().faults.list()
    }

    /// Ends one fault; says whether there was one.
    pub fn remove_fault(&self, id: &str) -> bool {
        self.state().faults.remove(id)
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// How long keys are remembered from now on, those saved before too.
    pub fn set_key_lifetime(&self, lifetime: Duration) {
        self.state().key_lifetime = lifetime;
    }

    /// Forgets all saved keys; requests that still run keep theirs.
    pub fn forget_keys(&self) {
        self.state().keys.forget_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock; and if it did, the book would still be the book.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn receive(&mut self, request: &Request, now: Timestamp) -> Result<Step, ApiError> {
        self.authorize(request.authorization.as_deref())?;
        let call = Call::route(request)?;
        *self.calls.entry(call.kind).or_default() += 1;
        let key =
            request.idempotency_key.as_deref().filter(|key| request.method == "POST" && !key.is_empty());
        if key.is_some_and(|key| key.len() > LONGEST_KEY) {
            return Err(ApiError::invalid("Idempotency keys can be up to 255 characters long."));
        }
        let traits = self.traits(&call, now);
        if let (Some(key), Some(_)) = (key, self.faults.strike(Stage::Keys, &traits)) {
            self.keys.forget(key);
        }
        match self.faults.strike(Stage::Way, &traits) {
            Some(Do::Unavailable { status }) => Err(ApiError::edge(status)),
            Some(Do::Timeout { delay_ms, late: false }) => {
                Ok(Step::Wait(Duration::from_millis(delay_ms), Ticket(Waiting::Nothing)))
            }
            Some(Do::Timeout { delay_ms, late: true }) => {
                let waiting = match self.begin(&call, key, now)? {
                    Begun::Replay(answer) => Waiting::Replay(answer),
                    Begun::Fresh => Waiting::Run(call, key.map(str::to_owned)),
                };
                Ok(Step::Wait(Duration::from_millis(delay_ms), Ticket(waiting)))
            }
            Some(Do::LostResponse { bad_gateway }) => {
                if let Begun::Fresh = self.begin(&call, key, now)? {
                    self.execute(&call, key, now);
                }
                if bad_gateway { Err(ApiError::edge(502)) } else { Ok(Step::Drop) }
            }
            _ => Ok(Step::Answer(match self.begin(&call, key, now)? {
                Begun::Replay(answer) => answer,
                Begun::Fresh => self.execute(&call, key, now),
            })),
        }
    }

    /// A bearer token, or the user of basic authentication. <https://docs.stripe.com/api/authentication>
    fn authorize(&self, header: Option<&str>) -> Result<(), ApiError> {
        let (scheme, value) =
            header.and_then(|header| header.split_once(' ')).ok_or_else(ApiError::no_key)?;
        let given = if scheme.eq_ignore_ascii_case("bearer") {
            value.trim().to_owned()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64_STANDARD.decode(value.trim()).unwrap_or_default();
            let pair = String::from_utf8(decoded).unwrap_or_default();
            pair.split(':').next().unwrap_or_default().to_owned()
        } else {
            return Err(ApiError::no_key());
        };
        if given == self.api_key { Ok(()) } else { Err(ApiError::wrong_key()) }
    }

    fn begin(&mut self, call: &Call, key: Option<&str>, now: Timestamp) -> Result<Begun, ApiError> {
        match key {
            Some(key) => self.keys.begin(key, call, self.key_lifetime, now),
            None => Ok(Begun::Fresh),
        }
    }

    /// Validates, then executes, then saves: what fails validation is not saved.
    fn execute(&mut self, call: &Call, key: Option<&str>, now: Timestamp) -> Answer {
        let command = match Command::parse(call) {
            Ok(command) => command,
            Err(error) => {
                if let Some(key) = key {
                    self.keys.release(key);
                }
                return error.into();
            }
        };
        let traits = self.traits(call, now);
        let answer = match self.faults.strike(Stage::Execution, &traits) {
            Some(Do::ServerError) => Answer::server_error(),
            fault => {
                let result = command.run(&mut self.book, fault.as_ref(), now);
                match (fault, result) {
                    (Some(Do::ServerErrorAfterEffect), _) => Answer::server_error(),
                    (_, Ok(body)) => Answer::ok(&body),
                    (_, Err(error)) => error.into(),
                }
            }
        };
        if let Some(key) = key {
            self.keys.save(key, &answer, now);
        }
        answer
    }

    fn traits(&mut self, call: &Call, now: Timestamp) -> Traits {
        let mut metadata = call.form.metadata().unwrap_or_default();
        let mut payment_method = call.form.get("payment_method").map(|given| self.book.method_name(given));
        if let Some(intent) = call.intent().and_then(|id| self.book.intent(id, now)) {
            for (name, value) in &intent.metadata {
                metadata.entry(name.clone()).or_insert_with(|| value.clone());
            }
            payment_method = payment_method.or_else(|| intent.last_method.clone());
        }
        let confirms = call.kind == CallKind::Confirm
            || call.kind == CallKind::Create && call.form.get("confirm") == Some("true");
        Traits { kind: call.kind, path: call.path.clone(), confirms, payment_method, metadata }
    }
}
