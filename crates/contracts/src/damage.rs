//! Documents that were valid once.

use fastrand::Rng;
use serde_json::{Value, json};

/// Texts that are almost a time, a UUID, a version or a name.
const TEXTS: &[&str] = &[
    "",
    " ",
    "null",
    "1.0",
    "2.0",
    "9.9",
    "1",
    "choreographed",
    "Choreographed",
    "orchestrated",
    "2026-01-15T10:30:00Z",
    "2026-01-15t10:30:00z",
    "2026-01-15 10:30:00Z",
    "2026-01-15T10:30:00",
    "2026-01-15T10:30Z",
    "2026-01-15",
    "2026-02-29T10:30:00Z",
    "2024-02-29T10:30:00Z",
    "2026-04-31T10:30:00Z",
    "2026-13-01T10:30:00Z",
    "2026-00-10T10:30:00Z",
    "2026-01-15T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "2026-01-15T10:60:00Z",
    "2026-01-15T10:30:00.Z",
    "2026-01-15T10:30:00,5Z",
    "2026-01-15T10:30:00.123456789Z",
    "2026-01-15T10:30:00.1234567890Z",
    "2026-01-15T10:30:00+24:00",
    "2026-01-15T10:30:00+02",
    "2026-01-15T10:30:00+0200",
    "2026-01-15T10:30:00+02:00:00",
    "2026-01-15T10:30:00-00:00",
    "2026-01-15T10:30:00+02:00[Europe/Berlin]",
    "20260115T103000Z",
    "0000-01-01T00:00:00Z",
    "0000-01-01T00:00:00+23:59",
    "9998-12-31T23:59:59.999999999-23:59",
    "9999-01-01T00:00:00Z",
    "+002026-01-15T10:30:00Z",
    "-000001-01-15T10:30:00Z",
    "２026-01-15T10:30:00Z",
    "2026-01-15T10:30:00Z\n",
    "019bc13e-4c40-7000-8000-000000000001",
    "019BC13E-4C40-7000-8000-000000000001",
    "019bc13e4c4070008000000000000001",
    "{019bc13e-4c40-7000-8000-000000000001}",
    "urn:uuid:019bc13e-4c40-7000-8000-000000000001",
    "019bc13e-4c40-7000-8000-00000000000g",
    "019bc13e-4c40-7000-8000-0000000000010",
    "019bc13e-4c40-70008-000-000000000001",
    "00000000-0000-0000-0000-000000000000",
    "019bc13e-4c40-7000-8000-000000000001\n",
];

/// Damages a document in one place: something is missing, null, of another type, too long, out of range, renamed or
/// moved. Not every damage makes it invalid.
pub fn damage(document: &mut Value, rng: &mut Rng) {
    let mut places = Vec::new();
    collect(document, String::new(), &mut places);
    let Some(place) = rng.choice(&places).cloned() else { return };
    let Some((parent, name)) = place.rsplit_once('/') else { return };
    match rng.u8(0..10) {
        0 => remove(document, parent, name),
        1 => rename(document, parent, name, rng),
        2 => {
            let other =
                rng.choice(&places).and_then(|other| document.pointer(other)).cloned().unwrap_or_default();
            set(document, &place, other);
        }
        3 => {
            if let Some(Value::Object(members)) = document.pointer_mut(&place) {
                let values = std::mem::take(members).into_iter().map(|(_, value)| value).collect();
                set(document, &place, Value::Array(values));
            } else if let Some(value) = document.pointer(&place).cloned() {
                set(document, &place, if rng.bool() { json!([value]) } else { json!({ "value": value }) });
            }
        }
        4 => {
            if let Some(Value::Object(members)) = document.pointer_mut(parent) {
                let name = ["amount", "totalAmount", "currency", "metadata", "version", "Version", ""];
                let name = rng.choice(name).unwrap_or_default().to_owned();
                members.insert(name, junk(rng));
            }
        }
        _ => {
            let value = junk(rng);
            set(document, &place, value);
        }
    }
}

