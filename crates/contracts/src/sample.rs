//! Documents that follow a schema, at random: edges more often than chance would have them.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A document that the schema accepts. The keywords understood are those that our schemas use.
#[must_use]
pub fn sample(schema: &Value, rng: &mut Rng) -> Value {
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return pick(names, rng);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => pick(kinds, rng),
        Some(kind) => kind.clone(),
        None => Value::Null,
    };
    match kind.as_str() {
        Some("object") => object(schema, rng),
        Some("array") => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            (0..rng.usize(0..4)).map(|_| sample(items, rng)).collect()
        }
        Some("string") => Value::String(string(schema, rng)),
        Some("integer") => integer(schema, rng),
        Some("number") => number(rng),
        Some("boolean") => Value::Bool(rng.bool()),
        _ => Value::Null,
    }
}

fn pick(values: &[Value], rng: &mut Rng) -> Value {
    rng.choice(values).cloned().unwrap_or_default()
}

fn object(schema: &Value, rng: &mut Rng) -> Value {
    let names = |list: Option<&Value>| -> Vec<String> {
        let names = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        names.map(ToOwned::to_owned).collect()
    };
    let mut required = names(schema.get("required"));
    let mut forbidden = Vec::new();
    // One of several names for the same thing.
    let ways: Vec<_> = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().collect();
    if !ways.is_empty() {
        let chosen = rng.usize(0..ways.len());
        for (index, way) in ways.into_iter().enumerate() {
            let names = names(way.get("required"));
            if index == chosen { required.extend(names) } else { forbidden.extend(names) }
        }
    }
    let mut members = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if required.contains(name) || (!forbidden.contains(name) && rng.u8(0..4) > 0) {
            members.insert(name.clone(), sample(property, rng));
        }
    }
    if rng.u8(0..8) == 0 {
        members.insert("x-unknown".to_owned(), json!({ "since": [1, null, "later"] }));
    }
    Value::Object(members)
}

fn string(schema: &Value, rng: &mut Rng) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => uuid(rng),
        Some("date-time") => date_time(rng),
        _ => {
            let length = |keyword, default| {
                let limit = schema.get(keyword).and_then(Value::as_u64).unwrap_or(default);
                usize::try_from(limit).unwrap_or(usize::MAX)
            };
            let (least, most) = (length("minLength", 0), length("maxLength", 40));
            let wanted = match rng.u8(0..16) {
                0 => least,
                1 => most,
                _ => rng.usize(least..=most.min(24)),
            };
            let alphabet = if rng.bool() { "abcXYZ019-_ " } else { "aß€😀\"\\\n\u{0}/" };
            let alphabet: Vec<_> = alphabet.chars().collect();
            (0..wanted).filter_map(|_| rng.choice(&alphabet)).collect()
        }
    }
}

fn uuid(rng: &mut Rng) -> String {
    let digits = format!("{:032x}", rng.u128(..));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let uuid = parts.map(|part| digits.get(part).unwrap_or_default().to_owned()).join("-");
    if rng.u8(0..8) == 0 { uuid.to_uppercase() } else { uuid }
}

fn date_time(rng: &mut Rng) -> String {
    let year = match rng.u8(0..16) {
        0 => 0,
        1 => 9998,
        2 => rng.u16(0..9999),
        _ => rng.u16(1990..2040),
    };
    let (month, day) = (rng.u8(1..=12), rng.u8(1..=28));
    let (hour, minute, second) = (rng.u8(0..24), rng.u8(0..60), rng.u8(0..60));
    let fraction = match rng.u8(0..4) {
        0 => format!(".{}", rng.u32(0..1000)),
        1 => format!(".{:09}", rng.u32(0..1_000_000_000)),
        _ => String::new(),
    };
    let zone = if rng.bool() {
        "Z".to_owned()
    } else {
        format!("{}{:02}:{:02}", if rng.bool() { '+' } else { '-' }, rng.u8(0..24), rng.u8(0..60))
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
}

fn integer(schema: &Value, rng: &mut Rng) -> Value {
    let limit = |keyword, default| schema.get(keyword).and_then(Value::as_u64).unwrap_or(default);
    let (least, most) = (limit("minimum", 0), limit("maximum", 1_000));
    let number = match rng.u8(0..8) {
        0 => least,
        1 => most,
        _ => rng.u64(least..=most.min(1_000).max(least)),
    };
    // The same number, written as a fraction.
    if rng.u8(0..8) == 0 { json!(number as f64) } else { json!(number) }
}

/// An amount of at most 28 digits, however it is written.
fn number(rng: &mut Rng) -> Value {
    match rng.u8(0..8) {
        0 => json!(0),
        1 => json!(-0.0),
        2 => json!(rng.u64(..)),
        3 => json!(7.9e28),
        4 => json!(-(rng.i64(0..1_000_000))),
        5 => json!(1e-7),
        _ => json!(f64::from(rng.u32(0..1_000_000_000)) / 100.0),
    }
}
