//! Event source mappings: they hand what waits in queues and streams to functions, a batch at a time, and hear what
//! became of it.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html>

use std::time::Duration;

use aws_lambda_events::streams::DynamoDbEventResponse;
use simulation_cli::Kind;
use tokio::time::Instant;

use crate::facts;
use crate::functions::{Answer, Payload};
use crate::queue;
use crate::stream::{self, Discarded, Record};
use crate::world::{Work, World};

impl World {
    pub(crate) fn receive(&mut self, index: usize) {
        let system = self.system.clone();
        let Some(mapping) = system.queue_mappings.get(index) else { return };
        let now = Instant::now();
        let most = match self.faults.has(Kind::Reorder) {
            true => self.rng.usize(1..=mapping.batch_size),
            false => mapping.batch_size,
        };
        let shuffled = self.faults.has(Kind::Reorder).then_some(&mut self.rng);
        let Some(queue) = self.queues.get_mut(&mapping.queue) else { return };
        let (messages, spent) = queue.receive(most, now, shuffled);
        let redrive = queue.settings.redrive.clone();
        if let Some((_, target)) = redrive.clone() {
            for message in spent {
                self.redrive(&mapping.queue, &target, message);
            }
        }
        if messages.is_empty() {
            return;
        }
        let limit = redrive.map_or(u32::MAX, |(limit, _)| limit);
        let spared = messages.iter().any(|message| message.receives.saturating_add(4) > limit);
        // A message of a standard queue shows again early now and then, not all the time: each time costs a receive.
        let young = messages.iter().all(|message| message.receives < 5 && message.place.is_none());
        if young && self.strike(Kind::Redeliver) {
            let at = self.soon_or_later(now);
            let again = self.faults.rng().usize(0..messages.len());
            if let (Some(message), Some(queue)) = (messages.get(again), self.queues.get_mut(&mapping.queue)) {
                queue.show_again(&message.id, at);
            }
        }
        if self.trace.is_on() {
            let labels: Vec<_> = messages.iter().map(|message| message.label.to_string()).collect();
            let name = self.name_of(mapping.function).to_owned();
            let next = self.ids + 1;
            self.say(|| format!("  {name}#{next} receives {}", labels.join(", ")));
        }
        self.may_spend(&mapping.queue, &messages);
        let payload = Payload::Queue(queue::batch(&mapping.queue, &messages));
        let work = Work::Messages { queue: mapping.queue.clone(), messages };
        self.invoke(mapping.function, work, payload, spared);
    }

    pub(crate) fn read_stream(&mut self, index: usize, lane: usize) {
        let now = Instant::now();
        let Some(reader) = self.readers.get_mut(index) else { return };
        let (table, function) = (reader.mapping.table.clone(), reader.mapping.function);
        // The stream of facts is spared: what it loses after a day is kept nowhere else, and an alarm rings long before that.
        if !reader.mapping.facts && self.strike(Kind::StreamStop) {
            self.faults.never_again(Kind::StreamStop);
            self.say(|| format!("        the stream of {table} stands still"));
            let until = now + stream::RETENTION + Duration::from_secs(3_600);
            let readers = self.readers.iter_mut().filter(|reader| reader.mapping.table == table);
            for lane in readers.flat_map(|reader| &mut reader.lanes) {
                lane.not_before = until;
            }
            return;
        }
        let Some(reader) = self.readers.get_mut(index) else { return };
        let (records, old) = reader.next(lane, now);
        self.discard(index, lane, &old);
        if records.is_empty() {
            return;
        }
        if self.trace.is_on() {
            let (name, next) = (self.name_of(function).to_owned(), self.ids + 1);
            let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
            self.say(|| format!("  {name}#{next} reads {}", keys.join(", ")));
        }
        // "Event source mappings process each event at least once, and duplicate processing of records can occur."
        if self.strike(Kind::Duplicate) {
            self.invoke(function, Work::Echo, self.batch_of(index, lane, &records), false);
        }
        let payload = self.batch_of(index, lane, &records);
        self.invoke(function, Work::Records { reader: index, lane }, payload, false);
    }

    fn batch_of(&self, reader: usize, lane: usize, records: &[Record]) -> Payload {
        match self.readers.get(reader).is_some_and(|reader| reader.mapping.facts) {
            true => Payload::Facts(facts::batch(lane, records)),
            false => Payload::Stream(stream::batch(records)),
        }
    }

    pub(crate) fn stream_answered(&mut self, index: usize, lane: usize, answer: Option<Answer>, label: &str) {
        let now = Instant::now();
        let Some(reader) = self.readers.get_mut(index) else { return };
        let (answered, discarded) = match answer {
            Some(Answer::Stream(response)) if response.batch_item_failures.is_empty() => {
                (reader.done(lane), Vec::new())
            }
            Some(Answer::Stream(response)) => reader.failed(lane, first_failure(&response), now),
            _ => reader.failed(lane, None, now),
        };
        self.say(|| format!("  {label} ends"));
        self.rung(index, &answered);
        self.discard(index, lane, &discarded);
    }

    /// What a mapping gives up on is told to its destination.
    fn discard(&mut self, reader: usize, lane: usize, discarded: &Discarded) {
        let Some(mapping) = self.readers.get(reader).map(|reader| &reader.mapping) else { return };
        if discarded.is_empty() {
            return;
        }
        let (table, on_failure) = (mapping.table.clone(), mapping.on_failure.clone());
        let told = stream::given_up(&mapping.table, self.name_of(mapping.function), lane, discarded);
        self.say(|| format!("        {} stream records are given up", discarded.len()));
        self.overslept(&table);
        if let Some(queue) = on_failure {
            self.send(&queue, told.to_string().into(), "stream records".into(), Instant::now());
        }
    }
}

/// The failure with the lowest number: from there on all is delivered again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn first_failure(response: &DynamoDbEventResponse) -> Option<u64> {
    let failures = response.batch_item_failures.iter();
    failures.filter_map(|failure| failure.item_identifier.as_deref()?.parse().ok()).min()
}
