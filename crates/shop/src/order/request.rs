//! What is asked of an order that arrives from outside: every rule that a field must keep.

use std::ops::RangeInclusive;

use eda::fields::{Object, Unreadable, Wrong, read};
use eda::http::{NO_KEY, is_idempotency_key};
use iso_country::Country;
use iso_currency::Currency;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;

use super::PlaceOrder;
use super::command::total;
use crate::events::{Address, Line};
use crate::money::Money;
use crate::stock::MAX_PRODUCTS;

/// How many pieces a line may order.
pub(super) const QUANTITY: RangeInclusive<u32> = 1..=10_000;

/// The highest price of one piece, in the currency's major unit.
pub(super) const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The highest total, in the currency's major unit. Rules route orders by their total, and compare numbers of no greater
/// size. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-numeric-matching>
pub(super) const MAX_TOTAL: Decimal = Decimal::from_parts(705_032_704, 1, 0, false, 0);

/// How identifiers look, for those who are to send them.
#[cfg(feature = "schema")]
pub(super) const IDENTIFIER: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";

/// How names of payment methods look, for those who are to send them.
#[cfg(feature = "schema")]
pub(super) const PAYMENT_METHOD: &str = "^pm_[A-Za-z0-9_]{1,250}$";

impl PlaceOrder {
    /// Reads a request to place an order, however it is written, and checks all of it.
    ///
    /// # Errors
    /// [`Unreadable`], which names every wrong field and quotes no value: values may be personal, or a card number.
    pub fn parse(json: &str) -> Result<Self, Unreadable> {
        read(json, Self::fields)
    }

    fn fields(order: &mut Object<'_, '_>) -> Option<Self> {
        let customer_id = order.required("customerId", identifier);
        let currency = order.required("currency", currency);
        let payment_method = order.required("paymentMethod", payment_method);
        let items = order.list("items", 1..=MAX_PRODUCTS, |item| line(item, currency));
        let shipping_address = order.object("shippingAddress", address);
        if items.as_deref().is_some_and(is_free) {
            order.note("items", "must cost more than 0 in all");
        }
        if items.as_deref().is_some_and(|items| !is_routable(items)) {
            order.note("items", format!("must cost at most {MAX_TOTAL} in all"));
        }
        Some(Self {
            customer_id: customer_id?,
            items: items?,
            currency: currency?.code().to_owned(),
            payment_method: payment_method?,
            shipping_address: shipping_address?,
        })
    }
}

/// A line of a file of orders: what [`PlaceOrder::parse`] reads, and a key of its own where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// The sender's key of this order, the same in whichever file and line it stands.
    pub idempotency_key: Option<String>,
    /// What is ordered.
    pub order: PlaceOrder,
}

impl OrderLine {
    /// Reads a line, and checks all of it.
    ///
    /// # Errors
    /// [`Unreadable`], which names every wrong field and quotes no value.
    pub fn parse(json: &str) -> Result<Self, Unreadable> {
        read(json, |line| {
            let idempotency_key = line.optional("idempotencyKey", idempotency_key);
            let order = PlaceOrder::fields(line);
            Some(Self { idempotency_key: idempotency_key?, order: order? })
        })
    }
}

fn idempotency_key(value: &RawValue) -> Result<String, Wrong> {
    string(value).filter(|key| is_idempotency_key(key)).ok_or(NO_KEY.into())
}

fn is_free(items: &[Line]) -> bool {
    items.iter().all(|line| line.price == Money::default())
}

fn is_routable(items: &[Line]) -> bool {
    total(items).is_some_and(|total| total.amount() <= MAX_TOTAL)
}

fn line(item: &mut Object<'_, '_>, currency: Option<Currency>) -> Option<Line> {
    let product_id = item.required("productId", identifier);
    let quantity = item.required("quantity", quantity);
    let price = item.required("price", |value| price(value, currency));
    Some(Line { product_id: product_id?, quantity: quantity?, price: price? })
}

