//! The scheduler: decides what happens next, until nothing can.

use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::streams::DynamoDbEventResponse;
use eda::batch::Deadline;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::body_of;
use crate::connector::INVOCATION;
use crate::execution::{Execution, Status};
use crate::facts;
use crate::fault::Kind;
use crate::functions::{Answer, Payload};
use crate::imports::CREATED;
use crate::pattern::fits;
use crate::planted::Planted;
use crate::queue::{self, later};
use crate::stream::{self, Discarded, Record};
use crate::world::{Delivered, Delivery, Invocation, Work, World};

/// What can happen next.
#[derive(Clone, Debug)]
enum Action {
    Call(u64),
    Bus(usize),
    Stream(usize, usize),
    Queue(usize),
    Client(usize),
    Look(usize),
    Schedule(usize),
    Gateway(usize),
    Task(String),
    Invoke(usize),
    Collect(usize),
}

/// Longer than any order can take: its deadline, and a few rounds of expiry.
const LONGEST: Duration = Duration::from_secs(6 * 24 * 60 * 60);

/// The longest pause of a schedule while nothing goes on.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);

/// How long a message may be delayed.
const DELAY: Duration = Duration::from_secs(600);

impl World {
    /// Runs until all is quiet, or a promise is broken.
    pub(crate) async fn run(&mut self) {
        let most_steps = 20_000 + 3_000 * u64::try_from(self.options.orders).unwrap_or(u64::MAX / 3_000);
        while self.watch.broken.is_empty() {
            self.settle();
            self.steps += 1;
            if self.steps == most_steps {
                self.faults.end();
            }
            if self.clock.elapsed() > LONGEST || self.steps > 4 * most_steps {
                let open = self.watch.open();
                self.watch.report("the system comes to rest", format!("{open} orders are open"));
                return;
            }
            self.time_out();
            match self.choose() {
                Some(action) => self.perform(action),
                None if self.is_quiet() && self.deals_with_letters() => continue,
                None if self.is_quiet() => {
                    self.read_orders();
                    self.audit();
                    return;
                }
                None => {
                    let until = self.next_event().unwrap_or_else(|| Instant::now() + LONGEST_PAUSE);
                    self.executor.idle(until).await;
                    self.expire_rows();
                    continue;
                }
            }
            self.settle();
            // Time goes by while things happen, so that timers race with them.
            if self.options.most_faults > 0 && self.rng.u8(0..16) == 0 {
                let pause = later(Instant::now(), &mut self.rng, Duration::from_millis(400));
                self.executor.idle(pause).await;
            }
        }
    }

    /// Lets every function run as far as it can.
    pub(crate) fn settle(&mut self) {
        loop {
            let finished = self.executor.run_until_stalled();
            for sent in self.network.take() {
                self.park(sent);
            }
            if finished.is_empty() {
                return;
            }
            for (id, answer) in finished {
                let late = self.strikes(Kind::LateTimeout, id);
                self.finish(id, Some(answer).filter(|_| !late));
            }
        }
    }

