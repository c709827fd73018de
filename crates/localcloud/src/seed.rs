//! The customers and the stock that a fresh local cloud starts with, and an order they can fulfil.

use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Stack};

/// A customer, as another system maintains them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// Key of the row.
    pub customer_id: String,
    /// Full name.
    pub name: String,
    /// `gold`, `silver` or `standard`.
    pub tier: String,
    /// An address of a domain reserved for examples.
    pub email: String,
}

/// A product on stock.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Key of the row.
    pub product_id: String,
    /// Pieces on stock at the start; one product has none.
    pub available: u64,
    /// Where they lie.
    pub warehouse_id: String,
    /// What kind of thing it is.
    pub category: String,
    /// Price of a piece in cents; not part of the row.
    pub price_cents: u64,
}

impl Product {
    /// The price as an order's JSON has it: a number of dollars.
    #[must_use]
    pub fn price(&self) -> Value {
        let decimal = format!("{}.{:02}", self.price_cents / 100, self.price_cents % 100);
        serde_json::from_str(&decimal).unwrap_or(Value::Null)
    }
}

static CUSTOMERS: LazyLock<Vec<Customer>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../seed/customers.json")).unwrap_or_default());
static PRODUCTS: LazyLock<Vec<Product>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../seed/products.json")).unwrap_or_default());

/// The customers of `seed/customers.json`.
#[must_use]
pub fn customers() -> &'static [Customer] {
    &CUSTOMERS
}

/// The products of `seed/products.json`.
#[must_use]
pub fn products() -> &'static [Product] {
    &PRODUCTS
}

/// A body that `POST /orders` accepts and that will be confirmed: two products on stock and a card that pays.
#[must_use]
pub fn sample_order() -> Value {
    let items: Vec<Value> = products()
        .iter()
        .filter(|product| product.available > 0)
        .take(2)
        .zip([2, 1])
        .map(|(product, quantity)| {
            json!({ "productId": product.product_id, "quantity": quantity, "price": product.price() })
        })
        .collect();
    let customer = customers().first();
    json!({
        "customerId": customer.map(|customer| &customer.customer_id),
        "items": items,
        "currency": "USD",
        "paymentMethod": "pm_card_visa",
        "shippingAddress": {
            "name": customer.map(|customer| &customer.name),
            "line1": "1 Harbour Street",
            "city": "Springfield",
            "postalCode": "12345",
            "country": "US",
        },
    })
}

/// Writes the rows that are not there yet; what orders have done to the stock since is kept.
pub(crate) async fn seed(stack: &Stack) -> Result<(), Error> {
    let inventory = stack.output("InventoryTable")?;
    let customer_table = stack.output("CustomersTable")?;
    for product in products() {
        let row = [
            ("productId", AttributeValue::S(product.product_id.clone())),
            ("available", AttributeValue::N(product.available.to_string())),
            ("version", AttributeValue::N("0".to_owned())),
            ("warehouseId", AttributeValue::S(product.warehouse_id.clone())),
            ("category", AttributeValue::S(product.category.clone())),
        ];
        put_if_absent(stack, inventory, "productId", row).await?;
    }
    for customer in customers() {
        let row = [
            ("customerId", AttributeValue::S(customer.customer_id.clone())),
            ("name", AttributeValue::S(customer.name.clone())),
            ("tier", AttributeValue::S(customer.tier.clone())),
            ("email", AttributeValue::S(customer.email.clone())),
        ];
        put_if_absent(stack, customer_table, "customerId", row).await?;
    }
    Ok(())
}

async fn put_if_absent<const N: usize>(
    stack: &Stack,
    table: &str,
    key: &str,
    row: [(&str, AttributeValue); N],
) -> Result<(), Error> {
    let put =
        stack.dynamodb().put_item().table_name(table).condition_expression("attribute_not_exists(#key)");
    let put = put.expression_attribute_names("#key", key);
    let put = row.into_iter().fold(put, |put, (name, value)| put.item(name, value));
    match put.send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
            Ok(())
        }
        Err(error) => Err(Error::aws("dynamodb:PutItem")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{customers, products, sample_order};

    #[test]
    fn the_seed_files_are_readable_and_hold_a_product_that_is_sold_out() {
        assert!(!customers().is_empty());
        assert!(products().iter().any(|product| product.available == 0));
        assert!(products().iter().filter(|product| product.available > 0).count() >= 2);
    }

    #[test]
    fn the_sample_order_asks_for_products_on_stock_at_their_price() {
        let order = sample_order();
        assert_eq!(order["items"][0]["price"].to_string(), "89.9");
        assert_eq!(order["items"].as_array().unwrap().len(), 2);
    }
}
