//! Mistakes made on purpose, one at a time: a simulation that does not notice them proves nothing.
//!
//! They are made on the wire, between a function and the cloud, so that what is deployed holds no trace of them: a
//! request without its condition is what a step without its guard would send.

use eda::snapshot::Snapshotted as _;
use serde_json::{Value, json};
use shop::order::OrderView;
use simulation_cli::Planted;

/// What was changed about a request, so that its answer can be made to fit.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// Position of the action that was taken out of a transaction.
    dropped: Option<usize>,
    /// The answer is a lie: this row refused.
    pretend: bool,
}

/// Makes the mistake in a request of this function.
#[must_use]
pub fn request(planted: Planted, caller: &str, operation: &str, body: &mut Value, now: i64) -> Rewritten {
    let mut rewritten = Rewritten::default();
    match (planted, caller, operation) {
        (Planted::Unguarded, "reserve-inventory", "TransactWriteItems")
        | (Planted::ReleaseTwice, "release-inventory", "TransactWriteItems")
        | (Planted::UnguardedJoin, "aggregate-steps", "TransactWriteItems")
        | (Planted::ChargeWithoutPending, "process-payment", "TransactWriteItems") => strip_guard(body),
        (Planted::ImportForgets, "import-orders", "PutItem") => {
            if let Some(unsaid) = body.pointer_mut("/Item/unsaid/S") {
                *unsaid = json!("");
            }
        }
        (Planted::UnguardedView, "project-orders", "PutItem") => strip_condition(body),
        (Planted::UnfencedCompletion, "send-receipt", "UpdateItem") => strip_condition(body),
        (Planted::CountedTwice, "aggregate-sales", "TransactWriteItems") => {
            strip_conditions(body, "SalesFactsTable");
        }
        (Planted::StartWithoutName, _, "StartExecution") => {
            if let Some(fields) = body.as_object_mut() {
                fields.remove("name");
            }
        }
        (Planted::TwoProbers, _, "TransactWriteItems") if elects(body) => strip_guard(body),
        (Planted::NeverHalfOpen, _, "TransactWriteItems") => wait_for_ever(body),
        (Planted::NoPivot, "expire-orders", "TransactWriteItems")
            if guard_of(body).is_some_and(|guard| guard.get("Put").is_some()) =>
        {
            rewritten.dropped = drop_action(body, 0);
        }
        (Planted::UndoByLookup, "refund-payment", "UpdateItem") => {
            // Only a charge that is recorded is undone; the row is looked at and not marked otherwise.
            if let Some(fields) = body.as_object_mut() {
                look_up(fields);
            }
            rewritten.pretend = true;
        }
        (Planted::UndoByLookup, "refund-payment", "TransactWriteItems") if !mentions(body, "undoing") => {
            rewritten.dropped = drop_action(body, 0);
        }
        (Planted::SilentCompensation, "refund-payment" | "release-inventory", "TransactWriteItems") => {
            let undoes = mentions(body, "undoing") || mentions(body, "reserved");
            if !undoes {
                let last = body.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
                rewritten.dropped = drop_action(body, last.saturating_sub(1));
            }
        }
        (Planted::ExpiringRows, _, _) => expire_soon(body, now),
        _ => {}
    }
    rewritten
}