    fn choose(&mut self) -> Option<Action> {
        let now = Instant::now();
        let mut actions: Vec<(u32, Action)> = Vec::new();
        actions.extend(
            self.calls
                .iter()
                .filter(|(_, call)| call.not_before <= now)
                .map(|(id, _)| (4, Action::Call(*id))),
        );
        let waiting = self.waiting.iter().position(|waiting| waiting.at <= now);
        actions.extend(waiting.map(|index| (4, Action::Gateway(index))));
        let bus = self.bus.iter().enumerate().filter(|(_, delivery)| delivery.not_before <= now);
        actions.extend(bus.map(|(index, _)| (3, Action::Bus(index))));
        for (index, reader) in self.readers.iter().enumerate() {
            let lanes = reader.lanes.iter().enumerate().filter(|(_, lane)| {
                lane.under_way.is_none() && !lane.records.is_empty() && lane.not_before <= now
            });
            actions.extend(lanes.map(|(lane, _)| (2, Action::Stream(index, lane))));
        }
        for (index, mapping) in self.system.queue_mappings.iter().enumerate() {
            let visible = self.queues.get(&mapping.queue).is_some_and(|queue| queue.has_visible(now));
            if visible && self.running(&mapping.queue) < mapping.concurrency {
                actions.push((2, Action::Queue(index)));
            }
        }
        actions.extend(self.clients.due(now).map(|order| (2, Action::Client(order))));
        actions.extend(self.clients.looking(now).map(|order| (2, Action::Look(order))));
        let due = self.schedules.iter().position(|schedule| !schedule.running && schedule.next <= now);
        actions.extend(due.map(|index| (2, Action::Schedule(index))));
        actions.extend(self.due_executions(now).map(|name| (2, Action::Task(name.clone()))));
        let pending = self.pending.iter().enumerate().filter(|(_, event)| event.not_before <= now);
        actions.extend(pending.map(|(index, _)| (2, Action::Invoke(index))));
        actions.extend(self.collects(now).into_iter().map(|index| (2, Action::Collect(index))));
        if !self.faults.has(Kind::Reorder) {
            return actions.into_iter().next().map(|(_, action)| action);
        }
        let total: u32 = actions.iter().map(|(weight, _)| weight).sum();
        let mut drawn = if total == 0 { return None } else { self.rng.u32(0..total) };
        for (weight, action) in actions {
            match drawn.checked_sub(weight) {
                Some(left) => drawn = left,
                None => return Some(action),
            }
        }
        None
    }

