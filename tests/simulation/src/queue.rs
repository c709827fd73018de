//! SQS standard queues: at least once, in any order, hidden while received, redriven after too many receives.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage, SqsMessageAttribute};
use fastrand::Rng;
use tokio::time::Instant;

use crate::fifo::{self, Memory, Place};
use crate::system::QueueSettings;

/// A message's own attributes, all of them texts.
pub type Attributes = BTreeMap<String, String>;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, the same in every delivery.
    pub id: String,
    /// What it says.
    pub body: Rc<str>,
    /// What it is, for people: the event's name and order.
    pub label: Rc<str>,
    /// How often it was received.
    pub receives: u32,
    /// When it can be received.
    pub visible_at: Instant,
    /// Where it belongs in a FIFO queue.
    pub place: Option<Place>,
    /// Its own attributes.
    pub attributes: Rc<Attributes>,
    /// Its number among the messages of its queue.
    pub sequence: u64,
    /// The queue that it was a message of before it became a dead letter.
    pub source: Option<Rc<str>>,
}

impl Message {
    /// What its latest receive is known by.
    #[must_use]
    pub fn receipt(&self) -> String {
        format!("{}/{}", self.id, self.receives)
    }
}

/// A queue and its messages.
#[derive(Debug)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How it is set up.
    pub settings: QueueSettings,
    /// All messages, received ones too.
    pub messages: Vec<Message>,
    /// Whether a group waits while one of its messages is with somebody; only a planted mistake lets it not.
    pub locked: bool,
    sent: u64,
    memory: Memory,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(name: &str, settings: QueueSettings) -> Self {
        Self {
            name: name.to_owned(),
            settings,
            messages: Vec::new(),
            locked: true,
            sent: 0,
            memory: Memory::default(),
        }
    }

    /// Takes a message; a copy of what a FIFO queue remembers it swallows.
    pub fn send(
        &mut self,
        body: Rc<str>,
        label: Rc<str>,
        visible_at: Instant,
        place: Option<Place>,
        attributes: Rc<Attributes>,
    ) -> Option<&Message> {
        if place.as_ref().is_some_and(|place| self.memory.knows(place, visible_at)) {
            return None;
        }
        self.sent += 1;
        let (id, sequence) = (format!("{}-{}", self.name, self.sent), self.sent);
        let (receives, source) = (0, None);
        let message = Message { id, body, label, receives, visible_at, place, attributes, sequence, source };
        self.messages.push(message);
        self.messages.last()
    }

    /// Whether a message can be received.
    #[must_use]
    pub fn has_visible(&self, now: Instant) -> bool {
        match self.settings.fifo {
            true => !fifo::receivable(&self.messages, now, 1, self.locked, None).is_empty(),
            false => self.messages.iter().any(|message| message.visible_at <= now),
        }
    }

    /// When the next hidden message can be received.
    #[must_use]
    pub fn next_visible(&self, now: Instant) -> Option<Instant> {
        self.messages.iter().map(|message| message.visible_at).filter(|at| *at > now).min()
    }

    /// Receives up to `most` messages: the oldest first, or any. Second come those whose receives are spent.
    pub fn receive(
        &mut self,
        most: usize,
        now: Instant,
        shuffled: Option<&mut Rng>,
    ) -> (Vec<Message>, Vec<Message>) {
        let visible = match self.settings.fifo {
            true => fifo::receivable(&self.messages, now, most, self.locked, shuffled),
            false => self.any_visible(most, now, shuffled),
        };
        let limit = self.settings.redrive.as_ref().map_or(u32::MAX, |(limit, _)| *limit);
        let (mut received, mut spent) = (Vec::new(), Vec::new());
        for index in visible {
            let hidden = now + self.settings.visibility;
            let Some(message) = self.messages.get_mut(index) else { continue };
            if message.receives >= limit {
                spent.push(message.clone());
            } else {
                message.receives += 1;
                message.visible_at = hidden;
                received.push(message.clone());
            }
        }
        self.messages.retain(|message| !spent.iter().any(|gone| gone.id == message.id));
        (received, spent)
    }

    fn any_visible(&self, most: usize, now: Instant, shuffled: Option<&mut Rng>) -> Vec<usize> {
        let visible = self.messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now);
        let mut visible: Vec<usize> = visible.map(|(index, _)| index).collect();
        if let Some(rng) = shuffled {
            rng.shuffle(&mut visible);
        }
        visible.truncate(most);
        visible
    }

    /// A place in the group that was sent to last.
    #[must_use]
    pub fn place_of(&self, deduplication: &str) -> Place {
        let group = Some(self.memory.latest_group()).filter(|group| !group.is_empty());
        Place { group: group.unwrap_or_else(|| "somebody".into()), deduplication: deduplication.into() }
    }

    /// Deletes a message; one that is gone is no error.
    pub fn delete(&mut self, id: &str) {
        self.messages.retain(|message| message.id != id);
    }

    /// Hides a received message for so long from now on, as its receipt allows: an older receipt does nothing.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
    pub fn hide(&mut self, receipt: &str, until: Instant) -> bool {
        let found = self.messages.iter_mut().find(|message| message.receipt() == receipt);
        found.is_some_and(|message| {
            message.visible_at = until;
            true
        })
    }

    /// A received message shows again before its time, as one of a standard queue may.
    pub fn show_again(&mut self, id: &str, at: Instant) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == id) {
            message.visible_at = message.visible_at.min(at);
        }
    }
}

/// The batch that Lambda makes of messages.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
#[must_use]
pub fn batch(queue: &str, messages: &[Message]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.clone());
            record.receipt_handle = Some(message.receipt());
            record.body = Some(message.body.to_string());
            record.event_source_arn = Some(arn(queue));
            record.event_source = Some("aws:sqs".to_owned());
            record.attributes.insert("ApproximateReceiveCount".into(), message.receives.to_string());
            record.attributes.insert("SentTimestamp".into(), message.sequence.to_string());
            if let Some(source) = &message.source {
                record.attributes.insert("DeadLetterQueueSourceArn".into(), arn(source));
            }
            record.message_attributes = message
                .attributes
                .iter()
                .map(|(name, value)| {
                    let mut attribute = SqsMessageAttribute::default();
                    attribute.data_type = Some("String".to_owned());
                    attribute.string_value = Some(value.clone());
                    (name.clone(), attribute)
                })
                .collect();
            if let Some(Place { group, deduplication }) = &message.place {
                record.attributes.insert("MessageGroupId".into(), group.to_string());
                record.attributes.insert("MessageDeduplicationId".into(), deduplication.to_string());
            }
            record
        })
        .collect();
    event
}

/// A queue's ARN.
#[must_use]
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:111122223333:{queue}")
}

/// A moment, some time from now.
#[must_use]
pub fn later(now: Instant, rng: &mut Rng, most: Duration) -> Instant {
    now + Duration::from_millis(rng.u64(0..=u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
}
