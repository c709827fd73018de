use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::collector::{BodyStore, CollectorConfig};
use super::fingerprint::Fingerprint;
use super::retry::Routes;
use super::row::{ARCHIVE, FailedMessage, FailureState, GROUP_INDEX, REPLACE};
use crate::Failure;
use crate::aws::Aws;
use crate::row::{Item, from_item};
use crate::rows::Rows;
use crate::spine::Spine;
use crate::transition::{Outcome, Transition, Written};

/// Where failures are kept: the collector's own configuration.
pub type DeskConfig = CollectorConfig;

/// Where somebody decides about failures.
#[derive(Clone)]
pub struct Desk {
    dynamodb: aws_sdk_dynamodb::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    rows: Rows,
    spine: Spine,
    store: BodyStore,
    config: DeskConfig,
}

/// Failures of one cause in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its fingerprint.
    pub group: Fingerprint,
    /// Where they failed.
    pub place: String,
    /// Why, without particulars.
    pub cause: String,
    /// How many stand where.
    pub failures: BTreeMap<String, u64>,
    /// Epoch milliseconds of the oldest failure that is still to be decided about.
    pub oldest_failed_at: i64,
    /// Epoch milliseconds of the newest failure.
    pub last_failed_at: i64,
}

/// Which failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this group.
    pub group: Option<String>,
    /// In this place.
    pub place: Option<String>,
    /// That stand so.
    pub status: Option<FailureState>,
    /// About events of this name.
    pub detail_type: Option<String>,
    /// Whose reason has this text in it.
    pub text: Option<String>,
    /// That failed last at this time or later, in epoch milliseconds.
    pub since: Option<i64>,
}

impl Selection {
    fn takes(&self, row: &FailedMessage) -> bool {
        let agrees =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let detail_type = row.event.as_ref().map(|event| event.detail_type.as_str()).unwrap_or_default();
        agrees(&self.group, row.group.as_str())
            && agrees(&self.place, &row.place)
            && agrees(&self.detail_type, detail_type)
            && self.status.is_none_or(|status| status == row.status)
            && self.text.as_ref().is_none_or(|text| row.reason.contains(text))
            && self.since.is_none_or(|since| row.last_failed_at >= since)
    }
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The copy has this id and waits to be retried.
    Copied(String),
    /// There is no such failure.
    Unknown,
    /// It is not to be edited from where it stands.
    Standing(FailureState),
    /// It changed meanwhile.
    Moved,
}

/// What the index shows of a failure.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Indexed {
    status: FailureState,
    group: Fingerprint,
    cause: String,
    place: String,
    first_failed_at: i64,
    last_failed_at: i64,
}

