//! Events of every version, whole and damaged, published to the bus: what cannot be read is parked with the exact reason.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use localcloud::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clouds::{eventually, run, shared};

const DEAD_LETTER_QUEUE: &str = "EnrichOrderDeadLetterQueue";

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Text of so many characters at most.
    Text(usize),
    Count,
    Money,
    Time,
    Uuid,
    List,
}

use Kind::{Count, List, Money, Text, Time};

/// Every field of `OrderPlaced` 2.0 and of what every event says about itself.
const FIELDS: &[(&str, Kind)] = &[
    ("orderId", Text(255)),
    ("customerId", Text(255)),
    ("items", List),
    ("items/0/productId", Text(255)),
    ("items/0/quantity", Count),
    ("items/0/price", Money),
    ("totalAmount", Money),
    ("currency", Text(1000)),
    ("timestamp", Time),
    ("paymentMethod", Text(1000)),
    ("shippingAddress/name", Text(1000)),
    ("shippingAddress/line1", Text(1000)),
    ("shippingAddress/line2", Text(1000)),
    ("shippingAddress/city", Text(1000)),
    ("shippingAddress/postalCode", Text(1000)),
    ("shippingAddress/country", Text(1000)),
    ("metadata/eventId", Kind::Uuid),
    ("metadata/eventTime", Time),
    ("metadata/correlationId", Kind::Uuid),
    ("metadata/causationId", Kind::Uuid),
];

/// Those that may be absent, or null.
const OPTIONAL: [&str; 3] = ["paymentMethod", "shippingAddress/line2", "metadata/causationId"];

/// An order of a version of which every field is there. It says that it is orchestrated, so that it is enriched and nothing else.
fn order(version: Option<&str>) -> Value {
    let mut order = json!({
        "orderId": format!("damaged-{}", Uuid::now_v7()), "customerId": "customer-1",
        "items": [{ "productId": "keyboard", "quantity": 2, "price": 49.5 }],
        "totalAmount": 99, "timestamp": "2026-01-15T10:30:00Z", "paymentMethod": "pm_card_visa",
        "shippingAddress": {
            "name": "Jo Doe", "line1": "1 Main Street", "line2": "2nd floor", "city": "Springfield",
            "postalCode": "12345", "country": "US",
        },
        "metadata": {
            "eventId": Uuid::now_v7(), "eventTime": "2026-01-15T10:30:00Z", "correlationId": Uuid::now_v7(),
            "causationId": Uuid::now_v7(), "saga": "orchestrated",
        },
    });
    if let Some(version) = version {
        order["version"] = json!(version);
    }
    if version == Some("2.0") {
        order["currency"] = json!("USD");
    }
    order
}

/// What each damage of each field must be told as.
fn damaged() -> Vec<(Value, String)> {
    let mut cases = Vec::new();
    for &(place, kind) in FIELDS {
        let path = place.replace("/0/", "[0].").replace('/', ".");
        let mut case = |damage: &dyn Fn(&mut Value), said: String| {
            let mut order = order(Some("2.0"));
            damage(&mut order);
            cases.push((order, format!("the message cannot be read: OrderPlaced is malformed: {said}")));
        };
        let pointer = format!("/{place}");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let optional = OPTIONAL.contains(&place);
        if !optional {
            let within = path.rsplit_once('.').map(|(parent, _)| format!("{parent}: ")).unwrap_or_default();
            let remove = |order: &mut Value| {
                drop(order.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name))
            };
            case(&remove, format!("{within}missing field `{name}`"));
        }
        for (value, said) in wrong(kind).into_iter().filter(|(value, _)| !(optional && value.is_null())) {
            let set = |order: &mut Value| *order.pointer_mut(&pointer).unwrap() = value.clone();
            case(&set, format!("{path}: {said}"));
        }
    }
    let unknown = "the message cannot be read: OrderPlaced version \"9.9\" is unknown; known: 1.0, 2.0";
    cases.push((order(Some("9.9")), unknown.to_owned()));
    let mut old = order(Some("1.0"));
    old.as_object_mut().unwrap().remove("totalAmount");
    let missing = "the message cannot be read: OrderPlaced is malformed: missing field `totalAmount`";
    cases.push((old, missing.to_owned()));
    cases
}

