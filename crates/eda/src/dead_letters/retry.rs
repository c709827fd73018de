use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::Value;

use super::attribute;
use super::desk::Desk;
use super::letter::Source;
use super::row::{CLAIM, FAIL, FailedMessage, FailureState, SENT};
use crate::Failure;
use crate::batch::{GIVEN_UP, PLACE};
use crate::transition::Written;

/// The most attributes a message has.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
const MOST_ATTRIBUTES: usize = 10;

/// Where queues are: what a retry is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// URL of each queue, by its ARN.
    pub urls: BTreeMap<String, String>,
    /// ARN of the queue that each dead-letter queue serves, by the dead-letter queue's ARN.
    pub sources: BTreeMap<String, String>,
}

/// Where a failure is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Queue(String),
    Function(String),
}

impl Routes {
    /// Where it goes: a message back to its queue, an event to the rule's target and not to its other targets, an
    /// invocation and a stream's records to their function.
    fn way(&self, row: &FailedMessage) -> Result<Way, Failure> {
        let queue = |arn: &str| {
            let url = self.urls.get(arn);
            let unknown = || Failure::permanent(format!("the stack has no queue {arn} any more"));
            url.cloned().map(Way::Queue).ok_or_else(unknown)
        };
        match &row.source {
            Source::Queue { queue: Some(arn), .. } => queue(arn),
            Source::Queue { queue: None, .. } => {
                let arn = self.sources.get(&row.dead_letter_queue);
                let unknown = || Failure::permanent("no queue of the stack has that dead-letter queue");
                queue(arn.ok_or_else(unknown)?)
            }
            Source::Target { target: Some(arn), .. } => match arn.split(':').nth(2) {
                Some("sqs") => queue(arn),
                Some("lambda") => Ok(Way::Function(arn.clone())),
                _ => Err(Failure::permanent(format!("nobody can retry for the target {arn}"))),
            },
            Source::Target { target: None, .. } => {
                Err(Failure::permanent("the letter does not say which target it was for"))
            }
            Source::Invocation { function } | Source::Stream { function, .. } => {
                Ok(Way::Function(function.clone()))
            }
        }
    }
}

/// What became of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is in its queue again. If it fails again it comes back.
    Sent,
    /// Its function has done it.
    Done,
    /// Its function failed again, for this reason.
    FailedAgain(String),
    /// It is not to be retried from where it stands.
    Standing(FailureState),
    /// There is no such failure.
    Unknown,
    /// Somebody else has it in hand.
    Taken,
}

impl Desk {
    /// Sends a failure again. First the row says so, so that two people do not send it twice; then it is sent; then the
    /// row says that. Killed in between, it stands `retrying` and is retried again: what it tells has its effect once.
    ///
    /// # Errors
    /// [`Failure`]: transient where AWS does not answer, permanent where there is no way back.
    pub async fn retry(&self, failure_id: &str, routes: &Routes) -> Result<Retried, Failure> {
        let Some(row) = self.get(failure_id).await? else { return Ok(Retried::Unknown) };
        let way = routes.way(&row)?;
        let Some(claimed) = row.moved(CLAIM, "is sent again".to_owned(), self.now()) else {
            return Ok(Retried::Standing(row.status));
        };
        if matches!(self.write(&claimed).await?, Written::Refused(_)) {
            return Ok(Retried::Taken);
        }
        let sent = match self.body(&claimed).await {
            Ok(body) if body.is_empty() => Err(Failure::permanent("nothing is left of it to send")),
            Ok(body) => self.send(&claimed, &way, body).await,
            Err(failure) => Err(failure),
        };
        let (next, retried) = match sent {
            Ok(None) => {
                let note = match &way {
                    Way::Queue(_) => "is in its queue again",
                    Way::Function(_) => "its function has done it",
                };
                let retried = if matches!(way, Way::Queue(_)) { Retried::Sent } else { Retried::Done };
                (claimed.moved(SENT, note.to_owned(), self.now()), Ok(retried))
            }
            Ok(Some(reason)) => {
                (claimed.failed_again(reason.clone(), self.now()), Ok(Retried::FailedAgain(reason)))
            }
            Err(failure) => {
                let note = format!("could not be sent: {}", failure.chain());
                (claimed.moved(FAIL, note, self.now()), Err(failure))
            }
        };
        if let Some(next) = next {
            // Refused where it has failed again already: that says more.
            self.write(&next).await?;
        }
        retried
    }

    /// Tells the consumer of an ordered queue that a failure will not come again, so that those behind it may. Does nothing
    /// where no group waits for it.
    ///
    /// # Errors
    /// [`Failure`]: transient where AWS does not answer, permanent where there is no way back.
    pub(super) async fn give_up(&self, row: &FailedMessage, routes: &Routes) -> Result<(), Failure> {
        if !row.holds_its_group() {
            return Ok(());
        }
        let Way::Queue(url) = routes.way(row)? else { return Ok(()) };
        let mut notice = row.clone();
        notice.attributes.retain(|name, _| name == PLACE);
        notice.attributes.insert(GIVEN_UP.to_owned(), "true".to_owned());
        self.send_message(&notice, &url, "{}".to_owned()).await
    }

    /// Sends it; answers why its function failed, where that is known at once.
    async fn send(&self, row: &FailedMessage, way: &Way, body: String) -> Result<Option<String>, Failure> {
        match way {
            Way::Queue(url) => self.send_message(row, url, body).await.map(|()| None),
            Way::Function(arn) => self.invoke(arn, body).await,
        }
    }

    async fn send_message(&self, row: &FailedMessage, url: &str, body: String) -> Result<(), Failure> {
        let text =
            |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let malformed = |error| Failure::permanent("an attribute does not fit a message").because(error);
        let mut send = self
            .sqs
            .send_message()
            .queue_url(url)
            .message_body(body)
            .message_attributes(attribute::FAILURE_ID, text(&row.failure_id).map_err(malformed)?);
        for (name, value) in row.attributes.iter().take(MOST_ATTRIBUTES - 1) {
            send = send.message_attributes(name, text(value).map_err(malformed)?);
        }
        if let Some(group) = &row.message_group {
            // Its own id: the original's may be remembered still, and the queue would swallow it.
            let id = format!("{}-{}", row.failure_id, row.revision);
            send = send.message_group_id(group).message_deduplication_id(id);
        }
        let sent = send.send().await;
        sent.map(drop).map_err(|error| Failure::transient("the queue did not take it").because(error))
    }

    async fn invoke(&self, arn: &str, body: String) -> Result<Option<String>, Failure> {
        let invoked = self.lambda.invoke().function_name(arn).payload(Blob::new(body)).send().await;
        let answer = invoked
            .map_err(|error| Failure::transient("the function could not be invoked").because(error))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let document: Value = serde_json::from_slice(&payload).unwrap_or_default();
        if let Some(kind) = answer.function_error {
            let told = document.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
            return Ok(Some(format!("{kind}: {told}")));
        }
        let failed = document.get("batchItemFailures").and_then(Value::as_array);
        let failed = failed.is_some_and(|failures| !failures.is_empty());
        Ok(failed.then(|| "the function reported a failed record again".to_owned()))
    }
}
