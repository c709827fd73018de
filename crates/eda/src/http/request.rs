use std::borrow::Cow;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::http::header::{CONTENT_TYPE, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Problem;
use crate::Failure;
use crate::fields::FieldError;

/// The header by which a caller makes a request repeatable.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The longest idempotency key, in characters.
const MAX_KEY: usize = 255;

/// The caller of an API without an authorizer.
pub const ANONYMOUS: &str = "anonymous";

/// The longest trace header that the bus takes, in characters.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>
const MAX_TRACE: usize = 500;

/// The API's route that the request came by, such as `GET /orders/{id}`; empty where it came by none.
#[must_use]
pub fn route(request: &ApiGatewayV2httpRequest) -> &str {
    request.route_key.as_deref().unwrap_or_default()
}

/// Who asks: the unique id of the IAM user or role, without the session's name, so that a caller stays the same from
/// one session to the next. [`ANONYMOUS`] where the API has no authorizer.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
///
/// # Errors
/// [`Failure`] (permanent) where there is an authorizer other than IAM's: taking all its callers for one would let them
/// meet each other's idempotency keys.
pub fn caller(request: &ApiGatewayV2httpRequest) -> Result<&str, Failure> {
    let Some(authorizer) = &request.request_context.authorizer else {
        return Ok(ANONYMOUS);
    };
    let user_id = authorizer.iam.as_ref().and_then(|iam| iam.user_id.as_deref()).unwrap_or_default();
    match user_id.split(':').next().filter(|id| !id.is_empty()) {
        Some(id) => Ok(id),
        None => Err(Failure::permanent("the authorizer names no IAM caller")),
    }
}

/// The request's idempotency key: 1 to 255 visible ASCII characters.
///
/// # Errors
/// The problem (400) that names the header.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let refused = |problem: String| {
        let detail =
            "Choose a new key for each order, and send the same key whenever that request is repeated.";
        Problem::new(400, "urn:problem:idempotency-key", "Unusable Idempotency-Key", detail)
            .with_errors(vec![FieldError { field: IDEMPOTENCY_KEY.to_owned(), problem }])
    };
    let value = headers.get(IDEMPOTENCY_KEY).ok_or_else(|| refused("is required".to_owned()))?;
    let key = value.to_str().ok().filter(|key| is_idempotency_key(key));
    key.ok_or_else(|| refused(NO_KEY.to_owned()))
}

/// What is wrong with an idempotency key that is none.
pub const NO_KEY: &str = "must be 1 to 255 visible ASCII characters";

/// Whether it can be an idempotency key, wherever it stands.
#[must_use]
pub fn is_idempotency_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The request's JSON body as text, decoded where the API encoded it, at most `max_bytes` long.
///
/// # Errors
/// The problem: 415 where it is not sent as JSON, 413 where it is too long, 400 where it is no text.
pub fn json_body(request: &ApiGatewayV2httpRequest, max_bytes: usize) -> Result<Cow<'_, str>, Problem> {
    if !is_json(&request.headers) {
        let detail = "Send the body as JSON, with the header Content-Type: application/json.";
        return Err(Problem::new(415, "urn:problem:media-type", "Unsupported media type", detail));
    }
    let body = request.body.as_deref().unwrap_or_default();
    let too_long = || {
        let detail = format!("The body may have {max_bytes} bytes at most.");
        Problem::new(413, "urn:problem:too-large", "Body too large", detail)
    };
    if !request.is_base64_encoded {
        return if body.len() > max_bytes { Err(too_long()) } else { Ok(Cow::Borrowed(body)) };
    }
    let bytes = STANDARD.decode(body).map_err(|_| not_text())?;
    if bytes.len() > max_bytes {
        return Err(too_long());
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| not_text())
}

fn not_text() -> Problem {
    Problem::not_json("The body is not UTF-8 text.")
}