fn junk(rng: &mut Rng) -> Value {
    match rng.u8(0..8) {
        0 | 1 => json!(rng.choice(TEXTS)),
        2 => number(rng),
        3 => {
            let length = *rng.choice(&[254, 255, 256, 999, 1000, 1001, 5000]).unwrap_or(&0);
            json!(rng.choice(["x", "€", "😀"]).unwrap_or_default().repeat(length))
        }
        4 => Value::Null,
        5 => Value::Bool(rng.bool()),
        6 => json!([]),
        _ => rng
            .choice([json!({}), json!([{}]), json!({ "choreographed": null }), json!([null])])
            .unwrap_or_default(),
    }
}

fn number(rng: &mut Rng) -> Value {
    let numbers = [
        json!(0),
        json!(-0.0),
        json!(-1),
        json!(1.5),
        json!(2.0),
        json!(1e3),
        json!(4_294_967_295_u64),
        json!(4_294_967_296_u64),
        json!(4_294_967_295.0),
        json!(4_294_967_296.0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(7.922_816_251_426_433e28),
        json!(7.922_816_251_426_434e28),
        json!(-7.922_816_251_426_434e28),
        json!(1e29),
        json!(1e300),
        json!(-1e300),
    ];
    rng.choice(numbers).unwrap_or_default()
}

fn set(document: &mut Value, place: &str, value: Value) {
    if let Some(found) = document.pointer_mut(place) {
        *found = value;
    }
}

fn remove(document: &mut Value, parent: &str, name: &str) {
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => drop(members.remove(&unescaped(name))),
        Some(Value::Array(elements)) => drop(elements.pop()),
        _ => {}
    }
}

fn rename(document: &mut Value, parent: &str, name: &str, rng: &mut Rng) {
    if let Some(Value::Object(members)) = document.pointer_mut(parent)
        && let Some(value) = members.remove(&unescaped(name))
    {
        let other = if rng.bool() { name.to_uppercase() } else { format!("{name}s") };
        members.insert(other, value);
    }
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// JSON pointers to everything below the root.
fn collect(value: &Value, path: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                places.push(path.clone());
                collect(value, path, places);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                let path = format!("{path}/{index}");
                places.push(path.clone());
                collect(value, path, places);
            }
        }
        _ => {}
    }
}

/// The document as text, its outermost members in any order.
#[must_use]
pub fn written(document: &Value, rng: &mut Rng) -> String {
    let Value::Object(members) = document else { return document.to_string() };
    let mut members: Vec<_> = members.iter().collect();
    rng.shuffle(&mut members);
    let members: Vec<_> =
        members.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(if rng.bool() { "," } else { " ,\n" }))
}

/// The text with some of its bytes changed, moved or lost; still UTF-8.
#[must_use]
pub fn garbled(text: &str, rng: &mut Rng) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..6) {
        if characters.is_empty() {
            break;
        }
        let at = rng.usize(0..characters.len());
        let other = *rng
            .choice(&['{', '}', '[', ']', '"', ',', ':', '\\', '0', '-', 'e', '.', '\u{0}', 'n', '€'])
            .unwrap_or(&' ');
        match rng.u8(0..5) {
            0 => characters.truncate(at),
            1 => drop(characters.remove(at)),
            2 => characters.insert(at, other),
            3 => {
                let until = rng.usize(at..characters.len());
                let copy: Vec<_> = characters.drain(at..until).collect();
                let to = rng.usize(0..=characters.len());
                characters.splice(to..to, copy.iter().chain(&copy).copied());
            }
            _ => {
                if let Some(found) = characters.get_mut(at) {
                    *found = other;
                }
            }
        }
    }
    characters.into_iter().collect()
}

/// An object in an object in an object, deeper than any decoder should go.
#[must_use]
pub fn abyss(depth: usize) -> String {
    format!("{{\"orderId\":{}{}}}", "{\"a\":".repeat(depth), "}".repeat(depth))
}