/// Null, another type, too long and out of range: values of a kind that are none, and what is said of them.
fn wrong(kind: Kind) -> Vec<(Value, String)> {
    let typed = |value: &str, expected: &str| format!("invalid type: {value}, expected {expected}");
    let (null, other) = (Value::Null, json!(true));
    let boolean = "boolean `true`";
    match kind {
        Text(longest) => vec![
            (null, typed("null", "a string")),
            (other, typed(boolean, "a string")),
            (json!("x".repeat(longest + 1)), format!("expected 1 to {longest} characters")),
        ],
        Count => {
            let range = "a whole number from 0 to 4294967295";
            vec![
                (null, typed("null", range)),
                (json!("2"), typed("string \"2\"", range)),
                (json!(-1), format!("invalid value: integer `-1`, expected {range}")),
                (json!(4_294_967_296_u64), format!("invalid value: integer `4294967296`, expected {range}")),
            ]
        }
        Money => vec![
            (null, "expected a number".to_owned()),
            (json!("99"), "expected a number".to_owned()),
            (json!(1e29), "expected a decimal number of at most 28 digits".to_owned()),
        ],
        Time => vec![
            (null, typed("null", "a string")),
            (json!(1_768_473_000), typed("integer `1768473000`", "a string")),
            (
                json!("2026-02-30T10:30:00Z"),
                "expected a date and time such as 2026-01-15T10:30:00Z".to_owned(),
            ),
        ],
        Kind::Uuid => vec![
            (null, typed("null", "a string")),
            (other, typed(boolean, "a string")),
            (json!("019bc13e-4c40-7000-8000-0000000000010"), UUID.to_owned()),
        ],
        List => vec![
            (null, typed("null", "a sequence")),
            (json!("keyboard"), typed("string \"keyboard\"", "a sequence")),
        ],
    }
}

const UUID: &str = "expected a UUID such as 019bc13e-4c40-7000-8000-000000000001";

#[test]
fn a_damaged_event_is_parked_with_the_field_and_the_reason_and_old_versions_are_read() {
    run(async {
        let stack = shared().await.stack();
        let mut expected = BTreeMap::new();
        let mut events = Vec::new();
        for (mut order, said) in damaged() {
            // Unknown members are passed over: this one tells the letters apart.
            let case = Uuid::now_v7().to_string();
            order["case"] = json!(case);
            expected.insert(case, said);
            events.push(order);
        }
        assert!(expected.len() > 60, "{}", expected.len());
        let whole = [Some("2.0"), Some("1.0"), None].map(order);
        events.extend(whole.clone());
        publish(stack, &events).await;

        let mut parked = BTreeMap::new();
        let all = async || {
            take_letters(stack, &expected, &mut parked).await;
            (parked.len() == expected.len()).then_some(())
        };
        eventually("everything damaged is parked", all).await;
        assert_eq!(parked, expected);

        let ids: BTreeSet<_> = whole.iter().map(|order| order["orderId"].as_str().unwrap()).collect();
        let mailed = async || {
            let records = stack.rows("IdempotencyTable").await.unwrap();
            let keys: Vec<_> = records.iter().filter_map(|row| row["idempotencyKey"].as_str()).collect();
            ids.iter().all(|id| keys.iter().any(|key| key.contains(id))).then_some(())
        };
        eventually("receipts of orders of every version go out", mailed).await;
    });
}

async fn publish(stack: &Stack, events: &[Value]) {
    let bus = stack.output("EventBus").unwrap();
    for some in events.chunks(10) {
        let entries = some.iter().map(|detail| {
            let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source("orders");
            entry.detail_type("OrderPlaced").detail(detail.to_string()).build()
        });
        let put = stack.eventbridge().put_events().set_entries(Some(entries.collect())).send().await.unwrap();
        assert_eq!(put.failed_entry_count(), 0);
    }
}

/// Takes the letters that are ours, with their reasons; line and column of the place are left out.
async fn take_letters(stack: &Stack, ours: &BTreeMap<String, String>, parked: &mut BTreeMap<String, String>) {
    let queue = stack.output(DEAD_LETTER_QUEUE).unwrap();
    let receive = stack.sqs().receive_message().queue_url(queue).max_number_of_messages(10);
    let received = receive.message_attribute_names("All").visibility_timeout(5).send().await.unwrap();
    for letter in received.messages() {
        let body: Value = serde_json::from_str(letter.body().unwrap()).unwrap_or_default();
        let Some(case) = body["detail"]["case"].as_str().filter(|case| ours.contains_key(*case)) else {
            continue;
        };
        let reason = letter.message_attributes().unwrap()["reason"].string_value().unwrap();
        let reason = reason.split_once(" at line ").map_or(reason, |(reason, _)| reason);
        parked.insert(case.to_owned(), reason.to_owned());
        let handle = letter.receipt_handle().unwrap();
        stack.sqs().delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
    }
}
