//! Events from files, published on the bus of a running system, and what followed from them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::tap::Tap;
use crate::{Error, Stack};

/// Entries of a call, at most.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const MOST_ENTRIES: usize = 10;

/// After so long without another event, nothing more is expected to follow, where nobody says what is to.
const SILENCE: Duration = Duration::from_secs(5);

/// An event, as the bus delivers it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestEvent {
    /// Who says it.
    pub source: String,
    /// What it is called.
    pub detail_type: String,
    /// What it says.
    pub detail: Value,
}

/// An event that followed from those that were published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// What it is called.
    pub event: String,
    /// Its identity.
    pub event_id: String,
    /// The event that it follows from.
    pub caused_by: Option<String>,
    /// Milliseconds from the publication to its being heard.
    pub after_ms: u128,
}

/// What came of published events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// How many were published.
    pub published: usize,
    /// What followed, in the order in which it was heard.
    pub followed: Vec<Followed>,
    /// What was expected and did not follow.
    pub missing: Vec<String>,
}

/// The events of a text: one JSON document after the other, each an event as the bus delivers it, or a batch of a queue whose
/// messages are such events, as the functions' samples are.
///
/// # Errors
/// Where the text is no JSON, or a document is neither.
pub fn events_in(text: &str) -> Result<Vec<TestEvent>, serde_json::Error> {
    let mut events = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let document = document?;
        match document.get("Records").and_then(Value::as_array) {
            Some(messages) => {
                for message in messages {
                    let body = message.get("body").and_then(Value::as_str).unwrap_or_default();
                    events.push(serde_json::from_str(body)?);
                }
            }
            None => events.push(serde_json::from_value(document)?),
        }
    }
    Ok(events)
}

/// Publishes events, and listens until all that is expected has followed from them; where nothing is, until nothing follows any
/// more.
///
/// # Errors
/// [`Error::Aws`] or [`Error::Missing`].
pub async fn rehearse(
    stack: &Stack,
    events: &[TestEvent],
    expected: &[String],
    patience: Duration,
) -> Result<Rehearsal, Error> {
    let tap = Tap::install(stack, "rehearsal-tap").await?;
    let begun = Instant::now();
    publish(stack, events).await?;
    let text = |event: &TestEvent, pointer: &str| event.detail.pointer(pointer)?.as_str().map(str::to_owned);
    let published: BTreeSet<_> = events.iter().filter_map(|event| text(event, "/metadata/eventId")).collect();
    let mut causes = published.clone();
    let (mut followed, mut last) = (Vec::new(), begun);
    let missing = |followed: &[Followed]| {
        let absent = |name: &&String| !followed.iter().any(|event| event.event == **name);
        expected.iter().filter(absent).cloned().collect::<Vec<_>>()
    };
    loop {
        for heard in tap.hear().await? {
            let follows = heard.cause.as_ref().is_some_and(|cause| causes.contains(cause));
            if !follows || published.contains(&heard.event_id) || !causes.insert(heard.event_id.clone()) {
                continue;
            }
            last = Instant::now();
            followed.push(Followed {
                event: heard.name,
                event_id: heard.event_id,
                caused_by: heard.cause,
                after_ms: begun.elapsed().as_millis(),
            });
        }
        let all = if expected.is_empty() { last.elapsed() > SILENCE } else { missing(&followed).is_empty() };
        if all || begun.elapsed() > patience {
            break;
        }
    }
    tap.remove().await?;
    let missing = missing(&followed);
    Ok(Rehearsal { published: events.len(), followed, missing })
}

async fn publish(stack: &Stack, events: &[TestEvent]) -> Result<(), Error> {
    let bus = stack.output("EventBus")?;
    for some in events.chunks(MOST_ENTRIES) {
        let entries = some.iter().map(|event| {
            PutEventsRequestEntry::builder()
                .event_bus_name(bus)
                .source(&event.source)
                .detail_type(&event.detail_type)
                .detail(event.detail.to_string())
                .build()
        });
        let sent = stack.eventbridge().put_events().set_entries(Some(entries.collect())).send().await;
        let sent = sent.map_err(Error::aws("events:PutEvents"))?;
        if sent.failed_entry_count() > 0 {
            let why = sent.entries().iter().find_map(|entry| entry.error_message()).unwrap_or_default();
            return Err(Error::Aws { call: "events:PutEvents", message: why.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::events_in;

    #[test]
    fn events_are_read_from_documents_and_from_samples() {
        let event = r#"{"source":"orders","detail-type":"OrderPlaced","detail":{"orderId":"o1"},"id":"1"}"#;
        let sample = serde_json::json!({ "Records": [{ "body": event }, { "body": event }] });
        let read = events_in(&format!("{event}\n{event}\n{sample}")).unwrap();
        assert_eq!(read.len(), 4);
        assert!(
            read.iter().all(|event| event.detail_type == "OrderPlaced" && event.detail["orderId"] == "o1")
        );
        assert!(events_in(r#"{"source":"orders"}"#).is_err());
        assert!(events_in(r#"{"Records":[{"body":"no event"}]}"#).is_err());
    }
}
