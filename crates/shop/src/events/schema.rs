//! The contracts as JSON Schemas: every event in every version there ever was.

use eda::event::schema::detail;
use eda::event::{Contract, DecodeError, Event, Version, versions};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::*;
use crate::stock::Count;

/// One version of one event, and how it is read.
#[derive(Clone, Debug)]
pub struct Published {
    /// The bus's `source`.
    pub source: &'static str,
    /// The bus's `detail-type`.
    pub detail_type: &'static str,
    /// The version that this is.
    pub version: &'static str,
    /// All versions of the event that are read, oldest first.
    pub versions: Vec<&'static str>,
    /// The JSON Schema (2020-12) of the whole `detail`, made from the Rust type.
    pub schema: Value,
    /// Reads a `detail` of any version, as a consumer does.
    pub decode: fn(&str) -> Result<(), DecodeError>,
}

impl Published {
    /// Where its schema is committed, below the folder of schemas.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}-{}.json", self.source, self.detail_type, self.version)
    }
}

fn decode<T: Contract>(text: &str) -> Result<(), DecodeError> {
    Event::<T>::from_detail(text, Timestamp::UNIX_EPOCH).map(drop)
}

/// `V` is a version of the event whose newest is `T`.
fn version<T: Contract, V: Version + JsonSchema>() -> Published {
    Published {
        source: T::SOURCE,
        detail_type: T::DETAIL_TYPE,
        version: V::VERSION,
        versions: versions::<T>(),
        schema: detail::<V>(T::SOURCE, T::DETAIL_TYPE),
        decode: decode::<T>,
    }
}

macro_rules! published {
    ($($event:ident $(: $($older:ident),+)?);+ $(;)?) => {
        /// Every event in every version, oldest first.
        #[must_use]
        pub fn published() -> Vec<Published> {
            vec![$($($(version::<$event, $older>(),)+)? version::<$event, $event>()),+]
        }
    };
}

// An older version goes before its newest, after the colon.
published! {
    OrderPlaced: OrderPlacedV1;
    OrderConfirmed;
    OrderCancelled;
    OrderExpired;
    InventoryReserved;
    InventoryReservationFailed;
    InventoryReleased;
    PaymentProcessed;
    PaymentFailed;
    PaymentRefunded;
    OrderShipped;
    ShipmentFailed;
    AllStepsComplete;
    JoinTimedOut;
    MessageParked;
    OrderEnriched;
    StockUpdate;
    StockReorderRequested;
    CircuitStateChanged;
    SalesWindowClosed;
    SalesWindowCorrected;
}

/// `OrderPlaced` 1.0 has its total under either name, and not under both.
pub(super) fn total_amount_or_amount(schema: &mut Schema) {
    let schema = schema.ensure_object();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut)
        && let Some(total) = properties.get("totalAmount").cloned()
    {
        properties.insert("amount".to_owned(), total);
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "totalAmount");
    }
    let either = json!([{ "required": ["totalAmount"] }, { "required": ["amount"] }]);
    schema.insert("oneOf".to_owned(), either);
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_version_that_is_read_is_published_and_no_other() {
        for entry in CATALOGUE {
            let published = published();
            let of_event: Vec<_> =
                published.iter().filter(|one| one.detail_type == entry.detail_type).collect();
            let versions: Vec<_> = of_event.iter().map(|one| one.version).collect();
            assert!(of_event.iter().all(|one| one.versions == versions), "{}", entry.detail_type);
            assert_eq!(versions.last(), Some(&entry.version), "{}", entry.detail_type);
        }
        assert_eq!(
            published().iter().map(|one| one.detail_type).collect::<BTreeSet<_>>().len(),
            CATALOGUE.len()
        );
    }

    #[test]
    fn the_catalogue_names_the_fields_that_the_schema_has() {
        for entry in CATALOGUE {
            let published = published();
            let newest = published
                .iter()
                .find(|one| (one.detail_type, one.version) == (entry.detail_type, entry.version))
                .unwrap();
            let fields: BTreeSet<_> = newest.schema["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .filter(|name| !["version", "metadata"].contains(name))
                .collect();
            assert_eq!(fields, entry.fields.iter().copied().collect(), "{}", entry.detail_type);
        }
    }
}