fn address(address: &mut Object<'_, '_>) -> Option<Address> {
    let name = address.required("name", |value| text(value, 100));
    let line1 = address.required("line1", |value| text(value, 200));
    let line2 = address.optional("line2", |value| text(value, 200));
    let city = address.required("city", |value| text(value, 100));
    let postal_code = address.required("postalCode", |value| text(value, 20));
    let country = address.required("country", country);
    Some(Address {
        name: name?,
        line1: line1?,
        line2: line2?,
        city: city?,
        postal_code: postal_code?,
        country: country?,
    })
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Whether a customer or product may be called so: `^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`
#[must_use]
pub fn is_identifier(id: &str) -> bool {
    id.len() <= 64
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn identifier(value: &RawValue) -> Result<String, Wrong> {
    let problem = "must be 1 to 64 letters, digits, hyphens or underscores, a letter or digit first";
    string(value).filter(|id| is_identifier(id)).ok_or(problem.into())
}

/// `^pm_[A-Za-z0-9_]{1,250}$`
fn payment_method(value: &RawValue) -> Result<String, Wrong> {
    let known = |method: &String| {
        method.strip_prefix("pm_").is_some_and(|name| {
            (1..=250).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let problem = "must be the gateway's name of a payment method: pm_ and 1 to 250 letters, digits or underscores; \
                   never send a card number";
    string(value).filter(known).ok_or(problem.into())
}

/// A code of ISO 4217 that has a minor unit, be it of no digits: others, such as gold, are no money to charge.
fn currency(value: &RawValue) -> Result<Currency, Wrong> {
    let currency = string(value).and_then(|code| Currency::from_code(&code));
    let currency = currency.filter(|currency| currency.exponent().is_some());
    currency.ok_or("must be the ISO 4217 code of a currency, in capitals".into())
}

/// A code of ISO 3166-1 alpha-2.
fn country(value: &RawValue) -> Result<String, Wrong> {
    let known = |code: &String| code.len() == 2 && code.parse::<Country>().is_ok();
    string(value).filter(known).ok_or("must be an ISO 3166-1 country code of two capitals".into())
}

fn text(value: &RawValue, longest: usize) -> Result<String, Wrong> {
    let readable = |text: &String| {
        (1..=longest).contains(&text.chars().count())
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control)
    };
    let problem =
        || format!("must be text of 1 to {longest} characters, not blank, without control characters");
    string(value).filter(readable).ok_or_else(|| problem().into())
}

fn number(value: &RawValue) -> Option<Decimal> {
    serde_json::from_str::<Money>(value.get()).ok().map(Money::amount)
}

/// A whole number, however it is written: 2, 2.0 and 2e0 are the same.
fn quantity(value: &RawValue) -> Result<u32, Wrong> {
    let whole = number(value).filter(Decimal::is_integer).and_then(|number| number.to_u32());
    let problem = || format!("must be a whole number from {} to {}", QUANTITY.start(), QUANTITY.end());
    whole.filter(|quantity| QUANTITY.contains(quantity)).ok_or_else(|| problem().into())
}

/// The digits are checked only where the currency, which says how many there may be, is right.
fn price(value: &RawValue, currency: Option<Currency>) -> Result<Money, Wrong> {
    let amount = number(value).filter(|amount| (Decimal::ZERO..=MAX_PRICE).contains(amount));
    let amount = amount.ok_or_else(|| Wrong::from(format!("must be a number from 0 to {MAX_PRICE}")))?;
    let digits = currency.and_then(Currency::exponent).map(u32::from);
    match digits.filter(|digits| amount.normalize().scale() > *digits) {
        Some(digits) => Err(format!("may have {digits} decimal places in this currency").into()),
        None => Ok(Money::new(amount)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn valid() -> Value {
        json!({
            "customerId": "customer-1",
            "items": [{ "productId": "keyboard", "quantity": 2, "price": 49.5 }],
            "currency": "USD",
            "paymentMethod": "pm_card_visa",
            "shippingAddress": {
                "name": "Jo Doe", "line1": "1 Main Street", "city": "Springfield", "postalCode": "12345",
                "country": "US",
            },
        })
    }

    fn with(pointer: &str, value: Value) -> String {
        let mut order = valid();
        match order.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                order.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        order.to_string()
    }

    /// The paths of the wrong fields, and all that is said about them.
    fn wrong(json: &str) -> (Vec<String>, String) {
        match PlaceOrder::parse(json) {
            Err(Unreadable::Fields(errors)) => {
                let said = errors.iter().map(|error| error.problem.as_str()).collect::<Vec<_>>().join("\n");
                (errors.into_iter().map(|error| error.field).collect(), said)
            }
            other => panic!("{json}: {other:?}"),
        }
    }

    fn accepts(pointer: &str, values: &[Value]) {
        for value in values {
            assert!(PlaceOrder::parse(&with(pointer, value.clone())).is_ok(), "{pointer}: {value}");
        }
    }

    fn refuses(pointer: &str, values: &[Value]) {
        let path = pointer[1..].replace("/0", "[0]").replace('/', ".");
        for value in values {
            assert_eq!(wrong(&with(pointer, value.clone())).0, [path.as_str()], "{value}");
        }
    }

    #[test]
    fn a_valid_order_is_read() {
        let order = PlaceOrder::parse(&valid().to_string()).unwrap();
        assert_eq!(order.total().unwrap().to_string(), "99");
        assert_eq!((order.currency.as_str(), order.shipping_address.line2), ("USD", None));
    }

    #[test]
    fn identifiers_are_short_and_plain() {
        for pointer in ["/customerId", "/items/0/productId"] {
            accepts(pointer, &[json!("a"), json!("0_-"), json!("x".repeat(64))]);
            refuses(
                pointer,
                &[
                    json!(""),
                    json!("-a"),
                    json!("_a"),
                    json!("a b"),
                    json!("ä"),
                    json!("a\n"),
                    json!("x".repeat(65)),
                    json!(7),
                    json!(null),
                ],
            );
        }
    }

    #[test]
    fn an_order_has_1_to_98_lines() {
        let lines = |count| json!(vec![valid()["items"][0].clone(); count]);
        accepts("/items", &[lines(1), lines(98)]);
        refuses("/items", &[lines(0), lines(99), json!({}), json!("x"), json!(null)]);
    }

    #[test]
    fn a_quantity_is_a_whole_number_from_1_to_10000() {
        accepts("/items/0/quantity", &[json!(1), json!(10_000), json!(2.0)]);
        refuses(
            "/items/0/quantity",
            &[json!(0), json!(-1), json!(10_001), json!(1.5), json!("2"), json!(null), json!(1e300)],
        );
    }

    #[test]
    fn a_price_is_a_decimal_number_of_the_currencys_digits() {
        accepts("/items/0/price", &[json!(0.01), json!(49.50), json!(1_000_000)]);
        refuses(
            "/items/0/price",
            &[json!(-0.01), json!(0.001), json!(1_000_000.01), json!("49.5"), json!(null), json!([1])],
        );
        for (currency, price, good) in
            [("JPY", "500", true), ("JPY", "0.5", false), ("BHD", "0.125", true), ("BHD", "0.1255", false)]
        {
            let json = with("/currency", json!(currency)).replace("49.5", price);
            assert_eq!(PlaceOrder::parse(&json).is_ok(), good, "{price} {currency}");
        }
    }

    #[test]
    fn more_digits_than_can_be_kept_are_refused_not_rounded() {
        for price in
            ["49.5000000000000000000000000000001", "4.95000000000000000000000000000001e1", "1e-40", "9e400"]
        {
            let json = valid().to_string().replace("49.5", price);
            assert_eq!(wrong(&json).0, ["items[0].price"], "{price}");
        }
    }

    #[test]
    fn a_gift_may_be_free_but_not_the_whole_order() {
        let gift = json!({ "productId": "sticker", "quantity": 1, "price": 0 });
        accepts("/items", &[json!([gift, valid()["items"][0]])]);
        let (fields, said) = wrong(&with("/items", json!([gift])));
        assert_eq!((fields, said.as_str()), (vec!["items".to_owned()], "must cost more than 0 in all"));
    }

    #[test]
    fn an_order_costs_no_more_than_rules_can_compare() {
        let line =
            |quantity: u32, price: f64| json!({ "productId": "a", "quantity": quantity, "price": price });
        accepts("/items", &[json!([line(5_000, 1_000_000.0)])]);
        let (fields, said) = wrong(&with("/items", json!([line(5_000, 1_000_000.0), line(1, 0.01)])));
        assert_eq!(
            (fields, said.as_str()),
            (vec!["items".to_owned()], "must cost at most 5000000000 in all")
        );
    }

    #[test]
    fn a_currency_is_one_that_can_be_charged() {
        accepts("/currency", &[json!("EUR"), json!("BHD")]);
        refuses(
            "/currency",
            &[json!("usd"), json!("ABC"), json!(""), json!("XAU"), json!("XTS"), json!(840)],
        );
    }

    #[test]
    fn a_payment_method_is_a_name_and_never_a_card_number() {
        accepts("/paymentMethod", &[json!("pm_1"), json!(format!("pm_{}", "x".repeat(250)))]);
        let bad = ["pm_", "card_visa", "pm_a-b", "4242424242424242", &format!("pm_{}", "x".repeat(251))];
        refuses("/paymentMethod", &bad.map(|method| json!(method)));
        let (_, said) = wrong(&with("/paymentMethod", json!("4242424242424242")));
        assert!(said.contains("never send a card number") && !said.contains("4242"), "{said}");
    }

    #[test]
    fn an_address_is_complete_short_and_printable() {
        for (field, longest) in
            [("name", 100), ("line1", 200), ("line2", 200), ("city", 100), ("postalCode", 20)]
        {
            let pointer = format!("/shippingAddress/{field}");
            accepts(&pointer, &[json!("ß".repeat(longest)), json!("x")]);
            refuses(
                &pointer,
                &[
                    json!(""),
                    json!("  "),
                    json!("x".repeat(longest + 1)),
                    json!("a\tb"),
                    json!("a\u{0}"),
                    json!(1),
                ],
            );
        }
        accepts("/shippingAddress/line2", &[json!(null)]);
        accepts("/shippingAddress/country", &["DE", "SS", "AQ", "CW", "GB"].map(|code| json!(code)));
        refuses("/shippingAddress/country", &["", "us", "XX", "USA", "UK", "U"].map(|code| json!(code)));
    }

    #[test]
    fn every_required_field_is_asked_for_by_its_path() {
        assert_eq!(wrong("{}").0, ["customerId", "currency", "paymentMethod", "items", "shippingAddress"]);
        let json = with("/items", json!([{}])).replace(&valid()["shippingAddress"].to_string(), "{}");
        assert_eq!(
            wrong(&json).0,
            [
                "items[0].productId",
                "items[0].quantity",
                "items[0].price",
                "shippingAddress.name",
                "shippingAddress.line1",
                "shippingAddress.city",
                "shippingAddress.postalCode",
                "shippingAddress.country",
            ]
        );
    }

    #[test]
    fn wrong_shapes_wrong_values_missing_and_unknown_fields_are_named_together_and_never_quoted() {
        let secret = "S3CRET!";
        let json = json!({
            "customerId": secret,
            "items": [
                { "productId": "a", "quantity": secret, "price": 1, "colour": secret },
                { "quantity": 0, "price": [secret] },
            ],
            "currency": secret,
            "shippingAddress": secret,
            "totalAmount": secret,
        });
        let (fields, said) = wrong(&json.to_string());
        assert_eq!(
            fields,
            [
                "customerId",
                "currency",
                "paymentMethod",
                "items[0].quantity",
                "items[0].colour",
                "items[1].productId",
                "items[1].quantity",
                "items[1].price",
                "shippingAddress",
                "totalAmount",
            ]
        );
        assert!(!said.contains(secret), "{said}");
    }

    #[test]
    fn what_is_not_json_is_told_apart_from_what_is_no_order() {
        assert_eq!(PlaceOrder::parse("{\"customerId\": "), Err(Unreadable::NotJson));
        assert_eq!(wrong("[1]").0, ["body"]);
    }

    #[test]
    fn a_command_hashes_the_same_however_it_is_written() {
        let hash = |json: &str| PlaceOrder::parse(json).unwrap().hash().unwrap();
        let plain = hash(&valid().to_string());
        let other = r#"{
            "shippingAddress": {"country": "US", "postalCode": "12345", "line2": null, "city": "Springf\u0069eld",
                "line1": "1 Main Street", "name": "Jo Doe"},
            "paymentMethod": "pm_card_visa", "currency": "USD",
            "items": [{"price": 4.950e1, "quantity": 2.0, "productId": "keyboard"}],
            "customerId": "customer-1"}"#;
        assert_eq!(hash(other), plain);
        for price in ["49.50", "495e-1", "4.95E+1"] {
            assert_eq!(hash(&valid().to_string().replace("49.5", price)), plain, "{price}");
        }
        let free = |zero: &str| {
            let gift = json!({ "productId": "sticker", "quantity": 1, "price": 7 });
            hash(&with("/items", json!([gift, valid()["items"][0]])).replace('7', zero))
        };
        assert_eq!(free("0"), free("-0.00"));
    }

    #[test]
    fn a_command_hashes_differently_when_any_field_differs() {
        let hash = |json: &str| PlaceOrder::parse(json).unwrap().hash().unwrap();
        let mut hashes = vec![hash(&valid().to_string())];
        for (pointer, value) in [
            ("/customerId", json!("customer-2")),
            ("/currency", json!("EUR")),
            ("/paymentMethod", json!("pm_card_mastercard")),
            ("/items/0/productId", json!("mouse")),
            ("/items/0/quantity", json!(3)),
            ("/items/0/price", json!(49.51)),
            ("/shippingAddress/name", json!("Jo Roe")),
            ("/shippingAddress/line1", json!("2 Main Street")),
            ("/shippingAddress/line2", json!("2nd floor")),
            ("/shippingAddress/city", json!("Shelbyville")),
            ("/shippingAddress/postalCode", json!("12346")),
            ("/shippingAddress/country", json!("CA")),
        ] {
            hashes.push(hash(&with(pointer, value)));
        }
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
