use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use envconfig::Envconfig;
use serde::Serialize;

use super::letter::{Diagnosis, Letter, Source, diagnose};
use super::records::{Fetched, Streams};
use super::row::{Body, FailedMessage};
use crate::Failure;
use crate::aws::Aws;
use crate::batch::Deadline;
use crate::event::{Cause, Contract, SagaStyle};
use crate::objects::Objects;
use crate::outbox::OutboxRow;
use crate::row::Table;
use crate::spine::Spine;
use crate::transition::{Outcome, Transition};

/// What fits a row beside everything else: an item holds 400 KB.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MOST_INLINE: usize = 300 * 1024;

/// How often a change follows a row that keeps moving.
const ATTEMPTS: usize = 5;

/// Messages per receive, the most SQS gives.
const BATCH: i32 = 10;

/// How long a received letter is hidden: longer than taking ten of them in takes.
const HIDDEN: Duration = Duration::from_secs(120);

/// Where failures are kept.
#[derive(Clone, Debug, Envconfig)]
pub struct CollectorConfig {
    /// The failures.
    #[envconfig(from = "FAILED_MESSAGES_TABLE")]
    pub failures: Table<FailedMessage>,
    /// The bucket of what is too large for a row.
    #[envconfig(from = "FAILED_MESSAGES_BUCKET")]
    pub bucket: String,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Takes letters out of dead-letter queues into a table.
///
/// A letter is acknowledged after its row is written, and its row names it: killed at any moment, it is taken in once.
#[derive(Clone)]
pub struct Collector {
    spine: Spine,
    sqs: aws_sdk_sqs::Client,
    store: BodyStore,
    streams: Streams,
    config: CollectorConfig,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The failure is new, or has failed once more.
    In(Box<FailedMessage>),
    /// This letter was taken in before.
    Before,
}

/// What became of the letters of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drained {
    /// Taken in, now.
    pub taken: u64,
    /// Taken in before, and deleted now.
    pub known: u64,
    /// Could not be taken in; they are still in their queue.
    pub left: u64,
    /// Whether the deadline came before the queue was empty.
    pub cut_short: bool,
}

impl Collector {
    /// Collects into this table, over these clients.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws, config: CollectorConfig) -> Result<Self, Failure> {
        Ok(Self {
            spine: Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient()),
            sqs: aws.sqs(),
            store: BodyStore::new(aws, &config.bucket)?,
            streams: Streams { dynamodb: aws.dynamodb_streams(), kinesis: aws.kinesis() },
            config,
        })
    }

    /// Takes a letter in: one `TransactWriteItems`, with the event that says so. A further failure of what failed before
    /// costs another; a large body a `PutObject`; records of a stream are read first.
    ///
    /// # Errors
    /// [`Failure`], after which the letter must not be acknowledged.
    pub async fn take<T: Contract>(
        &self,
        letter: &Letter,
        announce: impl Fn(&FailedMessage) -> T,
    ) -> Result<Taken, Failure> {
        let diagnosis = self.with_records(diagnose(letter)).await?;
        let now = self.spine.ambient().now();
        let body = self.store.keep(&diagnosis.failure_id, &letter.id, diagnosis.payload.clone()).await?;
        let mut row = FailedMessage::first(letter, &diagnosis, body, now);
        let mut write = row.create(&self.config.failures)?;
        for _ in 0..ATTEMPTS {
            let parked = self.spine.event(&cause_of(&row), &announce(&row))?;
            match self.spine.commit(Transition::guarded_by(write).emit(parked)).await? {
                Outcome::Applied => return Ok(Taken::In(Box::new(row))),
                Outcome::Duplicate(Some(standing)) => {
                    let Some(next) = standing.again(letter, &diagnosis, now) else {
                        return Ok(Taken::Before);
                    };
                    row = next;
                    write = row.replace(&self.config.failures)?;
                }
                // It expired meanwhile.
                Outcome::Duplicate(None) => write = row.create(&self.config.failures)?,
            }
        }
        Err(Failure::transient("the row of the failure keeps changing"))
    }

    /// Records of a stream are gone after a day; the letter has only their address.
    async fn with_records(&self, mut diagnosis: Diagnosis) -> Result<Diagnosis, Failure> {
        if let Source::Stream { records, .. } = &diagnosis.source {
            match self.streams.fetch(records).await? {
                Fetched::Event(event) => diagnosis.payload = event.to_string(),
                Fetched::Gone => {
                    diagnosis.payload.clear();
                    diagnosis.reason.push_str(" (its records are no longer in the stream)");
                }
            }
        }
        Ok(diagnosis)
    }

    /// Takes in what lies in a dead-letter queue, until it is empty or the deadline comes. Each letter is deleted after
    /// its row is written.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the queue cannot be read.
    pub async fn drain<T: Contract>(
        &self,
        queue_url: &str,
        deadline: Deadline,
        announce: impl Fn(&FailedMessage) -> T,
        mut told: impl FnMut(&FailedMessage),
    ) -> Result<Drained, Failure> {
        let queue = self.arn_of(queue_url).await?;
        let mut drained = Drained::default();
        loop {
            if deadline.passed() {
                drained.cut_short = true;
                return Ok(drained);
            }
            let received = self
                .sqs
                .receive_message()
                .queue_url(queue_url)
                .max_number_of_messages(BATCH)
                .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX))
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .send()
                .await
                .map_err(|error| {
                    Failure::transient("the dead-letter queue could not be read").because(error)
                })?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(drained);
            }
            for message in messages {
                if deadline.passed() {
                    drained.cut_short = true;
                    return Ok(drained);
                }
                let letter = Letter::received(&queue, &message);
                match self.take(&letter, &announce).await {
                    Ok(Taken::In(row)) => {
                        drained.taken += 1;
                        told(&row);
                    }
                    Ok(Taken::Before) => drained.known += 1,
                    Err(failure) => {
                        drained.left += 1;
                        tracing::error!(
                            messageId = letter.id,
                            failure = failure.chain(),
                            "stays in its dead-letter queue"
                        );
                        continue;
                    }
                }
                let handle = message.receipt_handle.unwrap_or_default();
                let deleted =
                    self.sqs.delete_message().queue_url(queue_url).receipt_handle(handle).send().await;
                if let Err(error) = deleted {
                    // It comes again, and is known then.
                    let failure = Failure::transient("a letter could not be deleted").because(error);
                    tracing::warn!(messageId = letter.id, failure = failure.chain(), "comes again");
                }
            }
        }
    }

    async fn arn_of(&self, queue_url: &str) -> Result<String, Failure> {
        let asked = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map_err(|error| Failure::transient("the dead-letter queue could not be found").because(error))?;
        let arn = asked.attributes.and_then(|mut all| all.remove(&QueueAttributeName::QueueArn));
        arn.ok_or_else(|| Failure::permanent("the dead-letter queue has no ARN"))
    }
}

