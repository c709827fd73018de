//! Runs futures by hand, in an order that only the run's own events decide, and drops them when told to.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::Instant;

/// A future without a thread of its own.
pub type Local<T> = Pin<Box<dyn Future<Output = T>>>;

/// All running invocations.
pub struct Executor<T> {
    tasks: BTreeMap<u64, (Local<T>, Waker)>,
    ready: Arc<Ready>,
}

#[derive(Default)]
struct Ready(Mutex<State>);

#[derive(Default)]
struct State {
    woken: VecDeque<u64>,
    idle: Option<Waker>,
}

impl Ready {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.ready.state();
        if !state.woken.contains(&self.task) {
            state.woken.push_back(self.task);
        }
        if let Some(idle) = state.idle.take() {
            idle.wake();
        }
    }
}

impl<T: 'static> Executor<T> {
    /// Nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self { tasks: BTreeMap::new(), ready: Arc::default() }
    }

    /// Whether nothing runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Starts a task; its number must be new.
    pub fn spawn(&mut self, task: u64, future: impl Future<Output = T> + 'static) {
        let waker = Waker::from(Arc::new(TaskWaker { task, ready: self.ready.clone() }));
        waker.wake_by_ref();
        // Unconstrained: tokio's cooperative budget counts per poll of the whole simulation, not per task.
        self.tasks.insert(task, (Box::pin(tokio::task::unconstrained(future)), waker));
    }

    /// Drops a task wherever it stands.
    pub fn kill(&mut self, task: u64) {
        self.tasks.remove(&task);
    }

    /// Polls until every task waits for something; gives those that have finished.
    pub fn run_until_stalled(&mut self) -> Vec<(u64, T)> {
        let mut finished = Vec::new();
        loop {
            let Some(task) = self.ready.state().woken.pop_front() else {
                return finished;
            };
            let Some((future, waker)) = self.tasks.get_mut(&task) else {
                continue;
            };
            let waker = waker.clone();
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.tasks.remove(&task);
                finished.push((task, done));
            }
        }
    }

    /// Lets time pass until a task's timer fires, or until `until`.
    pub async fn idle(&self, until: Instant) {
        let mut sleep = std::pin::pin!(tokio::time::sleep_until(until));
        poll_fn(|context| {
            {
                let mut state = self.ready.state();
                if !state.woken.is_empty() {
                    return Poll::Ready(());
                }
                state.idle = Some(context.waker().clone());
            }
            sleep.as_mut().poll(context)
        })
        .await;
    }
}

impl<T: 'static> Default for Executor<T> {
    fn default() -> Self {
        Self::new()
    }
}
