use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue,
};
use envconfig::Envconfig;

use crate::Failure;
use crate::failure::Kind;

/// Where a queue's poison goes, and where its messages wait.
#[derive(Clone, Debug, Envconfig)]
pub struct ParkingConfig {
    /// URL of the dead-letter queue.
    #[envconfig(from = "DEAD_LETTER_QUEUE_URL")]
    pub dead_letter_queue_url: String,
    /// URL of the queue itself, where its messages may have to wait for longer than its visibility timeout, or the work on
    /// one may take more than an invocation.
    #[envconfig(from = "QUEUE_URL")]
    pub queue_url: Option<String>,
}

/// Parks messages that no repetition can help, with the reason, in the queue's dead-letter queue.
///
/// SQS moves a message there only after its receive count is spent, and without a reason; a message whose failure is
/// known to be permanent goes at once.
#[derive(Clone)]
pub struct Parking {
    sqs: aws_sdk_sqs::Client,
    config: ParkingConfig,
    function: &'static str,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// At the earliest after this time, where it is known.
    Again(Option<Duration>),
    Parked,
}

/// The longest reason, in characters.
const MAX_REASON: usize = 1_000;

/// The most attributes a message has.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
const MOST_ATTRIBUTES: usize = 10;

/// The longest that a message can be hidden, from when it was received, less what handling it may have taken.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const LONGEST_WAIT: Duration = Duration::from_secs(43_200 - 900);

/// The most entries of a batch call.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
const MAX_ENTRIES: usize = 10;

impl Parking {
    /// Parks on behalf of `function`.
    #[must_use]
    pub fn new(sqs: aws_sdk_sqs::Client, config: ParkingConfig, function: &'static str) -> Self {
        Self { sqs, config, function }
    }

