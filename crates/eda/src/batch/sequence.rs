//! Groups of an ordered queue that are held up by a parked message.

use aws_lambda_events::sqs::SqsMessage;
use envconfig::Envconfig;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::ambient::Ambient;
use crate::row::{Key, Row, Table};
use crate::rows::Rows;
use crate::transition::Written;
use crate::write::Condition;

/// The attribute by which a retry of a parked message tells its place in its group.
pub const PLACE: &str = "heldAs";

/// The attribute of a message that only says: the one in this place will not come.
pub const GIVEN_UP: &str = "givenUp";

/// How long a group that nobody cares for is held, in days: as long as a failed message is kept at most, and more.
const KEEP_DAYS: i64 = 395;

/// Where held groups are noted.
#[derive(Clone, Debug, Envconfig)]
pub struct SequencesConfig {
    /// One row per group that is held up, or was.
    #[envconfig(from = "HELD_GROUPS_TABLE")]
    pub table: Table<HeldGroup>,
}

/// The parked messages of a group, in their order: what comes after them is parked behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldGroup {
    /// The function, and the group as the queue names it.
    pub group_id: String,
    /// The parked messages, the first one first.
    pub waiting: Vec<String>,
    /// Counts the changes: each is made to the version that was read.
    pub revision: u64,
    /// Epoch seconds after which the row may go.
    pub expires_at: i64,
}

impl Row for HeldGroup {
    const NAME: &'static str = "held group";
    const PARTITION_KEY: &'static str = "groupId";
}

/// Keeps the order of groups past their parked messages.
#[derive(Clone)]
pub(super) struct Sequences {
    rows: Rows,
    table: Table<HeldGroup>,
    ambient: Ambient,
}

impl Sequences {
    pub(super) fn new(dynamodb: aws_sdk_dynamodb::Client, config: SequencesConfig, ambient: Ambient) -> Self {
        Self { rows: Rows::new(dynamodb), table: config.table, ambient }
    }

    /// A group as it stands: one strongly consistent read.
    pub(super) async fn of(&self, function: &str, group: &str) -> Result<HeldGroup, Failure> {
        let group_id = [function, "#", group].concat();
        let found = self.rows.read(&self.table, Key::of(&group_id)).await?;
        Ok(found.unwrap_or(HeldGroup { group_id, waiting: Vec::new(), revision: 0, expires_at: 0 }))
    }

    /// Notes that a message is parked, behind those that are already.
    pub(super) async fn hold(&self, group: &mut HeldGroup, place: &str) -> Result<(), Failure> {
        if group.waiting.iter().any(|waiting| waiting == place) {
            return Ok(());
        }
        let mut waiting = group.waiting.clone();
        waiting.push(place.to_owned());
        self.write(group, waiting).await
    }

    /// Notes that a parked message is done, or will not come.
    pub(super) async fn release(&self, group: &mut HeldGroup, place: &str) -> Result<(), Failure> {
        let left: Vec<_> = group.waiting.iter().filter(|waiting| *waiting != place).cloned().collect();
        if left.len() == group.waiting.len() {
            return Ok(());
        }
        self.write(group, left).await
    }

    async fn write(&self, group: &mut HeldGroup, waiting: Vec<String>) -> Result<(), Failure> {
        let next = HeldGroup {
            group_id: group.group_id.clone(),
            waiting,
            revision: group.revision + 1,
            expires_at: self.ambient.expires_in_days(KEEP_DAYS),
        };
        let unchanged = match group.revision {
            0 => Condition::absent(HeldGroup::PARTITION_KEY),
            revision => Condition::equals("revision", revision),
        };
        match self.rows.write(self.table.put(&next)?.only_if(unchanged)).await? {
            Written::Applied(_) => {
                *group = next;
                Ok(())
            }
            Written::Refused(_) => Err(Failure::transient("somebody else is at work on the group")),
        }
    }
}

/// The place that a retry of a parked message claims.
pub(super) fn place_of(message: &SqsMessage) -> Option<&str> {
    text(message, PLACE)
}

/// Whether the message says no more than that the one in its place will not come.
pub(super) fn is_given_up(message: &SqsMessage) -> bool {
    text(message, GIVEN_UP).is_some()
}

fn text<'a>(message: &'a SqsMessage, name: &str) -> Option<&'a str> {
    message.message_attributes.get(name)?.string_value.as_deref().filter(|value| !value.is_empty())
}
