//! Rows: one Rust type per kind of row, keys built in one place per table.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::write::{Action, Write};

/// A DynamoDB item: attribute name → value.
pub type Item = HashMap<String, AttributeValue>;

/// A kind of row. Its attributes are the type's serialised fields.
pub trait Row: Serialize + DeserializeOwned {
    /// What it is called in errors, e.g. `"reservation"`.
    const NAME: &'static str;
    /// Name of the partition key: the attribute whose absence means that there is no such row.
    const PARTITION_KEY: &'static str;
}

/// The primary key of a row of kind `R`.
#[derive(Clone, Debug, PartialEq)]
pub struct Key<R> {
    pub(crate) attributes: Item,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Key<R> {
    /// A key of a partition key alone.
    #[must_use]
    pub fn of(partition: impl Into<String>) -> Self {
        let attributes = HashMap::from([(R::PARTITION_KEY.to_owned(), AttributeValue::S(partition.into()))]);
        Self { attributes, row: PhantomData }
    }

    /// Adds the sort key.
    #[must_use]
    pub fn sorted_by(mut self, name: &str, value: impl IntoValue) -> Self {
        self.attributes.insert(name.to_owned(), value.into_value());
        self
    }
}

/// A table that holds rows of kind `R`, by its physical name. Read from the environment.
pub struct Table<R> {
    name: String,
    row: PhantomData<fn() -> R>,
}

impl<R> Table<R> {
    /// The table of this physical name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), row: PhantomData }
    }

    /// The physical name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same table, seen as holding another kind of row.
    #[must_use]
    pub fn holding<Other>(&self) -> Table<Other> {
        Table::named(self.name.clone())
    }
}

impl<R: Row> Table<R> {
    /// Writes the whole row.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented as an item.
    pub fn put(&self, row: &R) -> Result<Write<R>, Failure> {
        Ok(Write::new(&self.name, Action::Put(to_item(row)?)))
    }

    /// Changes attributes of the row, creating it where it is absent.
    #[must_use]
    pub fn update(&self, key: Key<R>) -> Write<R> {
        Write::new(&self.name, Action::Update { key: key.attributes, changes: Vec::new() })
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self::named(self.name.clone())
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

impl<R> FromStr for Table<R> {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::named(name))
    }
}

/// A value that an attribute can hold.
pub trait IntoValue {
    /// The DynamoDB form.
    fn into_value(self) -> AttributeValue;
}

impl IntoValue for AttributeValue {
    fn into_value(self) -> AttributeValue {
        self
    }
}

impl IntoValue for &str {
    fn into_value(self) -> AttributeValue {
        AttributeValue::S(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> AttributeValue {
        AttributeValue::S(self)
    }
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl IntoValue for $number {
            fn into_value(self) -> AttributeValue {
                AttributeValue::N(self.to_string())
            }
        }
    )*};
}
number!(i64, u64, u32);

/// The row as an item.
///
/// # Errors
/// [`Failure`] (permanent) where the row cannot be represented.
pub fn to_item<R: Row>(row: &R) -> Result<Item, Failure> {
    serde_dynamo::to_item(row)
        .map_err(|error| Failure::permanent(format!("{} does not fit an item", R::NAME)).because(error))
}

/// The item as a row.
///
/// # Errors
/// [`Failure`] (permanent) where the item is not such a row: a bug or a hand-edited table.
pub fn from_item<R: Row>(item: Item) -> Result<R, Failure> {
    serde_dynamo::from_item(item)
        .map_err(|error| Failure::permanent(format!("stored {} is unreadable", R::NAME)).because(error))
}
