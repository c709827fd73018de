//! Customers' feeds: nothing is in one before what led to it, and in the end everything is, also what waited behind poison.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use crate::watch::Violation;
use crate::world::World;

const ORDER: &str = "nothing is in a feed before what led to it";
const COMPLETE: &str = "everything that concerns a customer is in their feed";

/// What has been announced, and what the feeds say.
#[derive(Debug, Default)]
pub struct Feeds {
    /// What led to each event.
    causes: BTreeMap<String, String>,
    /// The events that concern a customer.
    awaited: BTreeSet<String>,
    recorded: BTreeSet<String>,
}

impl Feeds {
    /// An event was announced.
    pub fn announced(&mut self, event_id: &str, detail: &Value, group: &str) -> Option<Violation> {
        if !group.is_empty() {
            self.awaited.insert(event_id.to_owned());
        }
        let cause = detail.pointer("/metadata/causationId").and_then(Value::as_str)?;
        // A state machine hands an event to the next step before it is published: then the ids alone order the feed.
        if detail.pointer("/metadata/saga").and_then(Value::as_str) != Some("orchestrated") {
            self.causes.insert(event_id.to_owned(), cause.to_owned());
        }
        let version = |id: &str| Uuid::try_parse(id).map(|id| id.get_version_num()).unwrap_or_default();
        let sorts_before = version(cause) == 7 && version(event_id) == 7 && event_id <= cause;
        sorts_before.then(|| Violation {
            promise: "an event's id sorts behind that of what led to it",
            detail: format!("{event_id} follows from {cause}"),
        })
    }

    /// An entry was written. Gives what led to it and should be there.
    pub fn written(&mut self, event_id: &str, event_type: &str) -> Option<Violation> {
        self.recorded.insert(event_id.to_owned());
        let mut at = event_id;
        while let Some(cause) = self.causes.get(at) {
            if self.awaited.contains(cause) && !self.recorded.contains(cause) {
                let detail = format!("{event_type} {event_id} is there, and {cause} is not");
                return Some(Violation { promise: ORDER, detail });
            }
            at = cause;
        }
        None
    }
}

impl World {
    /// Looks at the feeds when all is quiet.
    pub(crate) fn audit_feeds(&mut self) {
        let feeds = &self.watch.feeds;
        let missing = feeds.awaited.iter().filter(|id| !feeds.recorded.contains(*id));
        let broken: Vec<_> = missing.map(|id| format!("{id} is nowhere")).collect();
        for detail in broken {
            self.watch.report(COMPLETE, detail);
        }
    }
}
