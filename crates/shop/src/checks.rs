//! What is checked of a high-value order before its first step: the fork, and the join that decides.
//!
//! The checks look and change nothing, so what they find may be out of date when the steps come: those decide by their rows.

use std::collections::BTreeSet;

use eda::join::Parts;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::customer::Customer;
use crate::events::OrderPlaced;
use crate::saga::reason;
use crate::shipment::accept;
use crate::stock::Quantity;

/// Whether there is enough on stock.
pub const STOCK: &str = "stock";
/// Whether the customer may order for so much.
pub const CREDIT: &str = "credit";
/// Whether, and how, it can be shipped.
pub const SHIPPING: &str = "shipping";

/// Their join.
pub const CHECKS: Parts = Parts::new(&[STOCK, CREDIT, SHIPPING]);

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// Why the order is refused, as codes; none where it is approved.
    pub reasons: Vec<String>,
    /// How it would be shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Shipping>,
}

/// How an order would be shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shipping {
    /// By parcel, or by freight.
    pub method: Method,
    /// How many parcels or pallets.
    pub packages: u64,
    /// How many days it takes at most.
    pub days: u8,
}

/// What an order goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By post.
    Parcel,
    /// On pallets.
    Freight,
}

/// What the checks have decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All approve; so it would be shipped.
    Approved(Option<Shipping>),
    /// For these reasons, all of them, in the order of the checks.
    Refused(Vec<String>),
    /// These checks are missing: it cannot be decided.
    Incomplete(Vec<&'static str>),
}

/// Pieces that one parcel holds, and parcels up to which an order goes by post.
const PIECES_PER_PARCEL: u64 = 10;
const MOST_PARCELS: u64 = 20;
/// Pieces that one pallet holds.
const PIECES_PER_PALLET: u64 = 200;

/// The highest total that a customer may order for, in whatever currency.
#[must_use]
pub fn credit_limit(customer: Option<&Customer>) -> Decimal {
    match customer.and_then(|customer| customer.tier.as_deref()) {
        Some("gold") => Decimal::from(1_000_000),
        Some("silver") => Decimal::from(100_000),
        // A customer of whom nothing is known is one like most.
        _ => Decimal::from(10_000),
    }
}

/// Whether the customer may order for so much.
#[must_use]
pub fn credit(order: &OrderPlaced, customer: Option<&Customer>) -> Finding {
    let within = order.total_amount.amount() <= credit_limit(customer);
    finding(CREDIT, (!within).then_some(reason::CREDIT_EXCEEDED))
}

/// Whether there is enough of everything, as far as is known; `available` says how much there is of a product.
///
/// # Errors
/// Those of `available`.
pub fn stock<E>(
    wanted: &[Quantity],
    mut available: impl FnMut(&str) -> Result<i64, E>,
) -> Result<Finding, E> {
    let mut short = false;
    for item in wanted {
        short |= available(&item.product_id)? < i64::from(item.quantity);
    }
    Ok(finding(STOCK, short.then_some(reason::OUT_OF_STOCK)))
}

/// Whether, and how, it can be shipped.
#[must_use]
pub fn shipping(order: &OrderPlaced) -> Finding {
    let address = match accept(order.shipping_address.as_ref()) {
        Ok(address) => address,
        Err(reason) => return finding(SHIPPING, Some(reason)),
    };
    let pieces: u64 = order.items.iter().map(|line| u64::from(line.quantity)).sum();
    let parcels = pieces.div_ceil(PIECES_PER_PARCEL);
    let near = address.country == "US" || address.country == "CA";
    let shipping = match parcels {
        0..=MOST_PARCELS => {
            Shipping { method: Method::Parcel, packages: parcels, days: if near { 3 } else { 7 } }
        }
        _ => Shipping {
            method: Method::Freight,
            packages: pieces.div_ceil(PIECES_PER_PALLET),
            days: if near { 7 } else { 21 },
        },
    };
    Finding { shipping: Some(shipping), ..finding(SHIPPING, None) }
}

/// Joins what was found: every check must have been made, and all must approve.
#[must_use]
pub fn decide(findings: &[Finding]) -> Decision {
    let made: BTreeSet<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    let missing: Vec<_> = CHECKS.missing(|check| made.contains(check)).collect();
    if !missing.is_empty() {
        return Decision::Incomplete(missing);
    }
    let reasons: Vec<_> = findings.iter().flat_map(|finding| finding.reasons.clone()).collect();
    if !reasons.is_empty() {
        return Decision::Refused(reasons);
    }
    Decision::Approved(findings.iter().find_map(|finding| finding.shipping.clone()))
}

fn finding(check: &str, refused: Option<&str>) -> Finding {
    let reasons = refused.into_iter().map(ToOwned::to_owned).collect();
    Finding { check: check.to_owned(), reasons, shipping: None }
}
