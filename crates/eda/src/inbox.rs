//! Inbox: the guard of last resort, for a consumer whose work has no row whose identity already says that it was done.
//!
//! Costs two write units per event; a business row that guards costs none.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Failure;
use crate::ambient::Ambient;
use crate::row::{Row, Table};
use crate::write::{Condition, ConditionalWrite};

/// An event that a consumer has applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxRow {
    /// `{consumer}#{eventId}`.
    pub inbox_id: String,
    /// Epoch seconds after which it no longer counts, though DynamoDB may delete it days later.
    pub expires_at: i64,
}

impl Row for InboxRow {
    const NAME: &'static str = "inbox row";
    const PARTITION_KEY: &'static str = "inboxId";
}

/// The guard: holds if this consumer has not applied this event within the last `days`.
///
/// # Errors
/// [`Failure`] (permanent) where the row cannot be represented.
pub fn guard(
    table: &Table<InboxRow>,
    consumer: &str,
    event_id: Uuid,
    ambient: &Ambient,
    days: i64,
) -> Result<ConditionalWrite<InboxRow>, Failure> {
    let row =
        InboxRow { inbox_id: format!("{consumer}#{event_id}"), expires_at: ambient.expires_in_days(days) };
    let expired = Condition::at_most("expiresAt", ambient.now().as_second());
    Ok(table.put(&row)?.only_if(Condition::Any(vec![Condition::absent("inboxId"), expired])))
}
