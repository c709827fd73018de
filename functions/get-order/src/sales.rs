//! `GET /sales?from&to`: what was taken in the windows of a span of time.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use eda::Failure;
use eda::fields::FieldError;
use eda::http::{Problem, parameter, respond};
use eda::window::{Series, between};
use jiff::Timestamp;
use serde::Serialize;
use shop::sales::{LONGEST_SPAN, Sales, SalesWindow};

use super::GetOrder;

/// The answer.
#[derive(Serialize)]
struct Windows {
    windows: Vec<SalesWindow>,
}

impl GetOrder {
    /// 200 with the windows that start in the span, those in which nothing was sold left out, or 400.
    pub(crate) async fn sales(
        &self,
        request: &ApiGatewayV2httpRequest,
    ) -> Result<ApiGatewayV2httpResponse, Failure> {
        let (from, to) = match span(request) {
            Ok(span) => span,
            Err(problem) => return Ok(problem.into()),
        };
        let rows =
            between(&self.dynamodb, &self.sales, Sales::NAME, from.as_second(), to.as_second()).await?;
        let windows = Windows { windows: rows.into_iter().map(SalesWindow::from).collect() };
        let body = serde_json::to_string(&windows)
            .map_err(|error| Failure::permanent("sales have no JSON form").because(error))?;
        Ok(respond(200, "application/json", body))
    }
}

/// The span of time that is asked for, its end exclusive.
fn span(request: &ApiGatewayV2httpRequest) -> Result<(Timestamp, Timestamp), Problem> {
    let mut errors = Vec::new();
    let mut moment = |field: &str| {
        let read = parameter(request, field).and_then(|text| {
            let text = text.ok_or_else(|| "is required".to_owned())?;
            let wrong = || "must be a date and time such as 2026-01-15T10:30:00Z".to_owned();
            text.parse::<Timestamp>().map_err(|_| wrong())
        });
        read.map_err(|problem| errors.push(FieldError { field: field.to_owned(), problem })).ok()
    };
    let span = (moment("from"), moment("to"));
    if let (Some(from), Some(to)) = span {
        let seconds = to.as_second().saturating_sub(from.as_second());
        if (1..=LONGEST_SPAN).contains(&seconds) {
            return Ok((from, to));
        }
        let problem = format!("must be after from, by {} days at most", LONGEST_SPAN / 86_400);
        errors.push(FieldError { field: "to".to_owned(), problem });
    }
    let detail = "Correct the parameters that are named.";
    Err(Problem::new(400, "urn:problem:invalid-query", "The query is not valid", detail).with_errors(errors))
}
