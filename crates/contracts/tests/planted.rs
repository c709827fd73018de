//! Each thing that must not happen to a contract, planted: it is found, and named by field and reason.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use contracts::Finding;
use contracts::check::{check, evolution, undescribed, usage};
use contracts::files::Checkout;
use contracts::registry::Committed;
use eda::event::DecodeError;
use eda::testing::template::Template;
use serde_json::{Value, json};
use shop::events::schema::{Published, published};

/// Everything as it is published now.
fn committed() -> BTreeMap<String, Committed> {
    let committed = published().into_iter().map(|contract| {
        let (source, detail_type) = (contract.source.to_owned(), contract.detail_type.to_owned());
        let version = contract.version.to_owned();
        (contract.path(), Committed { source, detail_type, version, schema: contract.schema })
    });
    committed.collect()
}

/// The types as they are now, one of them changed.
fn changed(path: &str, change: impl FnOnce(&mut Published)) -> Vec<Published> {
    let mut all = published();
    change(all.iter_mut().find(|contract| contract.path() == path).unwrap());
    all
}

fn field<'a>(schema: &'a mut Value, pointer: &str) -> &'a mut Value {
    schema.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}"))
}

fn said(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

const PLACED: &str = "orders/OrderPlaced-2.0.json";

#[test]
fn this_checkout_keeps_every_promise() {
    assert_eq!(said(&check(&Checkout::of_this_program()).unwrap()), [""; 0]);
}

#[test]
fn a_changed_type_needs_a_new_version() {
    let all = changed(PLACED, |placed| {
        let schema = &mut placed.schema;
        *field(schema, "/properties/items/items/properties/price/type") = json!("string");
        *field(schema, "/properties/currency/maxLength") = json!(3);
        field(schema, "/properties").as_object_mut().unwrap().remove("customerId");
        field(schema, "/properties")["colour"] = json!({ "type": "string" });
        field(schema, "/required").as_array_mut().unwrap().push(json!("paymentMethod"));
    });
    let found = said(&evolution(&all, &committed()));
    for expected in [
        "OrderPlaced 2.0: items[].price: type was \"number\", is \"string\": changed without a new version",
        "OrderPlaced 2.0: currency: maxLength was 1000, is 3: changed without a new version",
        "OrderPlaced 2.0: customerId: is removed: changed without a new version",
        "OrderPlaced 2.0: colour: is added: changed without a new version",
        "OrderPlaced 2.0: paymentMethod: was optional, is required: changed without a new version",
    ] {
        assert!(found.iter().any(|finding| finding == expected), "{expected}\nnot in {found:#?}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn another_wording_needs_no_new_version() {
    let all = changed(PLACED, |placed| {
        *field(&mut placed.schema, "/properties/currency/description") = json!("As ISO 4217 has it.");
    });
    assert_eq!(said(&evolution(&all, &committed())), [""; 0]);
}

#[test]
fn a_new_version_must_read_its_predecessor() {
    fn only_with_a_currency(detail: &str) -> Result<(), DecodeError> {
        let newest = published().into_iter().find(|contract| contract.path() == PLACED).unwrap();
        let mut detail: Value = serde_json::from_str(detail).unwrap();
        detail["version"] = json!("2.0");
        (newest.decode)(&detail.to_string())
    }
    let all = changed("orders/OrderPlaced-1.0.json", |old| old.decode = only_with_a_currency);
    let found = said(&evolution(&all, &committed()));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("OrderPlaced 2.0: "), "{found:#?}");
    assert!(found[0].contains("cannot be read from version 1.0: missing field"), "{found:#?}");
}

#[test]
fn an_old_version_is_read_for_ever() {
    let mut all = published();
    all.retain(|contract| contract.path() != "orders/OrderPlaced-1.0.json");
    assert_eq!(
        said(&evolution(&all, &committed())),
        ["orders/OrderPlaced-1.0.json: is published and no type reads it any more"]
    );
}

#[test]
fn a_new_event_is_published_before_it_is_sent() {
    let mut committed = committed();
    committed.remove("orders/OrderExpired-1.0.json");
    assert_eq!(
        said(&evolution(&published(), &committed)),
        ["OrderExpired 1.0: is not published; run `cargo xtask contracts`"]
    );
}

#[test]
fn an_event_and_its_fields_are_described() {
    let all = changed("orders/OrderExpired-1.0.json", |expired| {
        expired.schema.as_object_mut().unwrap().remove("description");
        *field(&mut expired.schema, "/properties/reason/description") = json!("");
    });
    assert_eq!(
        said(&all.iter().flat_map(undescribed).collect::<Vec<_>>()),
        [
            "OrderExpired 1.0: has no description; write a doc comment on its type",
            "OrderExpired 1.0: reason: has no description; write a doc comment on the field",
        ]
    );
}

/// A rule on the bus, its transformer, and what it feeds.
fn template(detail: &Value, paths: &Value) -> Template {
    let document = json!({ "Resources": {
        "Rule": { "Type": "AWS::Events::Rule", "Properties": {
            "EventPattern": { "source": ["orders"], "detail-type": ["OrderPlaced"], "detail": detail },
            "Targets": [{ "Arn": "ReserveInventoryQueue.Arn", "InputTransformer": { "InputPathsMap": paths } }],
        } },
        "Mapping": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
            "FunctionName": "Consumer", "EventSourceArn": "ReserveInventoryQueue.Arn",
        } },
        "Consumer": { "Type": "AWS::Serverless::Function",
            "Metadata": { "BuildProperties": { "Binary": "consumer" } }, "Properties": {} },
    } });
    Template::parse(&document.to_string()).unwrap()
}

