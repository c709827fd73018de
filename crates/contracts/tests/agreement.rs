//! The decoder and the committed schemas accept the same documents, and the decoder never panics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use contracts::damage::{abyss, damage, garbled, written};
use contracts::draft4::draft4;
use contracts::files::Checkout;
use contracts::sample::sample;
use eda::event::DecodeError;
use fastrand::Rng;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use shop::events::schema::published;

/// Documents of each version of each event: of 14, more than 100,000 in all.
const DOCUMENTS: usize = 7_200;

/// An event with all its versions.
struct Contract {
    detail_type: &'static str,
    decode: fn(&str) -> Result<(), DecodeError>,
    schemas: Vec<Value>,
    validators: Vec<Validator>,
    /// The same in the form in which they are registered.
    registered: Vec<Validator>,
}

fn contracts() -> Vec<Contract> {
    let committed = Checkout::of_this_program().committed().unwrap();
    let mut contracts: BTreeMap<&str, Contract> = BTreeMap::new();
    for published in published() {
        let schema = &committed[&published.path()].schema;
        let contract = contracts.entry(published.detail_type).or_insert_with(|| Contract {
            detail_type: published.detail_type,
            decode: published.decode,
            schemas: Vec::new(),
            validators: Vec::new(),
            registered: Vec::new(),
        });
        contract.validators.push(validator(Draft::Draft202012, schema));
        contract.registered.push(validator(Draft::Draft4, &draft4(schema)));
        contract.schemas.push(schema.clone());
    }
    contracts.into_values().collect()
}

/// With formats: dates that the calendar does not have are no dates.
fn validator(draft: Draft, schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema), "{schema:#}");
    jsonschema::options().with_draft(draft).should_validate_formats(true).build(schema).unwrap()
}

impl Contract {
    /// Whether the schema of some version accepts it.
    fn accepts(&self, document: &Value) -> bool {
        self.validators.iter().any(|validator| validator.is_valid(document))
    }

    fn agrees_on(&self, document: &Value, text: &str) -> bool {
        let read = (self.decode)(text);
        let accepted = self.accepts(document);
        let why: Vec<_> =
            self.validators.iter().map(|one| one.validate(document).err().map(|e| e.to_string())).collect();
        assert_eq!(read.is_ok(), accepted, "{}: {read:?}, {why:?}\n{text}", self.detail_type);
        accepted
    }
}

#[test]
fn the_decoder_and_the_schemas_agree_on_a_hundred_thousand_documents() {
    let contracts = contracts();
    let seed = std::env::var("CONTRACTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut rng = Rng::with_seed(seed);
    let (mut valid, mut invalid) = (0, 0);
    for contract in &contracts {
        for schema in &contract.schemas {
            for turn in 0..DOCUMENTS {
                let mut document = sample(schema, &mut rng);
                // A third is as it should be; the others are damaged once or several times.
                for _ in 0..[0, 1, 1, 1, 2, 0, 1, 4, 0][turn % 9] {
                    damage(&mut document, &mut rng);
                }
                let text = written(&document, &mut rng);
                if contract.agrees_on(&document, &text) { valid += 1 } else { invalid += 1 }
            }
        }
    }
    assert!(valid + invalid >= 100_000, "{valid} + {invalid}");
    assert!(valid > 40_000 && invalid > 25_000, "{valid} valid and {invalid} invalid documents prove little");
}

#[test]
fn what_is_registered_says_the_same_as_what_is_committed() {
    let mut rng = Rng::with_seed(2);
    for contract in contracts() {
        for _ in 0..200 {
            let schema = rng.choice(&contract.schemas).unwrap();
            let mut document = sample(schema, &mut rng);
            damage(&mut document, &mut rng);
            // Draft 4 knows no number that is both 2.0 and whole.
            let text = document.to_string();
            if text.contains(".0") {
                continue;
            }
            for (committed, registered) in contract.validators.iter().zip(&contract.registered) {
                assert_eq!(committed.is_valid(&document), registered.is_valid(&document), "{text}");
            }
        }
    }
}

#[test]
fn the_decoder_survives_any_text() {
    let mut rng = Rng::with_seed(3);
    for contract in contracts() {
        for _ in 0..1_500 {
            let schema = rng.choice(&contract.schemas).unwrap();
            let document = sample(schema, &mut rng);
            let text = garbled(&written(&document, &mut rng), &mut rng);
            // Whatever it says: it is an answer. What is no JSON is never read.
            let read = (contract.decode)(&text);
            assert!(read.is_err() || serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
        for text in
            ["", "null", "[]", "{}", "\"\"", "1", "{\"version\":\"1.0\"", "\u{feff}{}", &abyss(100_000)]
        {
            assert!((contract.decode)(text).is_err(), "{text}");
        }
    }
}

#[test]
fn a_list_is_no_object_and_a_member_is_given_once() {
    let contracts = contracts();
    let placed = contracts.iter().find(|contract| contract.detail_type == "OrderPlaced").unwrap();
    let text = json!({
        "version": "2.0", "orderId": "o", "customerId": "c", "totalAmount": 1, "currency": "USD",
        "items": [{ "productId": "p", "quantity": 1, "price": 1 }], "timestamp": "2026-01-15T10:30:00Z",
    })
    .to_string();
    assert!((placed.decode)(&text).is_ok());
    let listed = text.replace("[{\"price\":1,\"productId\":\"p\",\"quantity\":1}]", "[[\"p\",1,1]]");
    for wrong in [
        listed,
        format!("[{text}]"),
        text.replacen('{', "{\"orderId\":\"o\",", 1),
        text.replacen('{', "{\"version\":\"2.0\",", 1),
        text.replacen('{', "{\"version\":null,", 1),
        text.replacen('{', "{\"metadata\":null,\"metadata\":null,", 1),
    ] {
        assert_ne!(wrong, text);
        assert!((placed.decode)(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn only_the_digits_of_an_amount_are_beyond_the_schema() {
    let contracts = contracts();
    let refunded = contracts.iter().find(|contract| contract.detail_type == "PaymentRefunded").unwrap();
    for (amount, read) in [
        ("0.1234567890123456789012345678", true),
        ("0.12345678901234567890123456789", false),
        ("1e-28", true),
        ("1e-29", false),
    ] {
        let text = format!("{{\"orderId\":\"o\",\"customerId\":\"c\",\"reason\":\"r\",\"amount\":{amount}}}");
        assert_eq!((refunded.decode)(&text).is_ok(), read, "{amount}");
        assert!(refunded.accepts(&serde_json::from_str(&text).unwrap()), "{amount}");
    }
}
