//! Dead letters: what lies in the queues that nobody works on, who takes it in, and who sends it again.
//!
//! Nothing is done about them until somebody comes. Then `process-dlq` takes them into its table, by its mappings or on demand,
//! and whoever came sends them again as `ops failed retry` does, under traffic or when all is quiet.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use eda::aws::Aws;
use eda::dead_letters::{CollectorConfig, Desk, FailedMessage, FailureState, Retried, Routes, Selection};
use eda::row::Table;
use eda::{Failure, testing::wire::error};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;

use crate::connector::{INVOCATION, Sent};
use crate::functions::{Answer, Payload};
use crate::queue::{self, Message, arn};
use crate::world::{Invocation, Work, World};

/// Where dead letters are kept.
pub(crate) const FAILURES: &str = "FailedMessagesTable";

const KEPT: &str = "a dead letter is kept before it is deleted";
const ONCE: &str = "each dead letter is taken in once";
const REASON: &str = "only what cannot be handled, or was received too often, is a dead letter";

/// The number of the function that is none: a person with `ops`.
pub(crate) const PERSON: usize = usize::MAX;

/// How long a person works at it.
const SHIFT: Duration = Duration::from_secs(900);

/// How often a failure that comes back is sent again before it is put away.
const MOST_FAILURES: u32 = 3;

/// How often a person goes through all failures when all is quiet: some for each that cannot be helped and holds up those behind
/// it in its group.
const MOST_ROUNDS: u32 = 60;

/// Rounds after which nothing goes wrong any more.
const ROUGH_ROUNDS: u32 = 2;

/// How letters are taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// They wait.
    #[default]
    Nobody,
    /// By mappings.
    Mapped,
    /// Queue by queue, as somebody asks for it.
    OnDemand,
}

/// What was seen of dead letters, and who deals with them.
#[derive(Debug, Default)]
pub struct Letters {
    /// All that ever arrived: by queue, by id.
    arrived: BTreeMap<String, BTreeMap<String, Rc<str>>>,
    /// The failures under which each was written down, by its id. A failure's row forgets its oldest letters.
    kept: BTreeMap<String, BTreeSet<String>>,
    /// Messages that were received too often though nothing is wrong with them.
    spent: BTreeSet<Rc<str>>,
}

impl Letters {
    /// A message arrived in a queue that nobody works on.
    pub fn arrived(&mut self, queue: &str, message: &Message) {
        let queue = self.arrived.entry(queue.to_owned()).or_default();
        queue.insert(message.id.clone(), message.body.clone());
    }

    /// A row of failures was written.
    pub fn written(&mut self, row: &Value) {
        let text = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_str).map(ToOwned::to_owned);
        let Some(failure) = text(row, "/failureId/S") else { return };
        let letters = row.pointer("/letters/L").and_then(Value::as_array).into_iter().flatten();
        for letter in letters.filter_map(|letter| text(letter, "/S")) {
            self.kept.entry(letter).or_default().insert(failure.clone());
        }
    }

    /// The bodies of all letters that were ever in this queue.
    pub fn of(&self, queue: &str) -> impl Iterator<Item = &Rc<str>> {
        self.arrived.get(queue).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether a message with this body was ever a dead letter.
    #[must_use]
    pub fn has(&self, body: &str) -> bool {
        self.arrived.values().flat_map(BTreeMap::values).any(|letter| &**letter == body)
    }

    /// Whether a message was given up on though nothing is wrong with it.
    #[must_use]
    pub fn is_spent(&self, body: &str) -> bool {
        self.spent.contains(body)
    }
}

/// Somebody with `ops`.
pub(crate) struct Person {
    desk: Desk,
    routes: Routes,
    pub(crate) attendance: Attendance,
    rounds: u32,
}

impl Person {
    /// Somebody who has not come yet.
    pub(crate) fn new(aws: &Aws, queues: &BTreeMap<String, queue::Queue>) -> Result<Self, Failure> {
        let config = CollectorConfig {
            failures: Table::named(FAILURES),
            bucket: "FailedMessagesBucket".to_owned(),
            outbox: Table::named("OutboxTable"),
        };
        let urls = queues.keys().map(|name| (arn(name), name.clone())).collect();
        let sources = queues.iter().filter_map(|(name, queue)| {
            queue.settings.redrive.as_ref().map(|(_, target)| (arn(target), arn(name)))
        });
        let routes = Routes { urls, sources: sources.collect() };
        Ok(Self { desk: Desk::new(aws, config)?, routes, attendance: Attendance::Nobody, rounds: 0 })
    }
}