    /// The function on whose behalf it parks.
    pub(super) fn function(&self) -> &'static str {
        self.function
    }

    /// What becomes of a message by what its handling came to: a permanent failure is parked. Logs it, in the message's span.
    pub(super) async fn settle(&self, message: &SqsMessage, handled: Result<(), Failure>) -> Verdict {
        let Err(failure) = handled else {
            tracing::info!("done");
            return Verdict::Done;
        };
        if failure.kind() == Kind::Transient {
            tracing::warn!(failure = failure.chain(), "will be delivered again");
            return Verdict::Again(failure.retry_after());
        }
        // Only the outer frame: inner ones may quote the payload, and payloads hold personal data.
        tracing::error!(%failure, "parked; the whole reason is in the message's attributes");
        match self.park(message, &failure, &[]).await {
            Ok(()) => Verdict::Parked,
            Err(failure) => {
                tracing::error!(failure = failure.chain(), "could not be parked");
                Verdict::Again(None)
            }
        }
    }

    /// Parks the message as it was received: same body, its own attributes as far as there is room beside `reason`,
    /// `parkedBy`, `originalMessageId`, `attempts` and what `more` says. A message of a FIFO queue stays in its group.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the queue did not take it: then the message must not be acknowledged.
    pub async fn park(
        &self,
        message: &SqsMessage,
        reason: &Failure,
        more: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let reason: String = reason.chain().chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        let text =
            |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let malformed = |error| Failure::transient("the reason does not fit an attribute").because(error);
        // SQS refuses an empty body; so does it an empty attribute.
        let body = message.body.as_deref().filter(|body| !body.is_empty()).unwrap_or("(empty)");
        let id = message.message_id.as_deref().filter(|id| !id.is_empty()).unwrap_or("(unknown)");
        let attempts = message.attributes.get("ApproximateReceiveCount").filter(|count| !count.is_empty());
        let mut own = vec![
            ("reason", reason.as_str()),
            ("parkedBy", self.function),
            ("originalMessageId", id),
            ("attempts", attempts.map_or("1", String::as_str)),
        ];
        own.extend(more);
        let carried = message.message_attributes.iter().filter_map(|(name, value)| {
            let value = value.string_value.as_deref().filter(|value| !value.is_empty())?;
            own.iter().all(|(taken, _)| name != taken).then_some((name.as_str(), value))
        });
        // What a retry is recognised by comes first, lest there be no room for it.
        let mut carried: Vec<_> = carried.collect();
        carried.sort_unstable_by_key(|(name, _)| (*name != "failureId", *name));
        let mut send =
            self.sqs.send_message().queue_url(&self.config.dead_letter_queue_url).message_body(body);
        let attribute = |name: &str| message.attributes.get(name).filter(|value| !value.is_empty());
        if let (Some(group), Some(_)) = (attribute("MessageGroupId"), attribute("MessageDeduplicationId")) {
            // The message's own id, and not what its queue deduplicates by: a retry may be parked within minutes again.
            send = send.message_group_id(group).message_deduplication_id(id);
        }
        for (name, value) in own.iter().copied().chain(carried).take(MOST_ATTRIBUTES) {
            send = send.message_attributes(name, text(value).map_err(malformed)?);
        }
        send.send()
            .await
            .map(|_| ())
            .map_err(|error| Failure::transient("the message could not be parked").because(error))
    }

    /// Sends the message to its own queue once more, with its attributes and its trace: as if it had never been received.
    ///
    /// # Errors
    /// [`Failure`]: transient where the queue did not take it, and then the message must not be acknowledged; permanent
    /// where the queue is not known.
    pub(super) async fn send_back(&self, message: &SqsMessage) -> Result<(), Failure> {
        let Some(queue_url) = &self.config.queue_url else {
            return Err(Failure::permanent("QUEUE_URL is not set: the rest of the work has nowhere to wait"));
        };
        let malformed = |error| Failure::transient("an attribute cannot be sent again").because(error);
        let body = message.body.as_deref().unwrap_or_default();
        let mut send = self.sqs.send_message().queue_url(queue_url).message_body(body);
        for (name, value) in &message.message_attributes {
            let Some(text) = value.string_value.as_deref().filter(|text| !text.is_empty()) else { continue };
            let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
            send = send.message_attributes(name, value.map_err(malformed)?);
        }
        if let Some(trace) = message.attributes.get("AWSTraceHeader") {
            let value =
                MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            send = send.message_system_attributes(name, value.map_err(malformed)?);
        }
        let sent = send.send().await;
        sent.map(drop).map_err(|error| Failure::transient("the rest could not be sent on").because(error))
    }

    /// Hides messages that cannot be handled before so much time has passed, instead of for the queue's visibility
    /// timeout: they are reported as failed, and come again then. One call for ten messages. Where it fails, or the queue is
    /// not known, they come again after the visibility timeout, and wait once more.
    ///
    /// The receive that finds nothing to do counts all the same: how often that may be is the queue's `maxReceiveCount`.
    pub async fn postpone(&self, waiting: &[(&SqsMessage, Duration)]) {
        let Some(queue_url) = &self.config.queue_url else { return };
        for some in waiting.chunks(MAX_ENTRIES) {
            let entries = some.iter().enumerate().filter_map(|(index, (message, wait))| {
                // Rounded up: a message that comes too early waits once more.
                let seconds = wait.min(&LONGEST_WAIT).as_millis().div_ceil(1_000);
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle.as_deref()?)
                    .visibility_timeout(i32::try_from(seconds).ok()?)
                    .build()
                    .ok()
            });
            let entries: Vec<_> = entries.collect();
            let call =
                self.sqs.change_message_visibility_batch().queue_url(queue_url).set_entries(Some(entries));
            match call.send().await {
                Ok(answer) if answer.failed().is_empty() => {}
                Ok(answer) => {
                    tracing::warn!(failed = answer.failed().len(), "messages could not be postponed")
                }
                Err(error) => {
                    let failure = Failure::transient("messages could not be postponed").because(error);
                    tracing::warn!(failure = failure.chain(), "they come again earlier");
                }
            }
        }
    }
}