impl Desk {
    /// Over these clients.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws, config: DeskConfig) -> Result<Self, Failure> {
        Ok(Self {
            dynamodb: aws.dynamodb(),
            sqs: aws.sqs(),
            lambda: aws.lambda(),
            rows: Rows::new(aws.dynamodb()),
            spine: Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient()),
            store: BodyStore::new(aws, &config.bucket)?,
            config,
        })
    }

    /// One failure.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn get(&self, failure_id: &str) -> Result<Option<FailedMessage>, Failure> {
        self.rows.read(&self.config.failures, FailedMessage::key(failure_id)).await
    }

    /// What a failure is about, wherever it is kept.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn body(&self, row: &FailedMessage) -> Result<String, Failure> {
        self.store.read(row).await
    }

    /// All groups, those with the newest failures first. Reads the index, which has no bodies.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the table cannot be read.
    pub async fn groups(&self) -> Result<Vec<Group>, Failure> {
        let mut groups: BTreeMap<Fingerprint, Group> = BTreeMap::new();
        for item in self.scan(Some(GROUP_INDEX)).await? {
            let Ok(row) = serde_dynamo::from_item::<_, Indexed>(item) else { continue };
            let group = groups.entry(row.group.clone()).or_insert_with(|| Group {
                group: row.group,
                place: row.place,
                cause: row.cause,
                failures: BTreeMap::new(),
                oldest_failed_at: i64::MAX,
                last_failed_at: 0,
            });
            let status = crate::step::State::name(row.status).to_owned();
            *group.failures.entry(status).or_default() += 1;
            group.last_failed_at = group.last_failed_at.max(row.last_failed_at);
            if row.status == FailureState::Failed {
                group.oldest_failed_at = group.oldest_failed_at.min(row.first_failed_at);
            }
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for group in &mut groups {
            if group.oldest_failed_at == i64::MAX {
                group.oldest_failed_at = group.last_failed_at;
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.last_failed_at));
        Ok(groups)
    }

    /// The failures of a selection in the order in which they are to be retried: those of a message group, or of one
    /// place, as they were sent.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the table cannot be read.
    pub async fn select(&self, selection: &Selection) -> Result<Vec<FailedMessage>, Failure> {
        let items = match &selection.group {
            Some(group) => self.of_group(group).await?,
            None => self.scan(None).await?,
        };
        let rows = items.into_iter().filter_map(|item| from_item::<FailedMessage>(item).ok());
        let mut rows: Vec<_> = rows.filter(|row| selection.takes(row)).collect();
        rows.sort_by(|one, other| sequence(one).cmp(&sequence(other)));
        Ok(rows)
    }

    /// Puts a failure away; answers whether it is away now, or `None` where there is none.
    ///
    /// What waits behind it in its message group is let go on first: who dies in between leaves a failure that is still to be
    /// put away, and no group that waits for ever.
    ///
    /// # Errors
    /// [`Failure`]: permanent where there is no way back to the queue whose group waits.
    pub async fn archive(
        &self,
        failure_id: &str,
        note: &str,
        routes: &Routes,
    ) -> Result<Option<bool>, Failure> {
        let Some(row) = self.get(failure_id).await? else { return Ok(None) };
        let archived = row.moved(ARCHIVE, note.to_owned(), self.now());
        if archived.is_none() && row.status != FailureState::Archived {
            return Ok(Some(false));
        }
        self.give_up(&row, routes).await?;
        Ok(Some(match archived {
            Some(archived) => matches!(self.write(&archived).await?, Written::Applied(_)),
            None => true,
        }))
    }

    /// Makes an edited copy, linked to the original, which keeps what it says: one transaction. An event in it gets a new
    /// id, for it says something else than the one that failed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn edit(&self, failure_id: &str, body: &str) -> Result<Edited, Failure> {
        let Some(row) = self.get(failure_id).await? else { return Ok(Edited::Unknown) };
        let id = self.spine.ambient().new_id().to_string();
        let note = format!("an edited copy takes its place: {id}");
        let Some(mut original) = row.moved(REPLACE, note, self.now()) else {
            return Ok(Edited::Standing(row.status));
        };
        original.replaced_by = Some(id.clone());
        let (body, renamed) = renamed(body, &id);
        let body = self.store.keep(&id, "edited", body).await?;
        let mut copy = row.edited(id.clone(), body, self.now());
        if let (true, Some(event)) = (renamed, copy.event.as_mut()) {
            event.event_id = Some(id.clone());
        }
        let transition = Transition::guarded_by(copy.create(&self.config.failures)?)
            .requiring([(original.replace(&self.config.failures)?, Moved)]);
        Ok(match self.spine.commit(transition).await? {
            Outcome::Applied => Edited::Copied(id),
            Outcome::Rejected(Moved, _) | Outcome::Duplicate(_) => Edited::Moved,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.spine.ambient().now()
    }

    /// Writes a row that follows the one that was read.
    pub(super) async fn write(&self, row: &FailedMessage) -> Result<Written<FailedMessage>, Failure> {
        self.rows.write(row.replace(&self.config.failures)?).await
    }

    async fn of_group(&self, group: &str) -> Result<Vec<Item>, Failure> {
        let mut pages = self
            .dynamodb
            .query()
            .table_name(self.config.failures.name())
            .index_name(GROUP_INDEX)
            .key_condition_expression("#group = :group")
            .expression_attribute_names("#group", "group")
            .expression_attribute_values(":group", AttributeValue::S(group.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(found) = pages.next().await {
            let found =
                found.map_err(|error| Failure::transient("failures could not be read").because(error))?;
            let Some(id) = found.get("failureId").and_then(|id| id.as_s().ok()) else { continue };
            // The index has no bodies, and may be late: the row counts.
            let got = self
                .dynamodb
                .get_item()
                .table_name(self.config.failures.name())
                .key("failureId", AttributeValue::S(id.clone()))
                .consistent_read(true)
                .send()
                .await;
            let got = got.map_err(|error| Failure::transient("failures could not be read").because(error))?;
            items.extend(got.item);
        }
        Ok(items)
    }

    async fn scan(&self, index: Option<&str>) -> Result<Vec<Item>, Failure> {
        let mut pages = self
            .dynamodb
            .scan()
            .table_name(self.config.failures.name())
            .set_index_name(index.map(ToOwned::to_owned))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items
                .push(item.map_err(|error| Failure::transient("failures could not be read").because(error))?);
        }
        Ok(items)
    }
}

/// The original moved on while it was edited.
#[derive(Clone, Copy)]
struct Moved;

/// Messages of one group in the order of their sequence numbers, others as they were sent.
fn sequence(row: &FailedMessage) -> (&str, Option<&str>, usize, &str, &str) {
    let group = row.message_group.as_deref();
    (&row.dead_letter_queue, group, row.sequence.len(), &row.sequence, &row.failure_id)
}

/// The body with a new id for the event that it holds, and whether it holds one.
fn renamed(body: &str, id: &str) -> (String, bool) {
    let mut document: Value = match serde_json::from_str(body) {
        Ok(document) => document,
        Err(_) => return (body.to_owned(), false),
    };
    match document.pointer_mut("/detail/metadata/eventId") {
        Some(event_id) => {
            *event_id = Value::from(id);
            (document.to_string(), true)
        }
        None => (body.to_owned(), false),
    }
}