/// Sends all failures again, those of a message group in their order: one that could not be sent stops its group.
async fn retry(desk: Desk, routes: Routes) -> Result<u32, Failure> {
    let (mut stopped, mut sent) = (BTreeSet::new(), 0);
    for row in desk.select(&Selection::default()).await?.into_iter().filter(waits) {
        let group = row.message_group.clone().map(|group| (row.dead_letter_queue.clone(), group));
        if group.as_ref().is_some_and(|group| stopped.contains(group)) {
            continue;
        }
        match desk.retry(&row.failure_id, &routes).await {
            Ok(Retried::Sent | Retried::Done) => sent += 1,
            _ => stopped.extend(group),
        }
    }
    Ok(sent)
}

/// Puts away what cannot be helped, and lets those behind it go on.
async fn archive(desk: Desk, routes: Routes) -> Result<u32, Failure> {
    let mut archived = 0;
    for row in desk.select(&Selection::default()).await? {
        if is_helpless(&row)
            && desk.archive(&row.failure_id, "nobody can help it", &routes).await? == Some(true)
        {
            archived += 1;
        }
    }
    Ok(archived)
}

fn is_open(row: &FailedMessage) -> bool {
    matches!(row.status, FailureState::Failed | FailureState::Retrying)
}

/// Whether it is no use to send a failure again: it came back time and again, for reasons of its own, or nothing is left of it.
fn is_helpless(row: &FailedMessage) -> bool {
    let gone = row.body.as_deref().is_none_or(str::is_empty);
    let own = !row.reason.contains("waits behind");
    is_open(row) && (gone || own && row.failures >= MOST_FAILURES)
}

/// Whether a failure is to be sent again.
fn waits(row: &FailedMessage) -> bool {
    is_open(row) && !is_helpless(row)
}

impl World {
    /// Somebody comes while all goes on: letters are taken in from now on, and what has failed is sent again.
    pub(crate) fn come(&mut self) {
        self.attend();
        self.person_works("sends again what has failed", retry);
    }

    fn attend(&mut self) {
        if self.person.attendance == Attendance::Nobody {
            let ways = [Attendance::Mapped, Attendance::OnDemand];
            self.person.attendance = ways[usize::from(self.options.seed.is_multiple_of(2))];
            let way = self.person.attendance;
            self.say(|| format!("  dead letters are taken in: {way:?}"));
        }
    }

    /// All is quiet: whether somebody does something more about dead letters.
    pub(crate) fn deals_with_letters(&mut self) -> bool {
        let lie = self.system.collections.iter().any(|mapping| self.has_letters(&mapping.queue));
        if lie {
            self.attend();
            return true;
        }
        let rows: Vec<FailedMessage> = self.rows(FAILURES);
        if self.person.rounds == MOST_ROUNDS || !rows.iter().any(is_open) {
            return false;
        }
        self.person.rounds += 1;
        if self.person.rounds > ROUGH_ROUNDS {
            self.faults.end();
        }
        match rows.iter().any(is_helpless) {
            true => self.person_works("puts away what nobody can help", archive),
            false => self.person_works("sends again what has failed", retry),
        }
        true
    }

    fn has_letters(&self, queue: &str) -> bool {
        self.queues.get(queue).is_some_and(|queue| !queue.messages.is_empty())
    }

    /// Whether all letters are taken in, where somebody does so.
    pub(crate) fn letters_are_taken_in(&self) -> bool {
        self.person.attendance == Attendance::Nobody
            || self.system.collections.iter().all(|mapping| !self.has_letters(&mapping.queue))
    }

    /// When a letter can be received that cannot be now.
    pub(crate) fn next_letter(&self, now: Instant) -> Option<Instant> {
        if self.person.attendance == Attendance::Nobody {
            return None;
        }
        let queues = self.system.collections.iter().filter_map(|mapping| self.queues.get(&mapping.queue));
        queues.filter_map(|queue| queue.next_visible(now)).min()
    }

    /// The mappings that have letters to take in now.
    pub(crate) fn collects(&self, now: Instant) -> Vec<usize> {
        let mappings = self.system.collections.iter().enumerate();
        let due = mappings.filter(|(_, mapping)| {
            self.queues.get(&mapping.queue).is_some_and(|queue| queue.has_visible(now))
                && self.running(&mapping.queue) < mapping.concurrency
        });
        match self.person.attendance {
            Attendance::Nobody => Vec::new(),
            Attendance::Mapped => due.map(|(index, _)| index).collect(),
            // One at a time.
            Attendance::OnDemand => {
                let drains = self.invocations.values().any(|found| matches!(found.work, Work::Drain));
                due.take(usize::from(!drains)).map(|(index, _)| index).collect()
            }
        }
    }

