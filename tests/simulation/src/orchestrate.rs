//! Step Functions: starts executions, calls their tasks, hears or misses the answers.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html>

use std::rc::Rc;

use eda::testing::wire::error;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulation_cli::Kind;
use tokio::time::Instant;

use crate::execution::{Execution, Status};
use crate::functions::{Answer, Payload};
use crate::planted;
use crate::world::{Work, World};

/// What Lambda's service, or the function's environment, may answer in place of the function.
const UNHEARD: [&str; 4] =
    ["Lambda.ServiceException", "Lambda.SdkClientException", "Lambda.Unknown", "Sandbox.Timedout"];

impl World {
    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>
    pub(crate) fn start_execution(&mut self, body: &Value) -> (u16, String) {
        let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some(machine) = self.machines.get(field("stateMachineArn")).cloned() else {
            return error(400, "StateMachineDoesNotExist", field("stateMachineArn"));
        };
        let name = match field("name") {
            "" => format!("unnamed-{}", self.next_id()),
            name => name.to_owned(),
        };
        let started = json!({ "executionArn": name, "startDate": 0 }).to_string();
        if let Some(before) = self.executions.get(&name) {
            // "StartExecution is idempotent for STANDARD workflows": while it runs, under the same name with the same input.
            let same = before.status == Status::Running && before.text == field("input");
            return if same { (200, started) } else { error(400, "ExecutionAlreadyExists", &name) };
        }
        self.say(|| format!("    the execution {name} starts"));
        let now = Instant::now();
        let execution = Execution::start(machine, field("input").to_owned(), now, &mut self.rng);
        self.executions.insert(name, execution);
        (200, started)
    }

    /// The executions of which a task is to be called now.
    pub(crate) fn due_executions(&self, now: Instant) -> impl Iterator<Item = &String> {
        self.executions
            .iter()
            .filter(move |(_, execution)| execution.due(now).is_some())
            .map(|(name, _)| name)
    }

    /// Calls the next task of an execution.
    pub(crate) fn call_task(&mut self, name: &str) {
        let now = Instant::now();
        let Some(execution) = self.executions.get(name) else { return };
        let Some(task) = execution.due(now).and_then(|thread| execution.task(thread)) else {
            if let Some(execution) = self.executions.get_mut(name) {
                execution.end(Status::Failed("States.Runtime".to_owned()));
            }
            return;
        };
        if !task.last && self.strike(Kind::ExecutionStop) {
            self.faults.never_again(Kind::ExecutionStop);
            if let Some(execution) = self.executions.get_mut(name) {
                execution.end(Status::Aborted);
            }
            self.say(|| format!("        ✗ {name} is stopped before {}", task.state));
            return;
        }
        if task.undoable && self.strike(Kind::LostTask) {
            self.faults.never_again(Kind::LostTask);
            if let Some(execution) = self.executions.get_mut(name) {
                execution.deaf = Some(task.state.clone());
            }
        }
        let invocation = self.ids + 1;
        if let Some(execution) = self.executions.get_mut(name) {
            execution.called(&task, invocation, now);
        }
        let function = self.name_of(task.function).to_owned();
        self.say(|| format!("  {function}#{invocation} is called for {} of {name}", task.state));
        if self.options.unheard.iter().any(|lost| lost.state == task.state && !lost.done) {
            self.ids += 1;
            self.heard(name, invocation, None);
            return;
        }
        let Ok(payload) = RawValue::from_string(task.payload.to_string()) else { return };
        // The service may send a request again whose answer it has not seen.
        if self.strike(Kind::Duplicate) {
            let echo = Payload::Task(payload.clone());
            let work = Work::Task { execution: name.to_owned() };
            self.invoke(task.function, work, Payload::Task(payload), task.last);
            self.invoke(task.function, Work::Echo, echo, false);
            return;
        }
        let work = Work::Task { execution: name.to_owned() };
        self.invoke(task.function, work, Payload::Task(payload), task.last);
    }

    /// A task has answered, or nobody knows.
    pub(crate) fn heard(&mut self, name: &str, invocation: u64, answer: Option<Answer>) {
        let now = Instant::now();
        let unheard = UNHEARD[self.rng.usize(0..UNHEARD.len())];
        let Some(execution) = self.executions.get_mut(name) else { return };
        let Some(state) = execution.state_waiting_for(invocation).map(ToOwned::to_owned) else { return };
        let lost = self.options.unheard.iter().any(|lost| lost.state == state);
        let deaf = lost || execution.deaf.as_ref() == Some(&state);
        let before = execution.states().join(", ");
        match answer.filter(|_| !deaf) {
            Some(Answer::Task(output)) => execution.answered(invocation, output, now, &mut self.rng),
            Some(Answer::Failed { name: error, message }) => {
                let cause = json!({ "errorType": error, "errorMessage": message }).to_string();
                execution.failed(invocation, &error, &cause, now, &mut self.rng);
            }
            _ => execution.failed(invocation, unheard, "", now, &mut self.rng),
        }
        let states = execution.states().join(", ");
        let status = execution.status.clone();
        self.say(|| match status {
            Status::Running if before == states => format!("  {name} stays in {states}"),
            Status::Running => format!("  {name} goes to {states}"),
            ended => format!("  {name} ends: {ended:?}"),
        });
    }

    /// Executions that take too long end, and so do tasks.
    pub(crate) fn time_out_executions(&mut self) {
        let now = Instant::now();
        for execution in self.executions.values_mut() {
            execution.time_out(now, &mut self.rng);
        }
    }

    /// No saga fails, each order has one, and each has ended.
    pub(crate) fn audit_executions(&mut self) {
        let mut broken = Vec::new();
        let mut orders = std::collections::BTreeMap::<String, u32>::new();
        for (name, execution) in &self.executions {
            let order =
                execution.input().pointer("/detail/orderId").and_then(Value::as_str).unwrap_or_default();
            *orders.entry(order.to_owned()).or_default() += 1;
            if let Status::Failed(error) = &execution.status
                && self.options.unheard.is_empty()
            {
                broken.push(("no saga fails for good", format!("{name} ended with {error}")));
            }
        }
        let twice = orders.into_iter().filter(|(_, times)| *times > 1);
        broken.extend(
            twice.map(|(order, times)| ("an order has one execution", format!("{order} has {times}"))),
        );
        for (promise, detail) in broken {
            self.watch.report(promise, detail);
        }
    }

    /// How many states were entered in all.
    pub(crate) fn transitions(&self) -> u64 {
        self.executions.values().map(|execution| execution.transitions).sum()
    }

    /// The state machines as this run has them.
    pub(crate) fn install_machines(&mut self) {
        let planted = self.options.planted;
        for (arn, machine) in &self.system.machines.clone() {
            let machine = match planted {
                Some(planted) => {
                    machine.changed(|definition| planted::define(planted, definition)).ok().map(Rc::new)
                }
                None => Some(machine.clone()),
            };
            self.machines.extend(machine.map(|machine| (arn.clone(), machine)));
        }
    }
}
