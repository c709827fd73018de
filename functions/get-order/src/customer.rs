//! `GET /customers/{id}/orders?limit&cursor`: a customer's orders, newest first, a page at a time.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_sdk_dynamodb::types::AttributeValue;
use eda::Failure;
use eda::http::{Page, cursor, page, respond};
use eda::row::from_item;
use serde::Serialize;
use serde_json::value::RawValue;
use shop::order::{CUSTOMER_INDEX, OrderPosition, OrderViewRow, customer_key};

use super::GetOrder;

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Orders<'rows> {
    /// As `GET /orders/{id}` answers each.
    orders: Vec<&'rows RawValue>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl GetOrder {
    /// 200 with a page of orders, none for a customer who has not ordered, or 400. An order is in the list from its projection
    /// on. One that is placed while a client pages is newer than all that is to come, so no page repeats one.
    pub(crate) async fn orders_of_customer(
        &self,
        id: &str,
        request: &ApiGatewayV2httpRequest,
    ) -> Result<ApiGatewayV2httpResponse, Failure> {
        let list = format!("orders of {id}");
        let page: Page<OrderPosition> = match page(request, &list) {
            Ok(page) => page,
            Err(problem) => return Ok(problem.into()),
        };
        let (rows, more) = self.rows_of_customer(id, &page).await?;
        let documents = rows.iter().map(|row| serde_json::from_str(&row.document));
        let documents: Result<_, _> = documents.collect();
        let unreadable = |error| Failure::permanent("a view is unreadable").because(error);
        let last = rows.last().filter(|_| more).map(OrderPosition::of);
        let next_cursor = last.map(|position| cursor(&list, &position)).transpose()?;
        let body = serde_json::to_string(&Orders { orders: documents.map_err(unreadable)?, next_cursor });
        Ok(respond(200, "application/json", body.map_err(unreadable)?))
    }

    /// The rows of a page, and whether there are more.
    async fn rows_of_customer(
        &self,
        id: &str,
        page: &Page<OrderPosition>,
    ) -> Result<(Vec<OrderViewRow>, bool), Failure> {
        let live = self.current.get().await?.live;
        let found = self
            .dynamodb
            .query()
            .table_name(self.views.name())
            .index_name(CUSTOMER_INDEX)
            .key_condition_expression("#customer = :customer")
            .expression_attribute_names("#customer", "customer")
            .expression_attribute_values(":customer", AttributeValue::S(customer_key(id, live)))
            .set_exclusive_start_key(page.after.as_ref().map(|position| position.index_key(id, live)))
            .scan_index_forward(false)
            // One more than asked for tells whether there are more.
            .limit(i32::from(page.limit) + 1)
            .send()
            .await
            .map_err(|error| Failure::transient("a customer's orders could not be read").because(error))?;
        let cut = found.last_evaluated_key.is_some_and(|key| !key.is_empty());
        let rows = found.items.unwrap_or_default().into_iter().map(from_item);
        let mut rows = rows.collect::<Result<Vec<OrderViewRow>, _>>()?;
        let more = cut || rows.len() > usize::from(page.limit);
        rows.truncate(page.limit.into());
        Ok((rows, more))
    }
}
