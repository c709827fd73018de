//! Customers, as another system maintains them: read here, and never written.

use std::fmt;

use eda::event::wire::MAX_TEXT;
use eda::row::Row;
use serde::{Deserialize, Serialize};

use crate::events::{OrderEnriched, OrderPlaced};

/// A customer, as far as is known. Personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// Who.
    pub customer_id: String,
    /// Full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How good a customer: `gold`, `silver`, `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Only what points to nobody, so that no log can hold the rest.
impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customer").field("customer_id", &self.customer_id).finish_non_exhaustive()
    }
}

impl Row for Customer {
    const NAME: &'static str = "customer";
    const PARTITION_KEY: &'static str = "customerId";
}

/// What an event can say: another system's empty or endless text says nothing.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty() && text.chars().count() <= MAX_TEXT)
}

/// The order with what is known of its customer. How it is paid and where it goes concerns nobody who asks for that.
#[must_use]
pub fn enriched(order: &OrderPlaced, customer: Option<Customer>) -> OrderEnriched {
    let customer_known = customer.is_some();
    let (name, tier, email) = match customer {
        Some(Customer { name, tier, email, .. }) => (name, tier, email),
        None => (None, None, None),
    };
    OrderEnriched {
        order_id: order.order_id.clone(),
        customer_id: order.customer_id.clone(),
        items: order.items.clone(),
        total_amount: order.total_amount,
        currency: order.currency.clone(),
        timestamp: order.timestamp,
        customer_known,
        customer_name: said(name),
        customer_tier: said(tier),
        customer_email: said(email),
    }
}
