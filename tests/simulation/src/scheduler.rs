//! The scheduler: decides what happens next, until nothing can.

use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use eda::batch::Deadline;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;

use crate::connector::INVOCATION;
use crate::execution::{Execution, Status};
use crate::functions::{Answer, Payload};
use crate::queue::later;
use crate::world::{Invocation, Work, World};

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
const LONGEST_PAUSE: Duration = Duration::from_secs(2 * 60 * 60);

/// After nothing was written for so long, what is written rouses the schedules.
const QUIET: Duration = Duration::from_secs(10 * 60);

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
        self.invocations.insert(id, Invocation::new(function, work, deadline, spared));
        let future = async move { runner.invoke(payload, Deadline::after(timeout)).await };
        self.executor.spawn(id, INVOCATION.scope(id, future));
    }

    /// The execution environment of an invocation is gone.
    pub(crate) fn die(&mut self, id: u64) {
        self.executor.kill(id);
        self.struck(id);
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
                let failed = !matches!(answer, Some(Answer::Task(_)));
                let writes = self.writes;
                if let Some(schedule) = self.schedules.get_mut(schedule) {
                    let busy = failed || schedule.writes != writes;
                    let pause = if busy { schedule.interval } else { schedule.pause * 2 };
                    schedule.pause = pause.min(LONGEST_PAUSE);
                    schedule.next = Instant::now() + schedule.pause;
                    schedule.running = false;
                }
            }
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

    /// An invocation wrote something. Where that ends a quiet time, schedules keep to their intervals again.
    pub(crate) fn wrote(&mut self, invocation: u64) {
        let now = Instant::now();
        self.writes += 1;
        let writer = self.invocations.get(&invocation);
        let ticks = writer.is_some_and(|writer| matches!(writer.work, Work::Tick { .. }));
        if !ticks && now.duration_since(self.written) > QUIET {
            for schedule in self.schedules.iter_mut().filter(|schedule| !schedule.running) {
                schedule.pause = schedule.interval;
                schedule.next = schedule.next.min(now + schedule.interval);
            }
        }
        self.written = now;
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
