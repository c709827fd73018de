//! Writes as data: which item, which changes, under which condition.
//!
//! A write is built without a client, so the domain owns its expressions; and it can be read as well as sent, so
//! the same value that DynamoDB executes can be executed by a model.

use std::collections::HashMap;
use std::marker::PhantomData;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::row::{IntoValue, Item, Row};
use crate::step::{Standing, State, Step};

/// What is done to the item.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Replace the whole item.
    Put(Item),
    /// Change some attributes.
    Update {
        /// Primary key.
        key: Item,
        /// The changes, one per attribute.
        changes: Vec<Change>,
    },
}

/// A change of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Set it to the value.
    Set(String, AttributeValue),
    /// Set it to the value, where it does not exist.
    SetOnce(String, AttributeValue),
    /// Add to the number it holds (absent counts as 0), or the elements to the set it holds.
    Add(String, AttributeValue),
    /// Remove it.
    Remove(String),
}

/// A condition on the item as it is before the write. An absent item has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute does not exist.
    Absent(String),
    /// The attribute exists.
    Present(String),
    /// The attribute equals the value.
    Equals(String, AttributeValue),
    /// The attribute is at least the value.
    AtLeast(String, AttributeValue),
    /// The attribute is at most the value.
    AtMost(String, AttributeValue),
    /// The set in the attribute contains the string. False where the attribute is absent.
    Contains(String, AttributeValue),
    /// The condition does not hold.
    Not(Box<Condition>),
    /// All hold.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
}

impl Condition {
    /// The attribute does not exist.
    pub fn absent(attribute: impl Into<String>) -> Self {
        Self::Absent(attribute.into())
    }

    /// The attribute exists.
    pub fn present(attribute: impl Into<String>) -> Self {
        Self::Present(attribute.into())
    }

    /// The attribute equals `value`.
    pub fn equals(attribute: impl Into<String>, value: impl IntoValue) -> Self {
        Self::Equals(attribute.into(), value.into_value())
    }

    /// The attribute is at least `value`.
    pub fn at_least(attribute: impl Into<String>, value: impl IntoValue) -> Self {
        Self::AtLeast(attribute.into(), value.into_value())
    }

    /// The attribute is at most `value`.
    pub fn at_most(attribute: impl Into<String>, value: impl IntoValue) -> Self {
        Self::AtMost(attribute.into(), value.into_value())
    }

    /// The string set in the attribute contains `value`.
    pub fn contains(attribute: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Contains(attribute.into(), AttributeValue::S(value.into()))
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Condition) -> Self {
        Self::All(vec![self, other])
    }
}

/// A write without a condition. Sent only as part of a transition whose guard makes it safe.
#[derive(Debug)]
pub struct Write<R> {
    pub(crate) table: String,
    pub(crate) action: Action,
    row: PhantomData<fn() -> R>,
}

impl<R> Write<R> {
    pub(crate) fn new(table: &str, action: Action) -> Self {
        Self { table: table.to_owned(), action, row: PhantomData }
    }

    fn change(mut self, change: Change) -> Self {
        match &mut self.action {
            Action::Update { changes, .. } => changes.push(change),
            Action::Put(item) => match change {
                Change::Set(name, value) | Change::Add(name, value) => {
                    item.insert(name, value);
                }
                Change::SetOnce(name, value) => {
                    item.entry(name).or_insert(value);
                }
                Change::Remove(name) => {
                    item.remove(&name);
                }
            },
        }
        self
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(self, attribute: &str, value: impl IntoValue) -> Self {
        self.change(Change::Set(attribute.to_owned(), value.into_value()))
    }

    /// Sets an attribute that does not exist; one that does stays as it is.
    #[must_use]
    pub fn set_once(self, attribute: &str, value: impl IntoValue) -> Self {
        self.change(Change::SetOnce(attribute.to_owned(), value.into_value()))
    }

    /// Adds to the number in an attribute; absent counts as 0.
    #[must_use]
    pub fn add(self, attribute: &str, by: i64) -> Self {
        self.change(Change::Add(attribute.to_owned(), by.into_value()))
    }

    /// Adds an element to the string set in an attribute.
    #[must_use]
    pub fn add_to_set(self, attribute: &str, element: impl Into<String>) -> Self {
        self.change(Change::Add(attribute.to_owned(), AttributeValue::Ss(vec![element.into()])))
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(self, attribute: &str) -> Self {
        self.change(Change::Remove(attribute.to_owned()))
    }

    /// Makes it conditional.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> ConditionalWrite<R> {
        ConditionalWrite { write: self, condition }
    }
}

impl<R: Row> Write<R> {
    /// Only if there is no such row.
    #[must_use]
    pub fn if_absent(self) -> ConditionalWrite<R> {
        self.only_if(Condition::absent(R::PARTITION_KEY))
    }

