use std::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of fingerprints (UUIDv5).
const FINGERPRINTS: Uuid = Uuid::from_u128(0x2b0e_64a1_93d7_4c58_8f21_6a57_0c3e_91bd);

/// The longest cause, in characters.
const MAX_CAUSE: usize = 500;

/// What differs between two failures of one cause, and what stands in its place. In this order: what is quoted may hold
/// anything, and an identifier holds numbers.
static PARTICULARS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let particulars = [
        (r#""[^"]*""#, "<text>"),
        (r"'[^']*'", "<text>"),
        (r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "<mail>"),
        (r"arn:[\w-]*:[^\s,;)]+", "<arn>"),
        (r"https?://[^\s,;)]+", "<url>"),
        (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?", "<time>"),
        (r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<id>"),
        (r"\b[A-Za-z]*[_-]?[0-9a-fA-F]*\d[0-9a-fA-F]{7,}\b", "<id>"),
        (r"\d+(\.\d+)*", "<n>"),
        (r"\s+", " "),
    ];
    particulars.into_iter().filter_map(|(pattern, stead)| Some((Regex::new(pattern).ok()?, stead))).collect()
});

/// Groups failures of one cause: the same for all that failed in the same place for the same reason, whatever
/// identifiers, numbers, times and quoted values the reason tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a cause, as [`cause`] gives it, in a place.
    #[must_use]
    pub fn of(place: &str, cause: &str) -> Self {
        let digest = Uuid::new_v5(&FINGERPRINTS, format!("{place}\n{cause}").as_bytes());
        let mut text = digest.simple().to_string();
        // 48 bits: short enough to be typed, and two of a thousand causes meet once in half a billion deployments.
        text.truncate(12);
        Self(text)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reason without its particulars. Nothing of a payload that a reason quotes is left in it.
#[must_use]
pub fn cause(reason: &str) -> String {
    let general = PARTICULARS
        .iter()
        .fold(reason.to_owned(), |text, (pattern, stead)| pattern.replace_all(&text, *stead).into_owned());
    let cause: String = general.trim().chars().take(MAX_CAUSE).collect();
    if cause.is_empty() { "no reason was given".to_owned() } else { cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_failures_of_one_cause_is_left_out() {
        let reasons = [
            (
                "the message cannot be read: items[3].quantity: invalid type: string \"two\", expected u32 at line 1 column 53",
                "the message cannot be read: items[<n>].quantity: invalid type: string <text>, expected u<n> at line <n> column <n>",
            ),
            ("order 019bc13e-4c40-7000-8000-000000000001 has no head", "order <id> has no head"),
            ("pi_3f9a8c7b6d5e4f21 is unknown", "<id> is unknown"),
            ("no mail to jane.doe@example.com", "no mail to <mail>"),
            ("at 2026-01-15T10:30:00.5Z it was late", "at <time> it was late"),
            ("arn:aws:sqs:us-east-1:111122223333:q is gone", "<arn> is gone"),
            ("missing field `orderId`", "missing field `orderId`"),
        ];
        for (reason, general) in reasons {
            assert_eq!(cause(reason), general);
        }
    }

    #[test]
    fn one_cause_in_one_place_has_one_fingerprint() {
        let of = |place: &str, reason: &str| Fingerprint::of(place, &cause(reason));
        assert_eq!(of("q", "order 1 has no head"), of("q", "order 22 has no head"));
        assert_ne!(of("q", "order 1 has no head"), of("other", "order 1 has no head"));
        assert_ne!(of("q", "order 1 has no head"), of("q", "order 1 has no tail"));
    }

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PARTICULARS.len(), 10);
    }
}