    /// Has letters of a queue taken in.
    pub(crate) fn collect(&mut self, index: usize) {
        let system = self.system.clone();
        let Some(mapping) = system.collections.get(index) else { return };
        let (function, name, next) = (mapping.function, &mapping.queue, self.ids + 1);
        if self.person.attendance == Attendance::OnDemand {
            self.say(|| format!("  process-dlq#{next} is asked to drain {name}"));
            let input = json!({ "queueUrls": [name] }).to_string();
            let input = RawValue::from_string(input).unwrap_or_else(|_| RawValue::NULL.to_owned());
            self.invoke(function, Work::Drain, Payload::Task(input), false);
            return;
        }
        let Some(queue) = self.queues.get_mut(name) else { return };
        let (messages, _) = queue.receive(mapping.batch_size, Instant::now(), None);
        if self.options.planted == Some(Planted::LettersDeletedFirst) {
            for message in &messages {
                self.delete_letter(name, &message.id);
            }
        }
        self.say(|| format!("  process-dlq#{next} receives {} letters of {name}", messages.len()));
        let batch = serde_json::to_string(&queue::batch(name, &messages)).unwrap_or_default();
        let Ok(input) = RawValue::from_string(batch) else { return };
        let work = Work::Messages { queue: name.clone(), messages };
        self.invoke(function, work, Payload::Task(input), false);
    }

    /// A person is at work for a while.
    fn person_works<F>(&mut self, what: &str, work: impl FnOnce(Desk, Routes) -> F)
    where
        F: Future<Output = Result<u32, Failure>> + 'static,
    {
        let id = self.next_id();
        self.say(|| format!("  ops#{id} {what}"));
        let deadline = Instant::now() + SHIFT;
        self.invocations.insert(id, Invocation::new(PERSON, Work::Operate, deadline, false));
        let work = work(self.person.desk.clone(), self.person.routes.clone());
        let work = async move {
            match work.await {
                Ok(done) => Answer::Task(json!(done)),
                Err(failure) => Answer::Failed { name: failure.name().to_owned(), message: failure.chain() },
            }
        };
        self.executor.spawn(id, INVOCATION.scope(id, work));
    }

    /// A letter is deleted: it must be kept by then.
    pub(crate) fn delete_letter(&mut self, queue: &str, id: &str) {
        let Some(found) = self.queues.get_mut(queue) else { return };
        if found.messages.iter().any(|message| message.id == id) {
            found.delete(id);
            if !self.watch.letters.kept.contains_key(id) {
                let detail = format!("{id} of {queue} is deleted, and nobody has it");
                self.watch.report(KEPT, detail);
            }
        }
    }

    /// A message is received for the last time, and is a dead letter while it is still being handled: it took longer than it
    /// was hidden for.
    pub(crate) fn spend(&mut self, queue: &str, message: &Message) {
        let Some(source) = self.queues.get_mut(queue) else { return };
        let Some((_, target)) = source.settings.redrive.clone() else { return };
        source.delete(&message.id);
        self.watch.letters.spent.insert(message.body.clone());
        self.redrive(queue, &target, message.clone());
    }

    /// SQS moves a message, with all that it is; in a FIFO queue its id becomes its deduplication id.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
    pub(crate) fn redrive(&mut self, source: &str, target: &str, mut message: Message) {
        message.source = Some(source.into());
        message.visible_at = Instant::now();
        if let Some(place) = &mut message.place {
            place.deduplication = message.id.as_str().into();
        }
        self.watch.letters.arrived(target, &message);
        if let Some(queue) = self.queues.get_mut(target) {
            queue.messages.push(message);
        }
    }