/// Makes the mistake in an answer to this function, or makes the answer fit the request as it was sent.
#[must_use]
pub fn answer(
    planted: Planted,
    caller: &str,
    operation: &str,
    status: u16,
    answer: String,
    rewritten: &Rewritten,
) -> (u16, String) {
    let parsed = || serde_json::from_str::<Value>(&answer).unwrap_or_default();
    match (planted, caller, operation) {
        (Planted::IgnoresFailed, "relay-outbox", "PutEvents") => {
            let entries = parsed().get("Entries").and_then(Value::as_array).map_or(0, Vec::len);
            let taken: Vec<_> = (0..entries).map(|_| json!({ "EventId": "taken" })).collect();
            (status, json!({ "FailedEntryCount": 0, "Entries": taken }).to_string())
        }
        (Planted::NoPagination, "project-orders" | "get-order", "Query") => {
            let mut page = parsed();
            if let Some(fields) = page.as_object_mut() {
                fields.remove("LastEvaluatedKey");
            }
            (status, page.to_string())
        }
        (Planted::NoReconciliation, "reconcile-views", "Scan") if status == 200 => {
            (status, json!({ "Items": [], "Count": 0, "ScannedCount": 0 }).to_string())
        }
        (Planted::OldSnapshotRead, _, "GetItem") => {
            let mut row = parsed();
            if let Some(schema) = row.pointer_mut("/Item/schema/N") {
                *schema = json!(OrderView::SCHEMA.to_string());
            }
            (status, row.to_string())
        }
        (Planted::RebuildLosesArrivals, "project-orders", "GetItem") => {
            let mut row = parsed();
            if let Some(fields) = row.get_mut("Item").and_then(Value::as_object_mut) {
                fields.remove("build");
            }
            (status, row.to_string())
        }
        _ if rewritten.pretend && status == 400 => {
            let mut refused = parsed();
            // What was not charged reads as undone: there is nothing left to do but to say so.
            if let Some(status) = refused.pointer_mut("/Item/status/S") {
                *status = json!("undone");
            } else if let Some(fields) = refused.as_object_mut() {
                let row = json!({
                    "orderId": { "S": "?" }, "status": { "S": "undone" }, "expiresAt": { "N": "0" },
                });
                fields.insert("Item".to_owned(), row);
            }
            (status, refused.to_string())
        }
        _ => match rewritten.dropped {
            Some(position) if status == 400 => {
                let mut cancelled = parsed();
                let reasons = cancelled.get_mut("CancellationReasons").and_then(Value::as_array_mut);
                if let Some(reasons) = reasons {
                    reasons.insert(position.min(reasons.len()), json!({ "Code": "None" }));
                }
                (status, cancelled.to_string())
            }
            _ => (status, answer),
        },
    }
}

fn guard_of(body: &Value) -> Option<&Value> {
    body.get("TransactItems").and_then(Value::as_array)?.first()
}

/// Whether a transaction elects a prober.
fn elects(body: &Value) -> bool {
    let update = guard_of(body).and_then(|guard| guard.get("Update"));
    update.is_some_and(|update| {
        update.get("TableName").is_some_and(|table| table == "CircuitsTable")
            && update
                .get("UpdateExpression")
                .and_then(Value::as_str)
                .is_some_and(|set| set.contains("#prober = "))
    })
}

/// The time until which an opened circuit stays so is never.
fn wait_for_ever(body: &mut Value) {
    let opened = body.pointer_mut("/TransactItems/0/Put/Item");
    if let Some(item) = opened.filter(|item| item.get("trips").is_some())
        && let Some(until) = item.get_mut("until")
    {
        *until = json!({ "N": "9000000000000" });
    }
}

/// Takes the condition off the first action of a transaction.
fn strip_guard(body: &mut Value) {
    let first =
        body.get_mut("TransactItems").and_then(Value::as_array_mut).and_then(|items| items.first_mut());
    let Some(action) = first.and_then(Value::as_object_mut).and_then(|verbs| verbs.values_mut().next())
    else {
        return;
    };
    strip_condition(action);
}

/// Takes the conditions off all writes to a table.
fn strip_conditions(body: &mut Value, table: &str) {
    let actions = body.get_mut("TransactItems").and_then(Value::as_array_mut).into_iter().flatten();
    for write in actions.filter_map(|action| action.as_object_mut()?.values_mut().next()) {
        if write.get("TableName").is_some_and(|name| name == table) {
            if let Some(fields) = write.as_object_mut() {
                fields.remove("ReturnValuesOnConditionCheckFailure");
            }
            strip_condition(write);
        }
    }
}

/// Takes the condition off a write, and the names and values that only it used: DynamoDB refuses unused ones.
fn strip_condition(write: &mut Value) {
    let Some(fields) = write.as_object_mut() else { return };
    fields.remove("ConditionExpression");
    let update = fields.get("UpdateExpression").and_then(Value::as_str).unwrap_or_default().to_owned();
    prune(fields, &update);
}

