//! Executes writes without a database: what DynamoDB does to one item, as a pure function.
//!
//! A model checker runs the very conditions and changes that the handlers send. That this agrees with DynamoDB's
//! reading of the same expressions is itself under test (`tests/it/interpret.rs`).

use std::cmp::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use rust_decimal::Decimal;

use crate::row::Item;
use crate::write::{Action, Change, Condition};

/// Whether the condition holds on the item as it is; an absent item has no attributes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>
#[must_use]
pub fn holds(condition: &Condition, item: Option<&Item>) -> bool {
    let get = |name: &String| item.and_then(|item| item.get(name));
    let compared = |name: &String, value: &AttributeValue| get(name).and_then(|found| compare(found, value));
    match condition {
        Condition::Absent(name) => get(name).is_none(),
        Condition::Present(name) => get(name).is_some(),
        Condition::Equals(name, value) => get(name).is_some_and(|found| equal(found, value)),
        Condition::AtLeast(name, value) => compared(name, value).is_some_and(Ordering::is_ge),
        Condition::AtMost(name, value) => compared(name, value).is_some_and(Ordering::is_le),
        Condition::Contains(name, value) => match (get(name), value) {
            (Some(AttributeValue::Ss(set)), AttributeValue::S(element)) => set.contains(element),
            (Some(AttributeValue::S(text)), AttributeValue::S(part)) => text.contains(part),
            _ => false,
        },
        Condition::Not(inner) => !holds(inner, item),
        Condition::All(inner) => inner.iter().all(|condition| holds(condition, item)),
        Condition::Any(inner) => inner.iter().any(|condition| holds(condition, item)),
    }
}

/// The item after the action. `None` where DynamoDB refuses it as invalid: an addition to what is neither a number
/// nor a set of strings.
#[must_use]
pub fn applied(action: &Action, item: Option<&Item>) -> Option<Item> {
    let (key, changes) = match action {
        Action::Put(item) => return Some(item.clone()),
        Action::Update { key, changes } => (key, changes),
    };
    let mut after = item.unwrap_or(key).clone();
    for change in changes {
        match change {
            Change::Set(name, value) => {
                after.insert(name.clone(), value.clone());
            }
            Change::SetOnce(name, value) => {
                after.entry(name.clone()).or_insert_with(|| value.clone());
            }
            Change::Remove(name) => {
                after.remove(name);
            }
            Change::Add(name, value) => {
                let sum = sum(after.get(name), value)?;
                after.insert(name.clone(), sum);
            }
        }
    }
    Some(after)
}

fn number(value: &AttributeValue) -> Option<Decimal> {
    value.as_n().ok().and_then(|text| text.parse().ok())
}

fn sum(found: Option<&AttributeValue>, by: &AttributeValue) -> Option<AttributeValue> {
    match (found, by) {
        (None, AttributeValue::N(_) | AttributeValue::Ss(_)) => Some(by.clone()),
        (Some(AttributeValue::Ss(set)), AttributeValue::Ss(more)) => {
            let mut union: Vec<_> = set.iter().chain(more).cloned().collect();
            union.sort_unstable();
            union.dedup();
            Some(AttributeValue::Ss(union))
        }
        (Some(found), by) => {
            Some(AttributeValue::N((number(found)?.checked_add(number(by)?)?).normalize().to_string()))
        }
        _ => None,
    }
}

fn equal(left: &AttributeValue, right: &AttributeValue) -> bool {
    match (left, right) {
        (AttributeValue::N(_), AttributeValue::N(_)) => number(left) == number(right),
        (AttributeValue::Ss(left), AttributeValue::Ss(right)) => {
            left.len() == right.len() && left.iter().all(|element| right.contains(element))
        }
        _ => left == right,
    }
}

fn compare(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::N(_), AttributeValue::N(_)) => Some(number(left)?.cmp(&number(right)?)),
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => None,
    }
}
