//! Money: a decimal in the code, a JSON number on the wire, so that rules can match it. Never a binary float.

use std::fmt;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount, in major units (99.95 is ninety-nine dollars and ninety-five cents). Its currency stands beside it.
///
/// Equal amounts are equal however they are written: 49.5 is 49.50.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(Decimal);

impl Money {
    /// An amount.
    #[must_use]
    pub fn new(amount: Decimal) -> Self {
        Self(amount.normalize())
    }

    /// The amount as a decimal number, without trailing zeros.
    #[must_use]
    pub fn amount(self) -> Decimal {
        self.0
    }

    /// The price of `quantity` pieces, or `None` beyond 28 digits.
    #[must_use]
    pub fn times(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(Decimal::from(quantity)).map(Self::new)
    }

    /// The sum, or `None` beyond 28 digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self::new)
    }

    /// The amount in the currency's minor unit (cents), or `None` if it has a fraction of one or is out of range.
    #[must_use]
    pub fn minor_units(self, currency: Currency) -> Option<i64> {
        let scale = Decimal::from(10_i64.checked_pow(u32::from(currency.exponent().unwrap_or(0)))?);
        let minor = self.0.checked_mul(scale)?;
        if minor.fract().is_zero() { i64::try_from(minor).ok() } else { None }
    }

    /// An amount given in the currency's minor unit.
    #[must_use]
    pub fn from_minor_units(minor: i64, currency: Currency) -> Self {
        Self::new(Decimal::new(minor, u32::from(currency.exponent().unwrap_or(0))))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Box::<RawValue>::deserialize(deserializer)?;
        let text = number.get();
        if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(D::Error::custom("expected a number"));
        }
        // Exactly: a number of more digits than fit is refused, never rounded.
        let amount = match text.split_once(['e', 'E']) {
            None => Decimal::from_str_exact(text),
            Some((digits, _)) => Decimal::from_str_exact(digits).and_then(|_| Decimal::from_scientific(text)),
        };
        amount.map(Self::new).map_err(|_| D::Error::custom("expected a decimal number of at most 28 digits"))
    }
}

/// A number. Its digits (28 at most) are its writing and not its value, so no schema can count them.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // 2^96, the first number that a decimal cannot hold.
        const BOUND: f64 = 79_228_162_514_264_337_593_543_950_336.0;
        schemars::json_schema!({
            "type": "number", "exclusiveMinimum": -BOUND, "exclusiveMaximum": BOUND, "$comment": "at most 28 digits",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Money, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn an_amount_survives_the_wire_to_the_last_digit() {
        let text = "79228162514264337593.12";
        assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        assert_eq!(read("49.50").unwrap(), read("49.5").unwrap());
        assert_eq!(read("4.95e1").unwrap(), read("49.5").unwrap());
        assert_eq!(serde_json::to_string(&read("100.00").unwrap()).unwrap(), "100");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["\"49.5\"", "null", "true", "[]", "1e400", "9e28", "1e-40", "1e99999999999999999999"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_has_more_digits_than_fit_is_refused_not_rounded() {
        for text in ["0.12345678901234567890123456789", "0.12345678901234567890123456789e1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(serde_json::to_string(&read("-0.00").unwrap()).unwrap(), "0");
    }

    #[test]
    fn minor_units_follow_the_currency() {
        assert_eq!(read("49.95").unwrap().minor_units(Currency::USD), Some(4_995));
        assert_eq!(read("4995").unwrap().minor_units(Currency::JPY), Some(4_995));
        assert_eq!(read("49.955").unwrap().minor_units(Currency::USD), None);
        assert_eq!(Money::from_minor_units(4_995, Currency::USD), read("49.95").unwrap());
    }
}