/// Keeps the names and values that an expression uses.
fn prune(fields: &mut serde_json::Map<String, Value>, expressions: &str) {
    let used = |name: &str| {
        expressions.match_indices(name).any(|(at, _)| {
            let rest = expressions.get(at + name.len()..).unwrap_or_default();
            !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
        })
    };
    for kind in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let empty = match fields.get_mut(kind).and_then(Value::as_object_mut) {
            Some(entries) => {
                entries.retain(|name, _| used(name));
                entries.is_empty()
            }
            None => false,
        };
        if empty {
            fields.remove(kind);
        }
    }
}

/// Turns the step to `undoing` into a look at the row: it holds for a recorded charge only.
fn look_up(fields: &mut serde_json::Map<String, Value>) {
    let values = fields.get("ExpressionAttributeValues").and_then(Value::as_object);
    let charged = values.into_iter().flatten().find(|(_, value)| value.get("S") == Some(&json!("charged")));
    let undoing = values.into_iter().flatten().find(|(_, value)| value.get("S") == Some(&json!("undoing")));
    let names = fields.get("ExpressionAttributeNames").and_then(Value::as_object);
    let status = names.into_iter().flatten().find(|(_, name)| **name == json!("status"));
    let (Some((charged, _)), Some((undoing, _)), Some((status, _))) = (charged, undoing, status) else {
        return;
    };
    let condition = format!("{status} IN ({charged}, {undoing})");
    let update = fields.get("UpdateExpression").and_then(Value::as_str).unwrap_or_default();
    let expressions = format!("{update} {condition}");
    fields.insert("ConditionExpression".to_owned(), json!(condition));
    prune(fields, &expressions);
}

/// Takes an action out of a transaction.
fn drop_action(body: &mut Value, position: usize) -> Option<usize> {
    let actions = body.get_mut("TransactItems").and_then(Value::as_array_mut)?;
    (position < actions.len() && actions.len() > 1).then(|| {
        actions.remove(position);
        position
    })
}

/// Whether the guard's condition asks for a state.
fn mentions(body: &Value, state: &str) -> bool {
    let verbs = guard_of(body).and_then(Value::as_object);
    verbs.into_iter().flatten().any(|(_, action)| {
        let condition = action.get("ConditionExpression").and_then(Value::as_str).unwrap_or_default();
        let values = action.get("ExpressionAttributeValues").and_then(Value::as_object);
        values
            .into_iter()
            .flatten()
            .any(|(name, value)| value.get("S") == Some(&json!(state)) && condition.contains(name.as_str()))
    })
}

/// Far expiries become near ones.
fn expire_soon(body: &mut Value, now: i64) {
    match body {
        Value::Object(fields) => {
            if let Some(expires) = fields.get_mut("expiresAt") {
                *expires = json!({ "N": (now + 300).to_string() });
            }
            fields.values_mut().for_each(|value| expire_soon(value, now));
            let far = fields.get("N").and_then(Value::as_str).and_then(|number| number.parse::<i64>().ok());
            // Epoch seconds more than a year ahead: nothing else looks like it.
            if far.is_some_and(|number| (now + 31_000_000..now + 40_000_000).contains(&number)) {
                fields.insert("N".to_owned(), json!((now + 300).to_string()));
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| expire_soon(element, now)),
        _ => {}
    }
}

/// Makes the mistake in the definition of a state machine.
pub fn define(planted: Planted, definition: &mut Value) {
    // What Close answers where an order has not shipped, made without asking the pivot.
    let expired = json!({
        "source": "orders", "detail-type": "OrderExpired", "time.$": "$$.Execution.Input.time",
        "detail": {
            "version": "1.0", "reason": "step_failed",
            "orderId.$": "$$.Execution.Input.detail.orderId",
            "customerId.$": "$$.Execution.Input.detail.customerId",
            "metadata.$": "$$.Execution.Input.detail.metadata",
        },
    });
    let undo = json!({ "Type": "Pass", "Parameters": expired, "Next": "Refund" });
    let Some(states) = definition.get_mut("States").and_then(Value::as_object_mut) else { return };
    match planted {
        Planted::CatchWithoutClose => {
            states.insert("Close".to_owned(), undo);
            states.remove("Closed");
        }
        Planted::AlwaysRefunds => {
            states.insert("Closed".to_owned(), undo);
        }
        _ => {}
    }
}
