//! FIFO queues: what a standard queue does, in the order of each group, and copies are swallowed for five minutes.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use crate::queue::Message;

/// How long a queue remembers what it was sent.
pub const MEMORY: Duration = Duration::from_secs(300);

/// Where a message of a FIFO queue belongs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its group.
    pub group: Rc<str>,
    /// What copies of it are known by.
    pub deduplication: Rc<str>,
}

/// What a queue was sent of late: by group and deduplication id, as a scope of message groups has it.
#[derive(Debug, Default)]
pub struct Memory {
    sent: BTreeMap<(Rc<str>, Rc<str>), Instant>,
    latest: Rc<str>,
}

impl Memory {
    /// Whether it is a copy, to be taken and swallowed. What is none is remembered.
    pub fn knows(&mut self, place: &Place, now: Instant) -> bool {
        let key = (place.group.clone(), place.deduplication.clone());
        if self.sent.get(&key).is_some_and(|sent| now.duration_since(*sent) < MEMORY) {
            return true;
        }
        self.latest = place.group.clone();
        self.sent.insert(key, now);
        false
    }

    /// The group that was sent to last.
    pub fn latest_group(&self) -> Rc<str> {
        self.latest.clone()
    }
}

/// The positions of the messages that can be received, `most` at most: of each group the first ones, unless one of the group
/// is with somebody. Where `locked` is not, groups do not wait: no queue is so, a planted mistake is.
pub fn receivable(
    messages: &[Message],
    now: Instant,
    most: usize,
    locked: bool,
    shuffled: Option<&mut Rng>,
) -> Vec<usize> {
    if messages.iter().all(|message| message.visible_at > now) {
        return Vec::new();
    }
    let group =
        |message: &Message| message.place.as_ref().map(|place| place.group.clone()).unwrap_or_default();
    let busy = messages.iter().filter(|message| message.visible_at > now).map(group);
    let busy: BTreeSet<_> = if locked { busy.collect() } else { BTreeSet::new() };
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, message) in messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now) {
        let group = group(message);
        if !busy.contains(&group) {
            groups.entry(group).or_default().push(index);
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    match shuffled {
        Some(rng) => {
            rng.shuffle(&mut groups);
            // How many of a group come at once is the queue's affair.
            groups.iter_mut().for_each(|group| group.truncate(rng.usize(1..=group.len())));
        }
        None => groups.sort(),
    }
    groups.into_iter().flatten().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue;
    use crate::system::QueueSettings;

    fn queue() -> Queue {
        Queue::new("q", QueueSettings { visibility: Duration::from_secs(30), redrive: None, fifo: true })
    }

    fn place(group: &str, id: &str) -> Option<Place> {
        Some(Place { group: group.into(), deduplication: id.into() })
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| &*message.body).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_waits_while_one_of_its_messages_is_with_somebody() {
        let (mut queue, now) = (queue(), Instant::now());
        for (id, group) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
            queue.send(id.into(), id.into(), now, place(group, id), Rc::default());
        }
        let (first, _) = queue.receive(1, now, None);
        assert_eq!(bodies(&first), ["a1"]);
        let (second, _) = queue.receive(10, now, None);
        assert_eq!(bodies(&second), ["b1"], "a2 waits for a1");
        assert!(!queue.has_visible(now));
        queue.delete(&first[0].id);
        assert_eq!(bodies(&queue.receive(10, now, None).0), ["a2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_done_comes_again_in_order() {
        let (mut queue, now) = (queue(), Instant::now());
        for id in ["1", "2", "3"] {
            queue.send(id.into(), id.into(), now, place("a", id), Rc::default());
        }
        let (received, _) = queue.receive(10, now, None);
        queue.delete(&received[0].id);
        let later = queue.next_visible(now).unwrap();
        assert_eq!(bodies(&queue.receive(10, later, None).0), ["2", "3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_is_swallowed_for_five_minutes_and_then_no_more() {
        let (mut queue, now) = (queue(), Instant::now());
        for (after, messages) in [(0, 1), (299, 1), (300, 2)] {
            let at = now + Duration::from_secs(after);
            queue.send("x".into(), "x".into(), at, place("a", "1"), Rc::default());
            assert_eq!(queue.messages.len(), messages, "{after}");
        }
    }
}
