//! The toolkit against an in-process cloud, over a domain of doors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod breaker;
mod configuration;
mod dead_letters;
mod decoding;
mod event_store;
mod idempotency;
mod import;
mod interpret;
mod join;
mod orchestrator;
mod ordered;
mod queue;
mod rebuild;
mod reconciliation;
mod saga;
mod snapshot;
mod transition;
mod view;
mod window;

use eda::event::{Cause, Contract, Emission, First, SagaStyle, Version};
use eda::outbox::OutboxRow;
use eda::row::{Key, Row, Table};
use eda::spine::Spine;
use eda::step::Step;
use eda::testing::TestCloud;
use eda::testing::template::Template;
use serde::{Deserialize, Serialize};

/// A door was opened. Version 2.0 says how wide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    door_id: String,
    width: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenedV1 {
    door_id: String,
}

impl Version for OpenedV1 {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

impl Version for Opened {
    const VERSION: &'static str = "2.0";
    type Before = OpenedV1;
}

impl From<OpenedV1> for Opened {
    fn from(old: OpenedV1) -> Self {
        Self { door_id: old.door_id, width: 100 }
    }
}

impl Contract for Opened {
    const SOURCE: &'static str = "doors";
    const DETAIL_TYPE: &'static str = "Opened";

    fn ordering_key(&self) -> &str {
        &self.door_id
    }
}

/// A door was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Closed {
    door_id: String,
}

impl Version for Closed {
    const VERSION: &'static str = "1.0";
    type Before = First;
}

impl Contract for Closed {
    const SOURCE: &'static str = "doors";
    const DETAIL_TYPE: &'static str = "Closed";

    fn ordering_key(&self) -> &str {
        &self.door_id
    }
}

eda::states! {
    /// Where a door stands.
    enum Standing { Open = "open", Shut = "shut" }
}

const OPEN: Step<Standing> = Step::new(&[None, Some(Standing::Shut)], Standing::Open);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Door {
    id: String,
    status: Standing,
    #[serde(default)]
    visitors: i64,
}

impl Row for Door {
    const NAME: &'static str = "door";
    const PARTITION_KEY: &'static str = "id";
}

fn door(id: &str, status: Standing, visitors: i64) -> Door {
    Door { id: id.into(), status, visitors }
}

fn doors() -> Table<Door> {
    Table::named("DoorsTable")
}

fn stored(cloud: &TestCloud, id: &str) -> Option<Door> {
    cloud.get("DoorsTable", Key::of(id))
}

fn cloud() -> TestCloud {
    TestCloud::deployed_by(&Template::parse(include_str!("template.yaml")).unwrap(), "door")
}

fn spine(cloud: &TestCloud) -> Spine {
    Spine::new(cloud.aws().dynamodb(), Table::<OutboxRow>::named("OutboxTable"), cloud.ambient())
}

fn event<T: Contract>(cloud: &TestCloud, data: &T) -> Emission {
    Emission::new(&Cause::root(SagaStyle::Choreographed, None), data, &cloud.ambient()).unwrap()
}

fn opened(door_id: &str) -> Opened {
    Opened { door_id: door_id.into(), width: 80 }
}
