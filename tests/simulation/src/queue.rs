//! SQS standard queues: at least once, in any order, hidden while received, redriven after too many receives.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use fastrand::Rng;
use tokio::time::Instant;

use crate::system::QueueSettings;

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
    sent: u64,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(name: &str, settings: QueueSettings) -> Self {
        Self { name: name.to_owned(), settings, messages: Vec::new(), sent: 0 }
    }

    /// Takes a message.
    pub fn send(&mut self, body: Rc<str>, label: Rc<str>, visible_at: Instant) {
        self.sent += 1;
        let id = format!("{}-{}", self.name, self.sent);
        self.messages.push(Message { id, body, label, receives: 0, visible_at });
    }

    /// Whether a message can be received.
    #[must_use]
    pub fn has_visible(&self, now: Instant) -> bool {
        self.messages.iter().any(|message| message.visible_at <= now)
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
        let visible = self.messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now);
        let mut visible: Vec<usize> = visible.map(|(index, _)| index).collect();
        if let Some(rng) = shuffled {
            rng.shuffle(&mut visible);
        }
        visible.truncate(most);
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

    /// Deletes a message; one that is gone is no error.
    pub fn delete(&mut self, id: &str) {
        self.messages.retain(|message| message.id != id);
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
pub fn batch(messages: &[Message]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.clone());
            record.body = Some(message.body.to_string());
            record.attributes.insert("ApproximateReceiveCount".into(), message.receives.to_string());
            record
        })
        .collect();
    event
}

/// A moment, some time from now.
#[must_use]
pub fn later(now: Instant, rng: &mut Rng, most: Duration) -> Instant {
    now + Duration::from_millis(rng.u64(0..=u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
}
