use std::borrow::Cow;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Problem;
use crate::Failure;
use crate::fields::FieldError;

/// The most elements of a page.
pub const MAX_LIMIT: u8 = 100;

/// The elements of a page where the client does not say how many.
pub const DEFAULT_LIMIT: u8 = 20;

/// The longest cursor, in characters.
pub const MAX_CURSOR: usize = 1_024;

/// How many bytes of a cursor's digest it carries.
const DIGEST: usize = 8;

/// The part of a list that a client asks for, by the query parameters `limit` and `cursor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// How many elements at most, 1 to [`MAX_LIMIT`].
    pub limit: u8,
    /// Goes on behind this position; from the beginning where there is none.
    pub after: Option<T>,
}

/// The page of a list that a request asks for. `list` names the list, of whatever it is made: a cursor is valid for its own
/// list only.
///
/// # Errors
/// The problem (400) that names the parameters that are wrong.
pub fn page<T: DeserializeOwned>(request: &ApiGatewayV2httpRequest, list: &str) -> Result<Page<T>, Problem> {
    let mut errors = Vec::new();
    let mut note =
        |field: &str, problem: String| errors.push(FieldError { field: field.to_owned(), problem });
    let limit = parameter(request, "limit").and_then(|text| match text {
        None => Ok(DEFAULT_LIMIT),
        Some(text) => number(&text).ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}")),
    });
    let limit = limit.map_err(|problem| note("limit", problem)).ok();
    let after = parameter(request, "cursor").and_then(|text| match text {
        None => Ok(None),
        Some(text) => position(list, &text)
            .map(Some)
            .ok_or_else(|| "must be the cursor that the list's page before came with".to_owned()),
    });
    let after = after.map_err(|problem| note("cursor", problem)).ok();
    match (limit, after) {
        (Some(limit), Some(after)) => Ok(Page { limit, after }),
        _ => {
            let detail = "Correct the parameters that are named, or leave them out.";
            Err(Problem::new(400, "urn:problem:invalid-query", "The query is not valid", detail)
                .with_errors(errors))
        }
    }
}

/// The cursor behind this position of a list: a text that clients hand back unread.
///
/// It carries a digest, so that one that was changed, cut or taken from another list is recognised and refused. The digest
/// is no secret: who makes up a cursor gets no more than another position in a list that the request's path names, and that
/// its signature must allow.
///
/// # Errors
/// [`Failure`] (permanent) where the position has no JSON form.
pub fn cursor<T: Serialize>(list: &str, position: &T) -> Result<String, Failure> {
    let position = serde_json::to_vec(position)
        .map_err(|error| Failure::permanent("a position has no JSON form").because(error))?;
    let mut bytes = digest(list, &position).to_vec();
    bytes.extend(position);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn position<T: DeserializeOwned>(list: &str, cursor: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(Some(cursor).filter(|text| text.len() <= MAX_CURSOR)?).ok()?;
    let (carried, position) = bytes.split_at_checked(DIGEST)?;
    if digest(list, position) != carried {
        return None;
    }
    serde_json::from_slice(position).ok()
}

fn digest(list: &str, position: &[u8]) -> [u8; DIGEST] {
    let length = u64::try_from(list.len()).unwrap_or(u64::MAX).to_be_bytes();
    let whole = Sha256::new().chain_update(length).chain_update(list).chain_update(position).finalize();
    let mut digest = [0; DIGEST];
    digest.iter_mut().zip(whole).for_each(|(kept, byte)| *kept = byte);
    digest
}

/// A query parameter's value; `None` where it is not given.
///
/// # Errors
/// What is wrong with it: it is given more than once.
pub fn parameter<'request>(
    request: &'request ApiGatewayV2httpRequest,
    name: &str,
) -> Result<Option<Cow<'request, str>>, String> {
    let query = request.raw_query_string.as_deref().unwrap_or_default();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value);
    match values.next() {
        Some(_) => Err("is given more than once".to_owned()),
        None => Ok(value),
    }
}

/// Digits and nothing else: `+7` and `07` mean nothing.
fn number(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok().filter(|number| (1..=MAX_LIMIT).contains(number))?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Wrong = Vec<(String, String)>;

    fn asked(query: &str, list: &str) -> Result<Page<(i64, String)>, Wrong> {
        let request = json!({
            "headers": {}, "rawQueryString": query, "requestContext": { "http": { "method": "GET" } },
            "isBase64Encoded": false,
        });
        page(&serde_json::from_value(request).unwrap(), list).map_err(|problem| {
            assert_eq!((problem.status, problem.kind), (400, "urn:problem:invalid-query"));
            problem.errors.into_iter().map(|error| (error.field, error.problem)).collect()
        })
    }

    fn position() -> (i64, String) {
        (1_768_473_000_000_000, "0b8f2a57".to_owned())
    }

    #[test]
    fn a_list_begins_with_twenty_elements_where_nothing_is_said() {
        assert_eq!(asked("", "orders"), Ok(Page { limit: 20, after: None }));
        assert_eq!(asked("limit=100&other=1", "orders"), Ok(Page { limit: 100, after: None }));
    }

    #[test]
    fn a_list_goes_on_behind_the_position_of_its_cursor() {
        let cursor = cursor("orders", &position()).unwrap();
        assert_eq!(
            asked(&format!("cursor={cursor}&limit=1"), "orders"),
            Ok(Page { limit: 1, after: Some(position()) })
        );
    }

    #[test]
    fn a_cursor_that_was_changed_anywhere_is_refused() {
        let cursor = cursor("orders", &position()).unwrap();
        for index in 0..cursor.len() {
            for letter in ["A", "B", "", "=", "%20", "."] {
                let mut changed = cursor.clone();
                changed.replace_range(index..=index, letter);
                if changed != cursor {
                    assert_eq!(asked(&format!("cursor={changed}"), "orders").unwrap_err()[0].0, "cursor");
                }
            }
        }
        for other in ["", "A", &"A".repeat(MAX_CURSOR + 1), &format!("{cursor}A"), &format!("{cursor}=")] {
            assert!(asked(&format!("cursor={other}"), "orders").is_err(), "{other}");
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = cursor("orders of a", &position()).unwrap();
        assert!(asked(&format!("cursor={cursor}"), "orders of b").is_err());
    }

    #[test]
    fn a_limit_is_a_whole_number_from_1_to_100() {
        for limit in ["0", "101", "-1", "+1", "01", "1.0", "1e1", "", "ten", "1,2", "9999999999999999999"] {
            let expected = ("limit".to_owned(), "must be a whole number from 1 to 100".to_owned());
            assert_eq!(asked(&format!("limit={limit}"), "orders"), Err(vec![expected]), "{limit}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let wrong = asked("limit=1&limit=2&cursor=x", "orders").unwrap_err();
        let problems: Vec<_> = wrong.iter().map(|(field, problem)| format!("{field} {problem}")).collect();
        assert_eq!(
            problems,
            [
                "limit is given more than once",
                "cursor must be the cursor that the list's page before came with",
            ]
        );
    }
}
