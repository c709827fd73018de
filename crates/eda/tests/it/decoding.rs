use eda::event::{BusEvent, DecodeError, Event, Message};
use eda::failure::chain;
use serde_json::{Value, json};

use super::*;

eda::one_of! {
    /// What happens to a door.
    enum Movement { Opened, Closed }
}

fn bus(detail_type: &str, detail: &Value) -> String {
    json!({
        "version": "0", "id": "1", "detail-type": detail_type, "source": "doors", "account": "111122223333",
        "time": "2026-01-15T10:30:00Z", "region": "us-east-1", "resources": [], "detail": detail,
    })
    .to_string()
}

fn metadata() -> Value {
    json!({
        "eventId": "019bc13e-4c40-7000-8000-000000000001", "eventTime": "2026-01-15T10:30:00Z",
        "correlationId": "019bc13e-4c40-7000-8000-000000000002", "saga": "orchestrated",
    })
}

fn read(detail: &Value) -> Result<Event<Opened>, DecodeError> {
    Event::decode(&BusEvent::parse(&bus("Opened", detail))?)
}

#[test]
fn the_newest_version_is_read_as_it_is() {
    let event =
        read(&json!({ "version": "2.0", "doorId": "d", "width": 80, "metadata": metadata() })).unwrap();
    assert_eq!(event.data, opened("d"));
    assert_eq!(event.metadata.saga, SagaStyle::Orchestrated);
}

#[test]
fn what_is_emitted_is_read_back() {
    let emission = event(&cloud(), &opened("d"));
    let detail: Value = serde_json::from_str(&emission.detail).unwrap();
    let event = read(&detail).unwrap();
    assert_eq!((event.data, event.metadata.event_id), (opened("d"), emission.event_id));
    assert_eq!(event.metadata.correlation_id, emission.event_id, "a root correlates with itself");
}

#[test]
fn an_older_version_is_lifted_and_a_missing_version_is_the_oldest() {
    for version in [json!("1.0"), Value::Null] {
        let event = read(&json!({ "version": version, "doorId": "d", "metadata": metadata() })).unwrap();
        assert_eq!(event.data.width, 100);
    }
}

#[test]
fn an_unknown_version_names_itself_and_the_known_ones() {
    let error = read(&json!({ "version": "9.9", "doorId": "d", "metadata": metadata() })).unwrap_err();
    assert_eq!(error.to_string(), "Opened version \"9.9\" is unknown; known: 1.0, 2.0");
}

#[test]
fn a_malformed_field_is_named_by_its_path() {
    let error = read(&json!({ "version": "2.0", "doorId": "d", "width": "wide", "metadata": metadata() }))
        .unwrap_err();
    assert!(chain(&error).starts_with("Opened is malformed: width: invalid type"), "{}", chain(&error));
    let mut broken = metadata();
    broken["eventTime"] = json!("yesterday");
    let error =
        read(&json!({ "version": "2.0", "doorId": "d", "width": 1, "metadata": broken })).unwrap_err();
    assert!(chain(&error).contains("metadata.eventTime"), "{}", chain(&error));
}

#[test]
fn an_event_without_metadata_gets_an_identity_from_its_content() {
    let id = |detail: &Value| read(detail).unwrap().metadata.event_id;
    let detail = json!({ "doorId": "d" });
    assert_eq!(id(&detail), id(&detail));
    assert_ne!(id(&detail), id(&json!({ "doorId": "e" })));
}

#[test]
fn one_of_several_events_is_told_by_its_name() {
    let body = bus("Closed", &json!({ "version": "1.0", "doorId": "d", "metadata": metadata() }));
    match Movement::decode(&BusEvent::parse(&body).unwrap()).unwrap() {
        Movement::Closed(closed) => assert_eq!(closed.data.door_id, "d"),
        Movement::Opened(_) => panic!("opened"),
    }
    let error = Movement::decode(&BusEvent::parse(&bus("Painted", &json!({}))).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "unexpected event doors/Painted; known: Opened, Closed");
}

#[test]
fn what_is_no_event_is_refused() {
    for body in ["", "{}", "[]", "null", "\"text\"", "{\"detail\":{}}", "\u{0}"] {
        assert!(BusEvent::parse(body).is_err(), "{body}");
    }
}