    /// A function is invoked, and its caller waits for the answer.
    /// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
    pub(crate) fn ask(&mut self, sent: Sent, body: &Value) {
        let name = body.get("FunctionName").and_then(Value::as_str).unwrap_or_default().replace("%3A", ":");
        let package = name.split(':').nth(6).unwrap_or_default();
        let function = self.system.function(package);
        let payload = body.get("Payload").map(Value::to_string).unwrap_or_default();
        let (Some(function), Ok(payload)) = (function, RawValue::from_string(payload)) else {
            let (status, body) = error(404, "ResourceNotFoundException", &name);
            sent.answer(status, body, false);
            return;
        };
        let next = self.ids + 1;
        self.say(|| format!("  {package}#{next} is invoked"));
        self.invoke(function, Work::Asked(Box::new(sent)), Payload::Task(payload), false);
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
    pub(crate) fn receive_letters(&mut self, body: &Value) -> (u16, String) {
        let name = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
        let most = body.get("MaxNumberOfMessages").and_then(Value::as_u64).unwrap_or(1);
        let seconds = body.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or(30);
        let now = Instant::now();
        let Some(queue) = self.queues.get_mut(name) else { return error(400, "QueueDoesNotExist", name) };
        let (messages, _) = queue.receive(usize::try_from(most).unwrap_or(usize::MAX), now, None);
        for message in &messages {
            queue.hide(&message.receipt(), now + Duration::from_secs(seconds));
        }
        if self.options.planted == Some(Planted::LettersDeletedFirst) {
            for message in &messages {
                self.delete_letter(name, &message.id);
            }
        }
        let batch = queue::batch(name, &messages);
        let messages = batch.records.iter().map(|record| {
            let attributes = record.message_attributes.iter().map(|(name, value)| {
                (name.clone(), json!({ "DataType": "String", "StringValue": value.string_value }))
            });
            json!({
                "MessageId": record.message_id, "ReceiptHandle": record.receipt_handle, "Body": record.body,
                "Attributes": record.attributes,
                "MessageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
            })
        });
        (200, json!({ "Messages": messages.collect::<Vec<_>>() }).to_string())
    }

    /// By the receipt, which names the message.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
    pub(crate) fn delete_received(&mut self, body: &Value) -> (u16, String) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = text("ReceiptHandle").rsplit_once('/').map(|(id, _)| id).unwrap_or_default();
        self.delete_letter(text("QueueUrl"), id);
        (200, "{}".to_owned())
    }

    /// Looks at the dead letters when all is quiet: each was taken in once, and was one for a reason.
    pub(crate) fn audit_letters(&mut self) {
        let rows: Vec<FailedMessage> = self.rows(FAILURES);
        let mut broken = Vec::new();
        for (queue, letters) in &self.watch.letters.arrived {
            for (id, body) in letters {
                let times = self.watch.letters.kept.get(id).map_or(0, BTreeSet::len);
                if times != 1 {
                    broken.push((ONCE, format!("{id} of {queue} is in {times} rows: {body}")));
                }
            }
        }
        let open = rows.iter().filter(|row| is_open(row));
        broken.extend(open.map(|row| (ONCE, format!("{} stands {:?}", row.failure_id, row.status))));
        for mapping in &self.system.collections {
            let source = self.system.queues.iter().find(|(_, settings)| {
                settings.redrive.as_ref().is_some_and(|(_, target)| *target == mapping.queue)
            });
            // Those of rules, functions and streams are looked at with what they are about.
            let Some((source, settings)) = source else { continue };
            let poison = self.watch.poisoned(source);
            let parked: BTreeSet<String> =
                self.watch.letters.of(&mapping.queue).map(ToString::to_string).collect();
            for body in &poison {
                let times = rows.iter().filter(|row| row.body.as_ref() == Some(body)).count();
                if times != 1 {
                    broken.push((ONCE, format!("{} lets {body} end in {times} rows", mapping.queue)));
                }
            }
            let sound = parked.difference(&poison).filter(|body| !self.watch.letters.is_spent(body));
            // What waits behind poison in its group is looked at with the feeds.
            let sound = sound.filter(|_| !settings.fifo);
            broken.extend(sound.map(|body| (REASON, format!("{} had {body}", mapping.queue))));
        }
        for (promise, detail) in broken {
            self.watch.report(promise, detail);
        }
    }

    /// Something undecodable is put on a queue.
    pub(crate) fn poison_queue(&mut self, queue: &str, body: String) {
        self.watch.poison(queue, &body);
        let place = self.queues.get(queue).filter(|queue| queue.settings.fifo);
        let place = place.map(|queue| queue.place_of(&body));
        self.send_in(queue, body.into(), "poison".into(), Instant::now(), place, Rc::default());
    }

    /// A message may be spent while it is handled; those of a FIFO queue would lose their order, and are not.
    pub(crate) fn may_spend(&mut self, queue: &str, messages: &[Message]) {
        if messages.iter().any(|message| message.place.is_some() || &*message.label == "poison") {
            return;
        }
        if self.strike(Kind::SpentReceives) {
            let which = self.faults.rng().usize(0..messages.len().max(1));
            if let Some(message) = messages.get(which) {
                self.spend(queue, message);
            }
        }
    }
}
