//! Executions of a state machine: which states they are in, what they wait for, what becomes of a task's answer.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-standard-vs-express.html>

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::asl::{Branch, Definition, State, filled, look_up, names};

/// A state machine that is deployed.
#[derive(Clone, Debug)]
pub struct Machine {
    /// As the template says it.
    source: Value,
    definition: Definition,
    /// The positions of all functions, by ARN.
    functions: BTreeMap<String, usize>,
}

/// How an execution stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Running,
    /// It came to a good end.
    Succeeded,
    /// It failed with this error.
    Failed(String),
    /// It took too long: no catch was run.
    TimedOut,
    /// Somebody stopped it: no catch was run.
    Aborted,
}

/// An execution.
#[derive(Clone, Debug)]
pub struct Execution {
    machine: Rc<Machine>,
    /// As it was started with.
    pub text: String,
    input: Rc<Value>,
    began: Instant,
    /// How it stands.
    pub status: Status,
    /// States entered, and attempts made again: what is paid for.
    /// <https://aws.amazon.com/step-functions/pricing/>
    pub transitions: u64,
    /// The state whose tasks' answers get lost.
    pub deaf: Option<String>,
    threads: BTreeMap<u64, Thread>,
    threads_made: u64,
}

/// One way through the states: the execution's, or a branch's.
#[derive(Clone, Debug)]
struct Thread {
    /// The thread that forked it, and which branch it is.
    parent: Option<(u64, usize)>,
    state: String,
    input: Rc<Value>,
    /// How often each of the state's retriers was used.
    tried: Vec<u32>,
    stands: Stands,
}

#[derive(Clone, Debug)]
enum Stands {
    /// Its task is to be called, from then on.
    Ready(Instant),
    /// Its task was called, by this invocation, and is waited for until then.
    Called(u64, Instant),
    /// Its branches run; what each came to.
    Forked(Vec<Option<Value>>),
}

/// A task to be called.
#[derive(Debug)]
pub struct Called {
    /// Which thread waits for it.
    pub thread: u64,
    /// The state.
    pub state: String,
    /// The function.
    pub function: usize,
    /// What it is called with.
    pub payload: Value,
    /// It has few attempts left.
    pub last: bool,
    /// Whether an error leads to a state from which the saga is undone, or pushed on.
    pub undoable: bool,
    timeout: Duration,
}

impl Machine {
    /// Reads a definition.
    ///
    /// # Errors
    /// What there is no model of.
    pub fn read(source: Value, functions: BTreeMap<String, usize>) -> Result<Self, String> {
        let definition = serde_path_to_error::deserialize(&source).map_err(|error| error.to_string())?;
        Ok(Self { source, definition, functions })
    }

    /// The same with another definition.
    ///
    /// # Errors
    /// What there is no model of.
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Result<Self, String> {
        let mut source = self.source.clone();
        change(&mut source);
        Self::read(source, self.functions.clone())
    }
}

impl Execution {
    /// Begins an execution.
    #[must_use]
    pub fn start(machine: Rc<Machine>, text: String, now: Instant, rng: &mut Rng) -> Self {
        let input: Rc<Value> = Rc::new(serde_json::from_str(&text).unwrap_or_default());
        let start = machine.definition.start_at.clone();
        let mut execution = Self {
            machine,
            text,
            input: input.clone(),
            began: now,
            status: Status::Running,
            transitions: 0,
            deaf: None,
            threads: BTreeMap::new(),
            threads_made: 0,
        };
        execution.spawn(None, start, input, now, rng);
        execution
    }