/// `application/json`, or a format made of it such as `application/problem+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The X-Ray trace header to carry on. The gateway hands on what the caller sent, so what is no trace header is
/// dropped here, before it can make the bus refuse an event.
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
#[must_use]
pub fn trace_header(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"=;:-_.".contains(&byte);
    let usable = header.len() <= MAX_TRACE && header.contains("Root=") && header.bytes().all(known);
    usable.then(|| header.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::http::header::{HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn request(authorizer: Value, headers: Value, body: &str, encoded: bool) -> ApiGatewayV2httpRequest {
        let mut context = json!({ "http": { "method": "POST" } });
        if !authorizer.is_null() {
            context["authorizer"] = authorizer;
        }
        let request = json!({
            "headers": headers, "requestContext": context, "body": body, "isBase64Encoded": encoded,
        });
        serde_json::from_value(request).unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )])
    }

    fn caller_of(authorizer: Value) -> Result<String, Failure> {
        caller(&request(authorizer, json!({}), "", false)).map(ToOwned::to_owned)
    }

    fn body_of(content_type: &str, body: &str, encoded: bool) -> Result<String, u16> {
        let request = request(Value::Null, json!({ "Content-Type": content_type }), body, encoded);
        json_body(&request, 16).map(Cow::into_owned).map_err(|problem| problem.status)
    }

    #[test]
    fn a_caller_is_the_same_in_every_session_of_its_role() {
        for session in ["AROAEXAMPLE:monday", "AROAEXAMPLE:tuesday"] {
            assert_eq!(caller_of(json!({ "iam": { "userId": session } })).unwrap(), "AROAEXAMPLE");
        }
        assert_eq!(caller_of(json!({ "iam": { "userId": "AIDAEXAMPLE" } })).unwrap(), "AIDAEXAMPLE");
    }

    #[test]
    fn callers_are_anonymous_only_where_there_is_no_authorizer() {
        assert_eq!(caller_of(Value::Null).unwrap(), ANONYMOUS);
        assert!(caller_of(json!({ "jwt": { "claims": {} } })).is_err());
        assert!(caller_of(json!({ "iam": { "userId": "" } })).is_err());
    }

    #[test]
    fn an_idempotency_key_is_1_to_255_visible_ascii_characters() {
        assert_eq!(idempotency_key(&headers("idempotency-key", "k-1")).unwrap(), "k-1");
        assert!(idempotency_key(&headers("idempotency-key", &"k".repeat(255))).is_ok());
        for key in [String::new(), "k".repeat(256), "two words".to_owned(), "schlüssel".to_owned()] {
            let problem = idempotency_key(&headers("idempotency-key", &key)).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (400, IDEMPOTENCY_KEY));
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap_err().errors[0].problem, "is required");
    }

    #[test]
    fn a_body_is_read_as_sent_or_as_the_gateway_encoded_it() {
        assert_eq!(body_of("application/json", "{}", false).unwrap(), "{}");
        assert_eq!(body_of("Application/JSON; charset=utf-8", "e30=", true).unwrap(), "{}");
        assert_eq!(body_of("application/vnd.order+json", "{}", false).unwrap(), "{}");
    }

    #[test]
    fn a_body_that_is_no_json_too_long_or_no_text_is_refused() {
        for content_type in ["text/plain", "", "application/x-www-form-urlencoded", "text/json+json"] {
            assert_eq!(body_of(content_type, "{}", false), Err(415), "{content_type}");
        }
        assert_eq!(body_of("application/json", &"x".repeat(16), false), Ok("x".repeat(16)));
        assert_eq!(body_of("application/json", &"x".repeat(17), false), Err(413));
        assert_eq!(body_of("application/json", &STANDARD.encode("x".repeat(17)), true), Err(413));
        assert_eq!(body_of("application/json", &STANDARD.encode([0xFF]), true), Err(400));
        assert_eq!(body_of("application/json", "%", true), Err(400));
    }

    #[test]
    fn a_trace_header_is_carried_on_and_anything_else_is_dropped() {
        let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        assert_eq!(trace_header(&headers("x-amzn-trace-id", trace)).as_deref(), Some(trace));
        let long = format!("Root={}", "1".repeat(MAX_TRACE));
        for other in ["", "hello", "Root=1-\u{e9}", long.as_str()] {
            assert_eq!(trace_header(&headers("x-amzn-trace-id", other)), None);
        }
        assert_eq!(trace_header(&HeaderMap::new()), None);
    }
}