fn used(all: &[Published], template: &Template, root: &Path) -> Vec<String> {
    said(&usage(all, &committed(), template, root))
}

#[test]
fn a_rule_matches_on_fields_that_every_version_has_with_the_type_it_expects() {
    let nowhere = Path::new("");
    let high = json!({ "$or": [{ "totalAmount": [{ "numeric": [">", 1000] }] }, { "amount": [{ "numeric": [">", 1000] }] }] });
    assert_eq!(used(&published(), &template(&high, &json!({})), nowhere), [""; 0]);

    let currency = json!({ "currency": ["USD"] });
    assert_eq!(
        used(&published(), &template(&currency, &json!({})), nowhere),
        ["OrderPlaced 1.0: currency: is not there, and Rule matches on it"]
    );

    let all = changed(PLACED, |placed| {
        *field(&mut placed.schema, "/properties/totalAmount/type") = json!("string");
    });
    assert_eq!(
        used(&all, &template(&high, &json!({})), nowhere),
        [
            "OrderPlaced 2.0: totalAmount: is string, not number, and Rule matches on it",
            "OrderPlaced 2.0: amount: is not there, and Rule matches on it",
        ]
    );

    let absent = json!({ "metadata": { "saga": [{ "exists": false }, "choreographed"] }, "gift": [{ "exists": false }] });
    assert_eq!(used(&published(), &template(&absent, &json!({})), nowhere), [""; 0]);
}

#[test]
fn a_transformer_reads_fields_that_every_version_has() {
    let paths = json!({
        "order": "$.detail.orderId", "city": "$.detail.shippingAddress.city", "town": "$.detail.shippingAddress.town",
        "first": "$.detail.items[0].productId", "account": "$.account",
    });
    let missing = "shippingAddress.town: is not there, and the input transformer of Rule reads it";
    assert_eq!(
        used(&published(), &template(&json!({}), &paths), Path::new("")),
        [format!("OrderPlaced 1.0: {missing}"), format!("OrderPlaced 2.0: {missing}")]
    );
}

#[test]
fn what_a_transformer_reads_keeps_its_type() {
    let all = changed(PLACED, |placed| {
        *field(&mut placed.schema, "/properties/items/items/properties/productId/type") = json!("integer");
        *field(&mut placed.schema, "/properties/currency/type") = json!("integer");
    });
    let template = template(&json!({}), &json!({ "first": "$.detail.items[0].productId" }));
    assert_eq!(
        used(&all, &template, Path::new("")),
        ["OrderPlaced 2.0: items[].productId: is of another type, and the input transformer of Rule uses it"]
    );
}

#[test]
fn what_a_consumer_uses_is_neither_removed_nor_retyped() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("functions/consumer/src");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("lib.rs"), "fn f(o: &OrderPlaced) { (o.customer_id, o.currency) }").unwrap();
    let all = changed(PLACED, |placed| {
        *field(&mut placed.schema, "/properties/customerId/type") = json!("integer");
        field(&mut placed.schema, "/properties").as_object_mut().unwrap().remove("timestamp");
    });
    let template = template(&json!({}), &json!({}));
    assert_eq!(
        used(&all, &template, root.path()),
        ["OrderPlaced 2.0: customerId: is of another type, and consumer uses it"]
    );
}

/// A checkout with a template and nothing published.
fn checkout() -> (tempfile::TempDir, Checkout) {
    let root = tempfile::tempdir().unwrap();
    let own = std::fs::read_to_string(Checkout::of_this_program().root().join("template.yaml")).unwrap();
    std::fs::write(root.path().join("template.yaml"), own).unwrap();
    let checkout = Checkout::at(root.path());
    (root, checkout)
}

#[test]
fn a_published_file_never_changes_again() {
    let (root, checkout) = checkout();
    let written = checkout.publish(&published()).unwrap();
    assert!(written.contains(&format!("crates/shop/schemas/{PLACED}")), "{written:?}");
    assert_eq!(checkout.publish(&published()).unwrap(), [""; 0], "publishing again writes nothing");

    let file = root.path().join("crates/shop/schemas").join(PLACED);
    let before = std::fs::read_to_string(&file).unwrap();
    let all =
        changed(PLACED, |placed| *field(&mut placed.schema, "/properties/currency/maxLength") = json!(3));
    checkout.publish(&all).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "a changed type is not written");

    std::fs::write(&file, before.replace("1000", "3")).unwrap();
    assert!(said(&checkout.tampered().unwrap())[0].contains("is published and was changed"));
    assert!(said(&checkout.unregistered().unwrap())[0].contains("does not register"));
    std::fs::remove_file(&file).unwrap();
    assert!(said(&checkout.tampered().unwrap())[0].contains("is published and gone"));
}
