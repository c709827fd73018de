//! Idempotency keys and their saved answers.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::error::ApiError;
use super::form::Form;
use super::request::{Answer, Call};

/// What a key's first request asked, and what came of it.
#[derive(Debug)]
struct Entry {
    path: String,
    form: Form,
    /// `None` while the first request runs.
    saved: Option<(Answer, Timestamp)>,
}

/// All keys in memory.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<String, Entry>);

/// What a key says to a request.
#[derive(Debug)]
pub(super) enum Begun {
    /// Not seen, or forgotten: the key is held until [`Keys::save`] or [`Keys::release`].
    Fresh,
    /// The first answer again.
    Replay(Answer),
}

impl Keys {
    pub(super) fn begin(
        &mut self,
        key: &str,
        call: &Call,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Begun, ApiError> {
        self.0.retain(|_, entry| match &entry.saved {
            Some((_, at)) => now.duration_since(*at).unsigned_abs() < lifetime,
            None => true,
        });
        match self.0.get(key) {
            None => {
                let entry = Entry { path: call.path.clone(), form: call.form.clone(), saved: None };
                self.0.insert(key.to_owned(), entry);
                Ok(Begun::Fresh)
            }
            Some(entry) if entry.path != call.path => {
                Err(ApiError::other_endpoint(key, &call.path, &entry.path))
            }
            Some(entry) if entry.form != call.form => Err(ApiError::other_parameters(key)),
            Some(Entry { saved: None, .. }) => Err(ApiError::key_in_use(key)),
            Some(Entry { saved: Some((answer, _)), .. }) => {
                Ok(Begun::Replay(Answer { replayed: true, ..answer.clone() }))
            }
        }
    }

    /// Keeps the answer of a call that has executed.
    pub(super) fn save(&mut self, key: &str, answer: &Answer, now: Timestamp) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.saved = Some((answer.clone(), now));
        }
    }

    /// Gives up a key whose call did not begin to execute.
    pub(super) fn release(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets a saved answer; a running request keeps its key.
    pub(super) fn forget(&mut self, key: &str) {
        if self.0.get(key).is_some_and(|entry| entry.saved.is_some()) {
            self.0.remove(key);
        }
    }

    /// Forgets all saved answers.
    pub(super) fn forget_all(&mut self) {
        self.0.retain(|_, entry| entry.saved.is_none());
    }
}
