//! Releases side by side: orders that an earlier one places, and snapshots that it left.

use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};

use crate::world::World;

/// Which release places an order. Earlier ones know one version of `OrderPlaced`, which has no currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Today's.
    Today,
    /// It says that its events are of version 1.0.
    Numbered,
    /// It says nothing of versions.
    Unnumbered,
    /// Its total has another name.
    Renamed,
}

impl World {
    /// A placed order's event is stored and announced as the release has it that places it, each time it is asked to.
    pub(crate) fn place_as_its_release_does(&mut self, body: &mut Value) {
        let Some(actions) = body.get_mut("TransactItems").and_then(Value::as_array_mut) else { return };
        let details = actions.iter_mut().filter_map(|action| action.pointer_mut("/Put/Item/detail/S"));
        for text in details {
            let Some(mut detail) = text.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok())
            else {
                continue;
            };
            let order = detail.get("orderId").and_then(Value::as_str).unwrap_or_default().to_owned();
            let release = self.release_of(order);
            if release != Release::Today {
                put_back(&mut detail, release, self.options.planted == Some(Planted::NoUpcasting));
                *text = json!(detail.to_string());
            }
        }
    }

    fn release_of(&mut self, order: String) -> Release {
        if let Some(release) = self.releases.get(&order) {
            return *release;
        }
        let release = match self.strike(Kind::OldProducer) {
            true => [Release::Numbered, Release::Unnumbered, Release::Renamed][self.faults.rng().usize(0..3)],
            false => Release::Today,
        };
        self.releases.insert(order, release);
        release
    }

    /// A snapshot was written: it may be lost, or another may stand in its place that an earlier release wrote. That one
    /// counted in cents.
    pub(crate) fn spoil(&mut self, snapshot: &Value) {
        let Some(key) = snapshot.get("aggregateId").map(|id| json!({ "aggregateId": id })) else { return };
        if self.strike(Kind::LostSnapshot) {
            self.database.call("DeleteItem", &json!({ "TableName": "SnapshotsTable", "Key": key }));
        } else if self.strike(Kind::OldSnapshot) {
            let mut old = snapshot.clone();
            let state = snapshot.pointer("/state/S").and_then(Value::as_str).unwrap_or_default();
            let mut state: Value = serde_json::from_str(state).unwrap_or_default();
            if let Some(total) = state.get_mut("totalAmount") {
                *total = json!(total.as_f64().unwrap_or_default() * 100.0);
            }
            if let Some(fields) = old.as_object_mut() {
                fields.insert("state".to_owned(), json!({ "S": state.to_string() }));
                fields.insert("schema".to_owned(), json!({ "N": "0" }));
            }
            self.database.put("SnapshotsTable", &old);
        }
    }
}

/// Makes an event one of version 1.0. Whoever does not upcast reads it as one of 2.0.
fn put_back(detail: &mut Value, release: Release, misread: bool) {
    let Some(fields) = detail.as_object_mut() else { return };
    if fields.get("currency") != Some(&json!("USD")) {
        return;
    }
    fields.remove("currency");
    match release {
        _ if misread => {}
        Release::Unnumbered => {
            fields.remove("version");
        }
        _ => {
            fields.insert("version".to_owned(), json!("1.0"));
        }
    }
    if release == Release::Renamed
        && let Some(total) = fields.remove("totalAmount")
    {
        fields.insert("amount".to_owned(), total);
    }
}