    pub(crate) fn running(&self, queue: &str) -> usize {
        let works = |invocation: &&Invocation| matches!(&invocation.work, Work::Messages { queue: works, .. } if works == queue);
        self.invocations.values().filter(works).count()
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Call(id) => self.decide(id),
            Action::Gateway(index) => self.resume(index),
            Action::Bus(index) => self.deliver(index),
            Action::Stream(reader, lane) => self.read_stream(reader, lane),
            Action::Queue(mapping) => self.receive(mapping),
            Action::Client(order) => {
                let answered = self.clients.orders.get(order).is_some_and(|order| order.id.is_some());
                let changed = answered && self.rng.bool();
                self.place(order, changed);
            }
            Action::Look(order) => self.look(order),
            Action::Schedule(index) => self.tick(index),
            Action::Task(name) => self.call_task(&name),
            Action::Invoke(index) => self.invoke_with(index),
            Action::Collect(index) => self.collect(index),
        }
    }

    /// When something happens by itself.
    fn next_event(&self) -> Option<Instant> {
        let now = Instant::now();
        let work = self.system.queue_mappings.iter().filter_map(|mapping| self.queues.get(&mapping.queue));
        let lanes = self.readers.iter().flat_map(|reader| &reader.lanes);
        let lanes = lanes.filter(|lane| lane.under_way.is_none() && !lane.records.is_empty());
        let moments = work
            .filter_map(|queue| queue.next_visible(now))
            .chain(lanes.map(|lane| lane.not_before))
            .chain(self.schedules.iter().filter(|schedule| !schedule.running).map(|schedule| schedule.next))
            .chain(self.bus.iter().map(|delivery| delivery.not_before))
            .chain(self.pending.iter().map(|event| event.not_before))
            .chain(self.calls.values().map(|call| call.not_before))
            .chain(self.waiting.iter().map(|waiting| waiting.at))
            .chain(self.invocations.values().map(|invocation| invocation.deadline))
            .chain(self.executions.values().flat_map(Execution::moments))
            .chain(self.clients.next())
            .chain(self.next_letter(now));
        moments.filter(|at| *at > now).min()
    }

    fn is_quiet(&self) -> bool {
        let work = self.system.queue_mappings.iter().filter_map(|mapping| self.queues.get(&mapping.queue));
        self.executor.is_empty()
            && self.calls.is_empty()
            && self.waiting.is_empty()
            && self.bus.is_empty()
            && self.pending.is_empty()
            && self.letters_are_taken_in()
            && self.clients.content()
            && work.into_iter().all(|queue| queue.messages.is_empty())
            && self.readers.iter().flat_map(|reader| &reader.lanes).all(|lane| lane.records.is_empty())
            && self.row_count("OutboxTable") == 0
            && self.watch.open() == 0
            && self.views_are_at_rest()
            && self.open_windows() == 0
            && self.executions.values().all(|execution| execution.status != Status::Running)
    }

    /// Starts an invocation.
    pub(crate) fn invoke(&mut self, function: usize, work: Work, payload: Payload, spared: bool) {
        let timeout = self.system.functions.get(function).map(|deployed| deployed.timeout);
        let (Some(runner), Some(timeout)) = (self.runners.get(function).cloned(), timeout) else { return };
        let id = self.next_id();
        let deadline = Instant::now() + timeout;
        self.invocations.insert(id, Invocation { function, work, deadline, spared, struck: false });
        let future = async move { runner.invoke(payload, Deadline::after(timeout)).await };
        self.executor.spawn(id, INVOCATION.scope(id, future));
    }

    /// The execution environment of an invocation is gone.
    pub(crate) fn die(&mut self, id: u64) {
        self.executor.kill(id);
        self.struck(id);
        if let Some(runner) = self.invocations.get(&id).and_then(|found| self.runners.get(found.function)) {
            runner.crash();
        }
        self.finish(id, None);
    }

    /// Lambda ends what takes too long.
    fn time_out(&mut self) {
        let now = Instant::now();
        let late = self.invocations.iter().filter(|(_, invocation)| invocation.deadline <= now);
        let late: Vec<u64> = late.map(|(id, _)| *id).collect();
        for id in late {
            let label = self.label_of(id);
            self.say(|| format!("        ✗ {label} times out"));
            self.die(id);
        }
        self.time_out_executions();
    }

    /// An invocation has ended: with an answer, or without.
    fn finish(&mut self, id: u64, answer: Option<Answer>) {
        let label = if self.trace.is_on() { self.label_of(id) } else { String::new() };
        let Some(Invocation { work, function, struck, .. }) = self.invocations.remove(&id) else { return };
        let name = self.name_of(function).to_owned();
        if let Some(Answer::Failed { name, message }) = &answer {
            self.say(|| format!("  {label} failed: {name}: {message}"));
        }
        match work {
            Work::Messages { queue, messages } => {
                let forgiving = self.options.planted == Some(Planted::AcknowledgesFailed);
                let failed = match answer {
                    Some(Answer::Queue(_)) if forgiving => Vec::new(),
                    Some(Answer::Queue(response)) => failed_items(&response),
                    // A task that is fed by a mapping.
                    Some(Answer::Task(answer)) => {
                        failed_items(&serde_json::from_value(answer).unwrap_or_default())
                    }
                    _ => messages.iter().map(|message| message.id.clone()).collect(),
                };
                self.say(|| format!("  {label} ends, {} to be delivered again", failed.len()));
                let letters = !self.system.is_work_queue(&queue);
                for message in messages.iter().filter(|message| !failed.contains(&message.id)) {
                    if letters {
                        self.delete_letter(&queue, &message.id);
                        continue;
                    }
                    self.acknowledged(&name, message);
                    if let Some(queue) = self.queues.get_mut(&queue) {
                        queue.delete(&message.id);
                    }
                }
            }
            Work::Records { reader, lane } => self.stream_answered(reader, lane, answer, &label),
            Work::Echo | Work::Operate | Work::Drain => {}
            Work::Asked(sent) => match answer {
                Some(Answer::Task(answer)) => sent.answer(200, answer.to_string(), false),
                Some(Answer::Failed { name, message }) => {
                    let told = json!({ "errorType": name, "errorMessage": message });
                    sent.answer_of_failed_function(told.to_string());
                }
                _ => {
                    let told = json!({ "errorType": "Sandbox.Timedout", "errorMessage": "Task timed out" });
                    sent.answer_of_failed_function(told.to_string());
                }
            },
            Work::Event(event) => self.event_answered(event, answer, struck),
            Work::Task { execution } => self.heard(&execution, id, answer),
            Work::Place { order, changed } => self.placed(order, changed, answer),
            Work::Read { order } => self.was_read(order, answer),
            Work::Tick { schedule } => {
                self.reconciled(&name, answer.as_ref());
                let writes = self.writes;
                if let Some(schedule) = self.schedules.get_mut(schedule) {
                    let busy = schedule.writes != writes;
                    let pause = if busy { schedule.interval } else { schedule.pause * 2 };
                    schedule.pause = pause.min(LONGEST_PAUSE);
                    schedule.next = Instant::now() + schedule.pause;
                    schedule.running = false;
                }
            }
        }
    }

    fn stream_answered(&mut self, index: usize, lane: usize, answer: Option<Answer>, label: &str) {
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

    fn deliver(&mut self, index: usize) {
        let delivery = self.bus.remove(index);
        let number = u64::try_from(self.delivered.len()).ok();
        let lost = self.options.lost.is_some() && self.options.lost == number;
        self.delivered.push(Delivered { target: delivery.target.clone(), call: self.decided });
        let function = self.system.target(&delivery.target);
        if lost || self.strike(Kind::LostMessage) {
            self.faults.never_again(Kind::LostMessage);
            if &*delivery.label == "StockUpdate" {
                self.watch.shortages.excuse();
            }
            if function.is_some() {
                self.lost(&delivery.body);
            }
            self.imports.unheard |= &*delivery.label == CREATED;
            self.say(|| format!("        ✗ {} to {} is lost for good", delivery.label, delivery.target));
            return;
        }
        let now = Instant::now();
        if self.strike(Kind::Duplicate) {
            let not_before = self.soon_or_later(now);
            self.bus.push(Delivery { not_before, ..delivery.clone() });
        }
        if let Some(function) = function {
            self.hand_over(function, delivery);
            return;
        }
        let Delivery { target: queue, body, label, .. } = delivery;
        let visible = if self.strike(Kind::Delay) { later(now, self.faults.rng(), DELAY) } else { now };
        self.say(|| format!("{label} → {queue}"));
        self.meter.message();
        self.send(&queue, body, label, visible);
        if self.strike(Kind::Poison) {
            self.poison();
        }
        if self.strike(Kind::Rebuild) {
            self.operate();
        }
        if self.strike(Kind::Operator) {
            self.come();
        }
    }

    /// At once, so that two deliveries race, or up to ten minutes later.
    pub(crate) fn soon_or_later(&mut self, now: Instant) -> Instant {
        let rng = self.faults.rng();
        if rng.bool() { now } else { later(now, rng, DELAY) }
    }

    fn poison(&mut self) {
        let queues = &self.system.queue_mappings;
        let Some(mapping) = queues.get(self.faults.rng().usize(0..queues.len().max(1))) else { return };
        let queue = mapping.queue.clone();
        // Each its own: dead letters are told apart by what they say.
        let number = self.next_id();
        let body = match self.faults.rng().bool() {
            true => format!("poison {number}"),
            false => json!({ "detail-type": "Poisoned", "source": "nobody", "detail": { "n": number } })
                .to_string(),
        };
        self.poison_queue(&queue, body);
    }

    /// The bus takes an event.
    pub(crate) fn publish(&mut self, id: &str, entry: &Value) {
        let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut detail: Value = serde_json::from_str(field("Detail")).unwrap_or_default();
        let event_id = detail.pointer("/metadata/eventId").and_then(Value::as_str).unwrap_or_default();
        self.watch.publish(event_id);
        self.meter.event();
        if self.options.planted == Some(Planted::BusId)
            && let Some(event_id) = detail.pointer_mut("/metadata/eventId")
        {
            *event_id = json!(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes()));
        }
        self.watch.receipts.published(field("DetailType"), &detail);
        let label: Rc<str> = match detail.get("orderId").and_then(Value::as_str) {
            Some(order) => format!("{}({order})", field("DetailType")).into(),
            None => field("DetailType").into(),
        };
        let event = json!({
            "version": "0", "id": id, "detail-type": field("DetailType"), "source": field("Source"),
            "account": "111122223333", "time": "2026-01-15T10:30:00Z", "region": "us-east-1",
            "resources": [], "detail": detail,
        });
        let body: Rc<str> = event.to_string().into();
        let system = self.system.clone();
        let now = Instant::now();
        let fitting = system.rules.iter().enumerate().filter(|(_, rule)| fits(&rule.pattern, &event));
        for (index, rule) in fitting {
            let body = match &rule.transformer {
                Some(transformer) => self.transformed(transformer.apply(&event)).into(),
                None => body.clone(),
            };
            let (label, target) = (label.clone(), rule.target.clone());
            let delivery =
                Delivery { rule: index, target, body, label, since: now, not_before: now, tried: 0 };
            self.archive.push(delivery.clone());
            self.bus.push(delivery);
        }
        if self.strike(Kind::Replay) {
            self.faults.never_again(Kind::Replay);
            for delivery in self.archive.clone() {
                let not_before = self.soon_or_later(now);
                self.bus.push(Delivery { since: now, not_before, ..delivery });
            }
        }
    }

    fn receive(&mut self, index: usize) {
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

    fn read_stream(&mut self, index: usize, lane: usize) {
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

    fn tick(&mut self, index: usize) {
        let writes = self.writes;
        let Some(schedule) = self.schedules.get_mut(index) else { return };
        schedule.running = true;
        schedule.writes = writes;
        let function = schedule.function;
        self.reconciling(function);
        if self.trace.is_on() {
            let (name, next) = (self.name_of(function).to_owned(), self.ids + 1);
            self.say(|| format!("  {name}#{next} is due"));
        }
        self.invoke(function, Work::Tick { schedule: index }, Payload::Task(scheduled()), false);
    }

    fn place(&mut self, index: usize, changed: bool) {
        let Some(function) = self.system.function("place-order") else { return };
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        order.asking = true;
        let (request, story) = (order.place(changed), order.story);
        let next = self.ids + 1;
        self.say(|| {
            format!("  place-order#{next} is asked for order {index} ({story:?}, changed: {changed})")
        });
        let work = Work::Place { order: index, changed };
        self.invoke(function, work, Payload::Http(Box::new(request)), false);
    }

    fn placed(&mut self, index: usize, changed: bool, answer: Option<Answer>) {
        let again = self.strike(Kind::ClientRepeat);
        let pause = later(Instant::now(), &mut self.rng, Duration::from_secs(30));
        let Some(order) = self.clients.orders.get_mut(index) else { return };
        order.asking = false;
        let Some(Answer::Http(response)) = answer else {
            order.next = Some(pause);
            return;
        };
        let id = body_of(&response).get("orderId").and_then(Value::as_str).map(ToOwned::to_owned);
        order.next = (again || response.status_code >= 500).then_some(pause);
        match (response.status_code, changed, order.id.clone(), id) {
            (503, ..) => {}
            (202, false, None, Some(id)) => {
                order.id = Some(id.clone());
                if self.options.most_faults > 0 {
                    order.look_again(Instant::now(), &mut self.rng);
                }
                self.trace.alias(&id, &format!("order-{index}"));
            }
            (202, false, Some(before), Some(id)) if before == id => {}
            (422, true, ..) => {}
            (status, ..) => {
                let detail = format!("order {index}, changed: {changed}, was answered {status}");
                self.watch.report("the same key gets the same answer", detail);
            }
        }
    }

    /// DynamoDB deletes expired rows, some time later. Only a planted mistake makes rows expire within a run.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
    fn expire_rows(&mut self) {
        if self.options.planted != Some(Planted::ExpiringRows) {
            return;
        }
        let now = self.clock.now().as_second();
        let system = self.system.clone();
        for (table, attribute) in &system.expiring {
            for item in self.database.items(table) {
                let at = item.get(attribute).and_then(|value| value.get("N")).and_then(Value::as_str);
                if at.and_then(|at| at.parse::<i64>().ok()).is_some_and(|at| at < now) {
                    let keys = system.keys.get(table).into_iter().flatten();
                    let key: serde_json::Map<_, _> =
                        keys.filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect();
                    self.database.call("DeleteItem", &json!({ "TableName": table, "Key": key }));
                }
            }
        }
    }
}

/// What a schedule sends: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html>.
fn scheduled() -> Box<RawValue> {
    let event = json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} });
    RawValue::from_string(event.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn failed_items(response: &SqsBatchResponse) -> Vec<String> {
    response.batch_item_failures.iter().map(|failure| failure.item_identifier.clone()).collect()
}

/// The failure with the lowest number: from there on all is delivered again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn first_failure(response: &DynamoDbEventResponse) -> Option<u64> {
    let failures = response.batch_item_failures.iter();
    failures.filter_map(|failure| failure.item_identifier.as_deref()?.parse().ok()).min()
}