/// What the announcement inherits: the transaction that the failed event belongs to.
fn cause_of(row: &FailedMessage) -> Cause {
    let id = |text: Option<&String>| text.and_then(|text| text.parse().ok());
    let event = row.event.as_ref();
    Cause {
        correlation_id: id(event.and_then(|event| event.correlation_id.as_ref())),
        causation_id: id(event.and_then(|event| event.event_id.as_ref())),
        saga: SagaStyle::Choreographed,
        trace: None,
    }
}

/// Keeps bodies that are too large for a row in a bucket.
#[derive(Clone, Debug)]
pub struct BodyStore {
    objects: Objects,
    bucket: String,
}

impl BodyStore {
    /// Over the bucket of this name.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws, bucket: &str) -> Result<Self, Failure> {
        Ok(Self { objects: Objects::new(aws)?, bucket: bucket.to_owned() })
    }

    /// Keeps a body: in the row where it fits, else as an object whose key names what it belongs to, so that doing it
    /// again changes nothing. One `PutObject`.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the bucket does not take it.
    pub async fn keep(&self, failure_id: &str, version: &str, body: String) -> Result<Body, Failure> {
        if body.len() <= MOST_INLINE {
            return Ok(Body::Inline(body));
        }
        let key = format!("{failure_id}/{version}");
        self.objects.write(&self.bucket, &key, "application/json", body.into_bytes()).await?;
        Ok(Body::Stored(key))
    }

    /// The body of a failure, wherever it is: one `GetObject` where it is large.
    ///
    /// # Errors
    /// [`Failure`]: transient where the bucket does not answer; permanent where the object is gone or no text.
    pub async fn read(&self, row: &FailedMessage) -> Result<String, Failure> {
        let key = match (&row.body, &row.body_key) {
            (Some(body), _) => return Ok(body.clone()),
            (None, Some(key)) => key,
            (None, None) => return Ok(String::new()),
        };
        let body = self.objects.read(&self.bucket, key).await?;
        let body = body.ok_or_else(|| Failure::permanent("the body is no longer kept"))?;
        String::from_utf8(body).map_err(|error| Failure::permanent("the body is no text").because(error))
    }
}