    /// Only if the row stands where the step may start; sets the attribute `status` to where it ends.
    #[must_use]
    pub fn step<S: State>(self, step: Step<S>) -> ConditionalWrite<R> {
        let condition = step.condition(R::PARTITION_KEY);
        self.set(STATUS, step.to().name()).only_if(condition)
    }

    /// Only if the row stands in one of these states; the state stays.
    #[must_use]
    pub fn standing<S: State>(self, from: &[Standing<S>]) -> ConditionalWrite<R> {
        self.only_if(crate::step::condition(from, R::PARTITION_KEY))
    }
}

/// Name of the attribute that holds a row's state.
pub const STATUS: &str = "status";

/// A write that happens only if its condition holds.
#[derive(Debug)]
pub struct ConditionalWrite<R> {
    pub(crate) write: Write<R>,
    pub(crate) condition: Condition,
}

impl<R> ConditionalWrite<R> {
    /// Requires one condition more.
    #[must_use]
    pub fn and(self, condition: Condition) -> Self {
        Self { write: self.write, condition: self.condition.and(condition) }
    }

    /// The table's physical name, the action and the condition, for whoever executes them.
    #[must_use]
    pub fn parts(&self) -> (&str, &Action, &Condition) {
        (&self.write.table, &self.write.action, &self.condition)
    }
}

/// Expressions of a write, with their placeholders.
#[derive(Default)]
pub(crate) struct Expressions {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expressions {
    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.entry(placeholder.clone()).or_insert_with(|| attribute.to_owned());
        placeholder
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value.clone());
        placeholder
    }

    pub(crate) fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Absent(attribute) => format!("attribute_not_exists({})", self.name(attribute)),
            Condition::Present(attribute) => format!("attribute_exists({})", self.name(attribute)),
            Condition::Equals(attribute, value) => self.comparison(attribute, "=", value),
            Condition::AtLeast(attribute, value) => self.comparison(attribute, ">=", value),
            Condition::AtMost(attribute, value) => self.comparison(attribute, "<=", value),
            Condition::Contains(attribute, value) => {
                format!("contains({}, {})", self.name(attribute), self.value(value))
            }
            Condition::Not(inner) => format!("(NOT {})", self.condition(inner)),
            Condition::All(inner) => self.joined(inner, " AND "),
            Condition::Any(inner) => self.joined(inner, " OR "),
        }
    }

    fn comparison(&mut self, attribute: &str, operator: &str, value: &AttributeValue) -> String {
        format!("{} {operator} {}", self.name(attribute), self.value(value))
    }

    fn joined(&mut self, conditions: &[Condition], operator: &str) -> String {
        // DynamoDB refuses redundant parentheses, which one condition alone would bring about another's.
        if let [only] = conditions {
            return self.condition(only);
        }
        let parts: Vec<_> = conditions.iter().map(|condition| self.condition(condition)).collect();
        format!("({})", parts.join(operator))
    }

    pub(crate) fn update(&mut self, changes: &[Change]) -> String {
        let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Set(attribute, value) => {
                    set.push(format!("{} = {}", self.name(attribute), self.value(value)));
                }
                Change::SetOnce(attribute, value) => {
                    let name = self.name(attribute);
                    set.push(format!("{name} = if_not_exists({name}, {})", self.value(value)));
                }
                Change::Add(attribute, value) => {
                    add.push(format!("{} {}", self.name(attribute), self.value(value)));
                }
                Change::Remove(attribute) => remove.push(self.name(attribute)),
            }
        }
        let clauses = [("SET", set), ("ADD", add), ("REMOVE", remove)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
