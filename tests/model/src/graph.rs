//! The whole graph of states: every state once, and from which it can be left.
//!
//! The checker of `stateright` answers what holds in every state. Whether a good end *stays reachable from every state*
//! (AG EF of temporal logic) is a question about the graph, answered here by walking it backwards.

use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

use ahash::AHashMap as HashMap;
use stateright::{Checker as _, Expectation, Model};

/// States between two words about progress.
const TELLING: usize = 10_000;

/// A model whose whole graph can be walked.
pub trait Explorable: Model<State: Clone + Eq + Hash, Action: Clone + PartialEq> {
    /// The promise that a settled end stays reachable from every state.
    const STAYS_REACHABLE: &'static str;

    /// Whether this is an end that must stay reachable.
    fn settled(&self, state: &Self::State) -> bool;

    /// A step, in words.
    fn line(&self, before: &Self::State, after: &Self::State, act: &Self::Action) -> String;
}

/// What the exploration found.
pub struct Explored {
    /// How many states there are.
    pub states: usize,
    /// How many steps lead from one to another.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// The first violation, with the shortest way to it.
    pub violation: Option<Violation>,
}

/// What went wrong, and how it came to it.
pub struct Violation {
    /// The promise that was broken.
    pub promise: &'static str,
    /// What happened, in order.
    pub story: Vec<String>,
}

/// Explores all of it, or until a state breaks a promise.
#[must_use]
pub fn explore<M: Explorable>(model: &M) -> Explored {
    explore_telling(model, &|_| {})
}

/// Told now and then how many states are known.
pub type Progress<'a> = &'a dyn Fn(usize);

/// As [`explore`], and tells how far it is.
#[must_use]
pub fn explore_telling<M: Explorable>(model: &M, progress: Progress<'_>) -> Explored {
    let promises = model.properties();
    let promises: Vec<_> =
        promises.iter().filter(|promise| promise.expectation == Expectation::Always).collect();
    let mut known: HashMap<M::State, u32> = HashMap::default();
    let mut states: Vec<(M::State, u32, u16)> = Vec::new();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    for state in model.init_states() {
        known.insert(state.clone(), number(states.len()));
        states.push((state, u32::MAX, 0));
    }
    let mut acts = Vec::new();
    let mut at = 0;
    while let Some((state, _, depth)) = states.get(at).cloned() {
        if let Some(broken) = promises.iter().find(|promise| !(promise.condition)(model, &state)) {
            let story = tell(model, &states, at);
            let violation = Some(Violation { promise: broken.name, story });
            return Explored { states: states.len(), steps: edges.len(), depth: depth.into(), violation };
        }
        model.actions(&state, &mut acts);
        let from = edges.len();
        for act in acts.drain(..) {
            let Some(next) = model.next_state(&state, act) else { continue };
            let to = match known.entry(next.clone()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(free) => {
                    let index = number(states.len());
                    free.insert(index);
                    states.push((next, number(at), depth.saturating_add(1)));
                    index
                }
            };
            if !edges.get(from..).is_some_and(|edges| edges.contains(&(to, number(at)))) {
                edges.push((to, number(at)));
            }
        }
        at += 1;
        if at.is_multiple_of(TELLING) {
            progress(states.len());
        }
    }
    drop(known);
    let steps = edges.len();
    let depth = states.last().map_or(0, |(_, _, depth)| usize::from(*depth));
    let stuck = stuck(model, &states, edges);
    let violation =
        stuck.map(|at| Violation { promise: M::STAYS_REACHABLE, story: tell(model, &states, at) });
    Explored { states: states.len(), steps, depth, violation }
}

/// The first state from which no settled end can be reached, if there is one.
fn stuck<M: Explorable>(
    model: &M,
    states: &[(M::State, u32, u16)],
    mut edges: Vec<(u32, u32)>,
) -> Option<usize> {
    edges.sort_unstable();
    let mut reaching: Vec<bool> = states.iter().map(|(state, ..)| model.settled(state)).collect();
    let mut stack: Vec<u32> =
        (0_u32..).zip(&reaching).filter(|(_, settled)| **settled).map(|(index, _)| index).collect();
    while let Some(to) = stack.pop() {
        let first = edges.partition_point(|(target, _)| *target < to);
        let before = edges.get(first..).unwrap_or_default().iter().take_while(|(target, _)| *target == to);
        for (_, from) in before {
            if let Some(reached) = reaching.get_mut(*from as usize).filter(|reached| !**reached) {
                *reached = true;
                stack.push(*from);
            }
        }
    }
    reaching.iter().position(|reaching| !reaching)
}

fn tell<M: Explorable>(model: &M, states: &[(M::State, u32, u16)], at: usize) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = at;
    while let Some((state, from, _)) = states.get(at) {
        path.push(state);
        at = *from as usize;
    }
    path.reverse();
    path.windows(2)
        .filter_map(|pair| {
            let [before, after] = pair else { return None };
            let mut acts = Vec::new();
            model.actions(before, &mut acts);
            let leads = |act: &M::Action| model.next_state(before, act.clone()).as_ref() == Some(*after);
            let act = acts.into_iter().find(leads)?;
            Some(model.line(before, after, &act))
        })
        .collect()
}

/// Lets the checker of `stateright` explore all of it: how many states it saw, and which promises it saw broken.
/// [`explore`] sees the same states by another way; that both count alike is a check on both.
#[must_use]
pub fn check<M>(model: M) -> (usize, Vec<&'static str>)
where
    M: Explorable + Send + Sync + 'static,
    M::State: Debug + Send + Sync,
    M::Action: Debug + Send + Sync,
{
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = model.checker().threads(threads).spawn_bfs().join();
    let found = checker.discoveries();
    let broken = |promise: &&stateright::Property<M>| {
        found.contains_key(promise.name) == promise.expectation.discovery_is_failure()
    };
    let promises = checker.model().properties();
    (checker.unique_state_count(), promises.iter().filter(broken).map(|promise| promise.name).collect())
}
