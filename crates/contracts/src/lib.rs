//! The contracts as files, made from the Rust types, and what must hold between them.
//!
//! | file | what it is | changes |
//! |---|---|---|
//! | `crates/shop/schemas/SOURCE/TYPE-VERSION.json` | JSON Schema (2020-12) of one version of one event | never |
//! | `crates/shop/schemas/published.lock` | SHA-256 of each of them | grows |
//! | `template.yaml`, between two marks | the same schemas for the EventBridge schema registry | grows |
//! | `crates/shop/openapi.json` | the HTTP API (OpenAPI 3.1) | with the API |

pub mod check;
pub mod damage;
pub mod draft4;
pub mod files;
pub mod openapi;
pub mod registry;
pub mod sample;
mod schema;
mod usage;

use std::fmt;

/// Something about a contract that must not be so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The event and its version, or a file.
    pub contract: String,
    /// The field, as a path such as `items[].price`; empty where it is about the whole.
    pub field: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Finding {
    pub(crate) fn new(
        contract: impl Into<String>,
        field: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self { contract: contract.into(), field: field.into(), reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contract, field, reason } = self;
        if field.is_empty() {
            write!(f, "{contract}: {reason}")
        } else {
            write!(f, "{contract}: {field}: {reason}")
        }
    }
}
