use crate::event::Emission;
use crate::event_store::{Head, start};
use crate::row::Table;
use crate::write::Action;

use super::TestCloud;

#[allow(clippy::expect_used, reason = "a test fails by panicking")]
impl TestCloud {
    /// Puts an aggregate with these events into the event store of this logical id; they were published long ago.
    pub fn put_aggregate<H: Head>(&self, table: &str, aggregate_id: &str, head: &H, events: &[Emission]) {
        let history = start(&Table::named(table), aggregate_id, head, events).expect("an aggregate");
        let writes = [history.guard.write.action].into_iter();
        for action in writes.chain(history.writes.into_iter().map(|write| write.action)) {
            if let Action::Put(item) = action {
                self.put_item(table, item);
            }
        }
    }
}
