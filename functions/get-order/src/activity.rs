//! `GET /customers/{id}/activity?limit&cursor`: what a customer learnt of their orders, newest first, a page at a time.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::types::AttributeValue;
use eda::Failure;
use eda::http::{Page, cursor, page, respond};
use eda::row::from_item;
use serde::Serialize;
use shop::activity::{Activity, ActivityPosition, ActivityRow};

use super::GetOrder;

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Feed {
    activity: Vec<Activity>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl GetOrder {
    /// 200 with a page of the feed, empty for a customer of whom nothing happened, or 400. Nothing is in the feed before what
    /// led to it is.
    pub(crate) async fn activity_of_customer(
        &self,
        id: &str,
        request: &ApiGatewayV2httpRequest,
    ) -> Result<ApiGatewayV2httpResponse, Failure> {
        let list = format!("activity of {id}");
        let page: Page<ActivityPosition> = match page(request, &list) {
            Ok(page) => page,
            Err(problem) => return Ok(problem.into()),
        };
        let found = self
            .dynamodb
            .query()
            .table_name(self.activity.name())
            .key_condition_expression("#customer = :customer")
            .expression_attribute_names("#customer", "customerId")
            .expression_attribute_values(":customer", AttributeValue::S(id.to_owned()))
            .set_exclusive_start_key(page.after.as_ref().map(|position| position.key(id)))
            .scan_index_forward(false)
            // One more than asked for tells whether there are more.
            .limit(i32::from(page.limit) + 1)
            .send()
            .await
            .map_err(|error| Failure::transient("a customer's activity could not be read").because(error))?;
        let cut = found.last_evaluated_key.is_some_and(|key| !key.is_empty());
        let rows = found.items.unwrap_or_default().into_iter().map(from_item);
        let mut rows = rows.collect::<Result<Vec<ActivityRow>, _>>()?;
        let more = cut || rows.len() > usize::from(page.limit);
        rows.truncate(page.limit.into());
        let last = rows.last().filter(|_| more).map(ActivityPosition::of);
        let next_cursor = last.map(|position| cursor(&list, &position)).transpose()?;
        let feed = Feed { activity: rows.into_iter().map(ActivityRow::shown).collect(), next_cursor };
        let body = serde_json::to_string(&feed)
            .map_err(|error| Failure::permanent("a feed has no JSON form").because(error))?;
        Ok(respond(200, "application/json", body))
    }
}