    /// What it was started with.
    #[must_use]
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// When something happens by itself.
    pub fn moments(&self) -> impl Iterator<Item = Instant> + '_ {
        let running = self.status == Status::Running;
        let own = running.then(|| self.began + Duration::from_secs(self.machine.definition.timeout_seconds));
        let threads = self.threads.values().filter(move |_| running);
        let threads = threads.filter_map(|thread| match thread.stands {
            Stands::Ready(at) | Stands::Called(_, at) => Some(at),
            Stands::Forked(_) => None,
        });
        own.into_iter().chain(threads)
    }

    /// A task that is to be called now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<u64> {
        let ready = |thread: &Thread| matches!(thread.stands, Stands::Ready(at) if at <= now);
        let running = self.status == Status::Running;
        self.threads.iter().find(|(_, thread)| running && ready(thread)).map(|(id, _)| *id)
    }

    /// What is to be called for a thread.
    #[must_use]
    pub fn task(&self, id: u64) -> Option<Called> {
        let thread = self.threads.get(&id)?;
        let state = self.state_of(id)?;
        let State::Task { resource, input_path, parameters, timeout_seconds, retry, catch, .. } = state
        else {
            return None;
        };
        let input = look_up(input_path.as_deref().unwrap_or("$"), &thread.input, &self.input)?;
        let payload = match parameters {
            Some(template) => filled(template, &input, &self.input)?,
            None => input,
        };
        let spent = |(retry, tried): (&crate::asl::Retry, &u32)| {
            retry.max_attempts > 0 && tried.saturating_add(4) > retry.max_attempts
        };
        let states = &self.machine.definition.states;
        let leads_on = |next: &String| !matches!(states.get(next), Some(State::Fail { .. }));
        Some(Called {
            thread: id,
            state: thread.state.clone(),
            function: *self.machine.functions.get(resource)?,
            payload,
            last: retry.iter().zip(&thread.tried).any(spent),
            undoable: catch.first().is_some_and(|catch| leads_on(&catch.next)),
            timeout: Duration::from_secs(*timeout_seconds),
        })
    }

    /// The task of a thread was called.
    pub fn called(&mut self, task: &Called, invocation: u64, now: Instant) {
        if let Some(thread) = self.threads.get_mut(&task.thread) {
            thread.stands = Stands::Called(invocation, now + task.timeout);
        }
    }

    /// The task that this invocation was called for has answered. Nobody may wait for it any more.
    pub fn answered(&mut self, invocation: u64, output: Value, now: Instant, rng: &mut Rng) {
        if let Some(id) = self.waiting_for(invocation) {
            self.leave(id, Rc::new(output), now, rng);
        }
    }

    /// The task that this invocation was called for has failed, as far as anybody knows.
    pub fn failed(&mut self, invocation: u64, error: &str, cause: &str, now: Instant, rng: &mut Rng) {
        if let Some(id) = self.waiting_for(invocation) {
            self.fail(id, error, cause, now, rng);
        }
    }

    /// What waits for longer than it may fails.
    pub fn time_out(&mut self, now: Instant, rng: &mut Rng) {
        if self.status != Status::Running {
            return;
        }
        if now >= self.began + Duration::from_secs(self.machine.definition.timeout_seconds) {
            self.end(Status::TimedOut);
            return;
        }
        let late = self
            .threads
            .iter()
            .filter(|(_, thread)| matches!(thread.stands, Stands::Called(_, at) if at <= now));
        let late: Vec<u64> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.fail(id, "States.Timeout", "", now, rng);
        }
    }

    /// Ends it, whatever is under way.
    pub fn end(&mut self, status: Status) {
        self.status = status;
        self.threads.clear();
    }

    /// The states that its threads are in.
    #[must_use]
    pub fn states(&self) -> Vec<&str> {
        self.threads.values().map(|thread| thread.state.as_str()).collect()
    }

    /// The state whose task this invocation was called for, if it is waited for.
    #[must_use]
    pub fn state_waiting_for(&self, invocation: u64) -> Option<&str> {
        let thread = self.threads.get(&self.waiting_for(invocation)?)?;
        Some(&thread.state)
    }

    fn waiting_for(&self, invocation: u64) -> Option<u64> {
        let called = |thread: &Thread| matches!(thread.stands, Stands::Called(by, _) if by == invocation);
        self.threads.iter().find(|(_, thread)| called(thread)).map(|(id, _)| *id)
    }

    fn branch_of(&self, id: u64) -> Option<&Branch> {
        let (parent, index) = self.threads.get(&id)?.parent?;
        match self.state_of(parent)? {
            State::Parallel { branches, .. } => branches.get(index),
            _ => None,
        }
    }

    fn states_of(&self, id: u64) -> &BTreeMap<String, State> {
        self.branch_of(id).map_or(&self.machine.definition.states, |branch| &branch.states)
    }

    fn state_of(&self, id: u64) -> Option<&State> {
        self.states_of(id).get(&self.threads.get(&id)?.state)
    }

    fn spawn(
        &mut self,
        parent: Option<(u64, usize)>,
        state: String,
        input: Rc<Value>,
        now: Instant,
        rng: &mut Rng,
    ) {
        self.threads_made += 1;
        let id = self.threads_made;
        let stands = Stands::Ready(now);
        let thread = Thread { parent, state: state.clone(), input: input.clone(), tried: Vec::new(), stands };
        self.threads.insert(id, thread);
        self.enter(id, state, input, now, rng);
    }

    /// A thread comes into a state, and through those that wait for nothing.
    fn enter(&mut self, id: u64, name: String, input: Rc<Value>, now: Instant, rng: &mut Rng) {
        self.transitions += 1;
        let Some(thread) = self.threads.get_mut(&id) else { return };
        thread.state = name;
        thread.input = input.clone();
        thread.stands = Stands::Ready(now);
        let Some(state) = self.state_of(id).cloned() else {
            return self.fail(id, "States.Runtime", "there is no such state", now, rng);
        };
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.tried = vec![0; state.retries().len()];
        }
        match state {
            State::Task { .. } => {}
            State::Parallel { branches, .. } => self.fork(id, &branches, now, rng),
            State::Choice { choices, default } => {
                let found = |path: &str| look_up(path, &input, &self.input);
                let way = choices.iter().find(|way| found(&way.variable) == Some(json!(way.string_equals)));
                let next = way.map_or(default, |way| way.next.clone());
                self.enter(id, next, input, now, rng);
            }
            State::Pass { parameters, .. } => {
                let made = parameters
                    .map_or(Some((*input).clone()), |template| filled(&template, &input, &self.input));
                match made {
                    Some(made) => self.leave(id, Rc::new(made), now, rng),
                    None => self.fail(id, "States.Runtime", "a path leads nowhere", now, rng),
                }
            }
            State::Succeed {} => self.finish(id, input, now, rng),
            State::Fail { error, cause } => self.fail(id, &error, &cause, now, rng),
        }
    }

    fn fork(&mut self, id: u64, branches: &[Branch], now: Instant, rng: &mut Rng) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        thread.stands = Stands::Forked(vec![None; branches.len()]);
        let input = thread.input.clone();
        for (index, branch) in branches.iter().enumerate() {
            self.spawn(Some((id, index)), branch.start_at.clone(), input.clone(), now, rng);
        }
    }

    /// A state is done.
    fn leave(&mut self, id: u64, output: Rc<Value>, now: Instant, rng: &mut Rng) {
        let next = match self.state_of(id) {
            Some(State::Task { next, .. } | State::Parallel { next, .. } | State::Pass { next, .. }) => {
                next.clone()
            }
            _ => None,
        };
        match next {
            Some(next) => self.enter(id, next, output, now, rng),
            None => self.finish(id, output, now, rng),
        }
    }

    /// A thread is at its end.
    fn finish(&mut self, id: u64, output: Rc<Value>, now: Instant, rng: &mut Rng) {
        let Some((parent, index)) = self.threads.remove(&id).and_then(|thread| thread.parent) else {
            return self.end(Status::Succeeded);
        };
        let Some(Thread { stands: Stands::Forked(results), .. }) = self.threads.get_mut(&parent) else {
            return;
        };
        if let Some(result) = results.get_mut(index) {
            *result = Some((*output).clone());
        }
        if let Some(all) = results.iter().cloned().collect::<Option<Vec<_>>>() {
            self.leave(parent, Rc::new(Value::Array(all)), now, rng);
        }
    }

    fn fail(&mut self, id: u64, error: &str, cause: &str, now: Instant, rng: &mut Rng) {
        let Some(state) = self.state_of(id).cloned() else { return };
        let retry = state.retries().iter().enumerate().find(|(_, retry)| names(&retry.error_equals, error));
        if let (Some((index, retry)), Some(thread)) = (retry, self.threads.get_mut(&id))
            && let Some(tried) = thread.tried.get_mut(index).filter(|tried| **tried < retry.max_attempts)
        {
            let pause = retry.pause(*tried, rng);
            *tried += 1;
            thread.stands = Stands::Ready(now + pause);
            self.transitions += 1;
            self.forget_children(id);
            if let State::Parallel { branches, .. } = &state {
                // At once: no fork that is deployed is tried again, and its pause would need a state of its own.
                self.fork(id, branches, now, rng);
            }
            return;
        }
        self.forget_children(id);
        let catch = state.catchers().iter().find(|catch| names(&catch.error_equals, error));
        match (catch, self.threads.get(&id).and_then(|thread| thread.parent)) {
            (Some(catch), _) => {
                let caught = json!({ "Error": error, "Cause": cause });
                self.enter(id, catch.next.clone(), Rc::new(caught), now, rng);
            }
            // Where one branch fails, the fork does, and its other branches are stopped.
            (None, Some((parent, _))) => self.fail(parent, error, cause, now, rng),
            (None, None) => self.end(Status::Failed(error.to_owned())),
        }
    }

    fn forget_children(&mut self, id: u64) {
        let children: Vec<u64> = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.parent.is_some_and(|(parent, _)| parent == id))
            .map(|(child, _)| *child)
            .collect();
        for child in children {
            self.forget_children(child);
            self.threads.remove(&child);
        }
    }
}
