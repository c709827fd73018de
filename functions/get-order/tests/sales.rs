//! Sales over time against an in-process cloud.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_lambda_events::encodings::Body;
use eda::testing::{Fault, TestCloud};
use eda::window::{Measures, WindowRow, WindowState, day_of};
use get_order::GetOrder;
use serde_json::{Value, json};

/// 2026-01-15T10:30:00Z.
const START: i64 = 1_768_473_000;

fn window(cloud: &TestCloud, start: i64, sales: i64) {
    let row = WindowRow {
        series_day: day_of("sales", start),
        start,
        status: WindowState::Closed,
        revision: 1,
        too_late: 1,
        open_series: None,
        end: start + 300,
        expires_at: start + 1_000_000,
        measures: Measures::from([("sales".to_owned(), sales), ("EUR".to_owned(), 100 * sales)]),
    };
    cloud.put("SalesWindowsTable", &row);
}

async fn sales(cloud: &TestCloud, query: &str) -> (i64, Value) {
    let request = json!({
        "version": "2.0", "routeKey": "GET /sales", "rawPath": "/sales", "rawQueryString": query, "headers": {},
        "requestContext": { "http": { "method": "GET" } }, "isBase64Encoded": false,
    });
    let handler = cloud.start::<GetOrder>().await;
    cloud.take_calls();
    let response = eda::serve::answer(&handler, serde_json::from_value(request).unwrap()).await;
    let Some(Body::Text(body)) = response.body else { panic!("no text") };
    (response.status_code, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn windows_of_a_span_of_time_are_answered_by_one_query_a_day() {
    let cloud = TestCloud::of("get-order");
    for (start, sold) in
        [(START - 300, 9), (START, 1), (START + 300, 2), (START + 86_400, 3), (START + 90_000, 9)]
    {
        window(&cloud, start, sold);
    }
    let (status, answer) = sales(&cloud, "from=2026-01-15T10:30:00Z&to=2026-01-16T11:30:00Z").await;
    assert_eq!(status, 200);
    let windows = answer["windows"].as_array().unwrap();
    assert_eq!(windows.iter().map(|window| &window["sales"]).collect::<Vec<_>>(), [1, 2, 3]);
    let expected = json!({
        "start": "2026-01-15T10:30:00Z", "end": "2026-01-15T10:35:00Z", "closed": true, "sales": 1, "refunds": 0,
        "revenue": [{ "currency": "EUR", "amount": 1 }], "tooLate": 1,
    });
    assert_eq!(windows[0], expected);
    assert_eq!(cloud.take_call_names(), ["dynamodb:Query"; 2]);
}

#[tokio::test]
async fn a_span_that_is_none_is_answered_400_without_asking() {
    let cloud = TestCloud::of("get-order");
    let hour = "2026-01-15T10:30:00Z";
    for (query, fields) in [
        (String::new(), vec!["from", "to"]),
        (format!("from={hour}"), vec!["to"]),
        ("from=yesterday&to=today".to_owned(), vec!["from", "to"]),
        (format!("from={hour}&to={hour}"), vec!["to"]),
        (format!("from={hour}&to=2026-01-22T10:30:01Z"), vec!["to"]),
        (format!("from={hour}&from={hour}&to=2026-01-15T11:30:00Z"), vec!["from"]),
    ] {
        let (status, body) = sales(&cloud, &query).await;
        assert_eq!((status, &body["type"]), (400, &json!("urn:problem:invalid-query")), "{query}");
        let named: Vec<_> = body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(named, fields, "{query}");
    }
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_windows_cannot_be_read_the_answer_is_503_and_no_empty_list() {
    let cloud = TestCloud::of("get-order");
    for _ in 0..3 {
        cloud.inject("dynamodb:Query", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(sales(&cloud, "from=2026-01-15T10:30:00Z&to=2026-01-15T11:30:00Z").await.0, 503);
}
