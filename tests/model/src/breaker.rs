//! The circuit breaker's row, and three environments that share it.
//!
//! The writes and their conditions are the toolkit's own, executed by interpreting them; what an environment does between
//! two of them is told again here, as [`eda::breaker::Breaker`] does it. A look at the row may be missed for any time,
//! calls take any time and meet anything, environments die anywhere, and time passes in ticks: the length of the
//! window, of a pause and of a lease. Answers are not counted: they only take failures back. Every rule can be removed, and each removal breaks a promise. Environments that are
//! alike are not told apart: in a story their numbers may change from line to line.

use std::fmt;

use eda::breaker::{Circuit, CircuitState, Policy, Slice, Tally};
use eda::row::{Table, from_item, to_item};
use eda::testing::interpret::{applied, holds};
use eda::write::{Condition, ConditionalWrite, STATUS};
use stateright::{Model, Property};

use crate::graph::Explorable;
use crate::rules::rules;

/// How many environments there are.
pub const ENVIRONMENTS: usize = 3;

rules! {
    /// A rule of the breaker, each of which can be removed.
    pub enum Rule {
        /// Counted is on top of the row as it was read, and only if it still is so.
        CountOnWhatWasRead,
        /// What was seen in another period is not counted.
        CountOnlyThisPeriod,
        /// Nobody is elected before the circuit's time has come.
        ProbeOnlyWhenDue,
        /// A circuit that has closed meanwhile is not probed.
        ProbeOnlyOpen,
        /// A prober whose lease has ended is succeeded.
        LeaseEnds,
        /// Only the prober that holds the lease closes the circuit, or opens it again.
        OnlyTheProberJudges,
    }
}

/// The row, or what an environment takes for it. Times are ticks from now; ids are numbers, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    /// 0 closed, 1 open, 2 half-open.
    status: u8,
    period: u8,
    revision: u8,
    consecutive: u8,
    failures: u8,
    trips: u8,
    until: u8,
    prober: u8,
}

/// A call under way, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permit {
    /// None.
    #[default]
    None,
    /// Begun in this period.
    Pass(u8),
    /// The probe: who, and how often the circuit had opened.
    Probe(u8, u8),
}

/// An environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Environment {
    known: Row,
    permit: Permit,
    /// A failure is to be told.
    telling: bool,
    /// In which period the failures were seen that it has not told: for the promises only.
    seen_in: u8,
}

/// A promise that was broken on the way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as the promises")]
pub enum Broken {
    TooEarly,
    TwoProbers,
    ClosedIsProbed,
    NotTheProber,
    FailureLost,
    AnotherPeriod,
}

/// The row and all environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    row: Option<Row>,
    environments: [Environment; ENVIRONMENTS],
    /// Failures in a row that were told in this period and this window: for the promises only.
    told: u8,
    broken: Option<Broken>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as their words")]
pub enum Act {
    Tick,
    Look(usize),
    Admit(usize),
    Answer(usize),
    Fail(usize),
    Tell(usize),
    Die(usize),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick => f.write_str("time passes"),
            Self::Look(which) => write!(f, "environment {which} looks at the row"),
            Self::Admit(which) => write!(f, "environment {which} asks to call"),
            Self::Answer(which) => write!(f, "the call of environment {which} is answered"),
            Self::Fail(which) => write!(f, "the call of environment {which} fails"),
            Self::Tell(which) => write!(f, "environment {which} tells what it has seen"),
            Self::Die(which) => write!(f, "environment {which} dies, and another starts in its place"),
        }
    }
}

/// One moment: time is kept relative to it.
const NOW: i64 = 1_000;
const RESOURCE: &str = "resource";
/// Two failures in a row open the circuit; a window, a pause and a lease are a tick each.
const POLICY: Policy = Policy {
    threshold: 2,
    percent: 100,
    minimum_calls: u32::MAX,
    window: 1,
    pause: 1,
    longest_pause: 1,
    lease: 1,
    refresh: 1,
};

fn small(number: impl TryInto<u8>) -> u8 {
    number.try_into().unwrap_or(u8::MAX)
}

fn id(number: u8) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

impl Row {
    fn circuit(self) -> Circuit {
        let slice = Slice { at: NOW, calls: self.failures.into(), failures: self.failures.into() };
        Circuit {
            resource: RESOURCE.to_owned(),
            status: match self.status {
                0 => CircuitState::Closed,
                1 => CircuitState::Open,
                _ => CircuitState::HalfOpen,
            },
            period: id(self.period),
            revision: self.revision.into(),
            consecutive: self.consecutive.into(),
            slices: if self.failures == 0 { Vec::new() } else { vec![slice] },
            trips: self.trips.into(),
            until: NOW + i64::from(self.until),
            prober: (self.prober > 0).then(|| id(self.prober)),
            since: 0,
        }
    }

    fn of(circuit: &Circuit) -> Self {
        let sum = |count: fn(&Slice) -> u32| circuit.slices.iter().map(count).sum::<u32>();
        let number = |id: &str| id.parse().unwrap_or_default();
        Self {
            status: match circuit.status {
                CircuitState::Closed => 0,
                CircuitState::Open => 1,
                CircuitState::HalfOpen => 2,
            },
            period: number(&circuit.period),
            revision: small(circuit.revision),
            consecutive: small(circuit.consecutive),
            failures: small(sum(|slice| slice.failures)),
            // Only how long the next pause is depends on it, and here they are all alike.
            trips: small(circuit.trips.min(1)),
            until: small((circuit.until - NOW).max(0)),
            prober: number(circuit.prober.as_deref().unwrap_or_default()),
        }
    }
}

impl Environment {
    fn forget(&mut self) {
        (self.seen_in, self.telling) = (0, false);
    }

    fn learn(&mut self, row: Option<Row>) {
        let row = row.unwrap_or_default();
        if row.period != self.known.period {
            self.forget();
        }
        self.known = row;
    }
}

/// The model.
pub struct Breaker {
    table: Table<Circuit>,
    without: Option<Rule>,
}

impl Breaker {
    /// With all rules but this.
    #[must_use]
    pub fn new(without: Option<Rule>) -> Self {
        Self { table: Table::named("circuits"), without }
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// Executes a write; `Err` where its condition does not hold.
    fn write(&self, state: &mut State, write: &ConditionalWrite<Circuit>) -> Result<(), ()> {
        let item = state.row.and_then(|row| to_item(&row.circuit()).ok());
        let (_, action, condition) = write.parts();
        let condition = self.remaining(condition.clone());
        if condition.is_some_and(|condition| !holds(&condition, item.as_ref())) {
            return Err(());
        }
        let after = applied(action, item.as_ref()).and_then(|item| from_item(item).ok()).ok_or(())?;
        state.row = Some(Row::of(&after));
        Ok(())
    }

    /// The condition without what the removed rule asks for.
    fn remaining(&self, condition: Condition) -> Option<Condition> {
        let dropped: &[&str] = match self.without {
            Some(Rule::CountOnWhatWasRead) => &["revision", "resource"],
            Some(Rule::ProbeOnlyWhenDue) => &["until"],
            Some(Rule::OnlyTheProberJudges) => &["prober"],
            _ => &[],
        };
        let part = |attribute: &String| dropped.contains(&attribute.as_str());
        match condition {
            Condition::All(parts) => {
                Some(Condition::All(parts.into_iter().filter_map(|part| self.remaining(part)).collect()))
            }
            Condition::Equals(ref attribute, _)
            | Condition::AtMost(ref attribute, _)
            | Condition::Absent(ref attribute)
                if part(attribute) =>
            {
                None
            }
            // A state that the row may stand in.
            Condition::Any(ref states) if self.lacks(Rule::ProbeOnlyOpen) && concern_the_state(states) => {
                None
            }
            other => Some(other),
        }
    }

    fn admit(&self, state: &mut State, which: usize) -> Option<()> {
        let mut environment = *state.environments.get(which)?;
        let known = environment.known;
        if known.status == 0 {
            environment.permit = Permit::Pass(known.period);
        } else {
            let due = known.circuit().is_due(NOW);
            if !due || (self.lacks(Rule::LeaseEnds) && state.row.is_some_and(|row| row.status == 2)) {
                return None;
            }
            let before = state.row;
            let prober = fresh(state);
            let probe = Circuit::probe(&self.table, RESOURCE, &id(prober), NOW, &POLICY);
            if self.write(state, &probe).is_ok() {
                environment.permit = Permit::Probe(prober, 0);
                environment.known =
                    Row { status: 2, prober, until: 1, revision: known.revision + 1, ..known };
                state.broken = state.broken.or(match before {
                    Some(row) if row.status == 0 => Some(Broken::ClosedIsProbed),
                    Some(row) if row.until > 0 && row.status == 1 => Some(Broken::TooEarly),
                    Some(row) if row.until > 0 => Some(Broken::TwoProbers),
                    _ => None,
                });
            } else {
                environment.learn(state.row);
            }
        }
        *state.environments.get_mut(which)? = environment;
        Some(())
    }

    fn settle(&self, state: &mut State, which: usize, failed: bool) -> Option<()> {
        let mut environment = *state.environments.get(which)?;
        match std::mem::take(&mut environment.permit) {
            Permit::None => return None,
            Permit::Pass(period) => {
                let counts = environment.known.status == 0
                    && (period == environment.known.period || self.lacks(Rule::CountOnlyThisPeriod));
                if counts && failed {
                    environment.telling = true;
                    // 0 is no period of a failure that was not seen.
                    environment.seen_in = period + 1;
                }
            }
            Permit::Probe(prober, trips) => {
                let holder = state.row.map(|row| (row.status, row.prober));
                let write = if failed {
                    Circuit::reopen(&self.table, RESOURCE, &id(prober), trips.into(), NOW, &POLICY)
                } else {
                    Circuit::close(&self.table, RESOURCE, &id(prober), NOW)
                };
                let done = self.write(state, &write).is_ok();
                if done && holder != Some((2, prober)) {
                    state.broken = state.broken.or(Some(Broken::NotTheProber));
                }
                // What it makes of it itself is what now stands there; else what stands there is what refused.
                environment.learn(state.row);
                if done {
                    state.told = 0;
                }
            }
        }
        *state.environments.get_mut(which)? = environment;
        Some(())
    }

    fn tell(&self, state: &mut State, which: usize) -> Option<()> {
        let mut environment = *state.environments.get(which)?;
        let tally = Tally { calls: 1, failures: 1, trailing: 1 };
        if environment.known.status != 0 {
            environment.forget();
        } else {
            let known = environment.known.circuit();
            let counted = known.counted(tally, NOW, &POLICY);
            let write = Circuit::count(&self.table, &known, &counted).ok()?;
            let before = state.row.unwrap_or_default();
            if self.write(state, &write).is_ok() {
                if environment.seen_in > 0 && environment.seen_in != before.period + 1 {
                    state.broken = state.broken.or(Some(Broken::AnotherPeriod));
                }
                state.told = small(tally.after(state.told.into()));
                let closed = state.row.is_some_and(|row| row.status == 0);
                if closed && u32::from(state.told) >= POLICY.threshold {
                    state.broken = state.broken.or(Some(Broken::FailureLost));
                }
                environment.known = Row::of(&counted);
                environment.forget();
            } else {
                environment.learn(state.row);
            }
        }
        *state.environments.get_mut(which)? = environment;
        Some(())
    }

    fn act(&self, state: &mut State, act: Act) -> Option<()> {
        match act {
            Act::Tick => {
                state.told = 0;
                let pass = |row: &mut Row| {
                    // Failures outside the window are no failures in a row with those of now.
                    (row.until, row.consecutive, row.failures) = (row.until.saturating_sub(1), 0, 0);
                };
                state.row.iter_mut().for_each(pass);
                state.environments.iter_mut().for_each(|environment| pass(&mut environment.known));
            }
            Act::Look(which) => {
                let environment = state.environments.get_mut(which)?;
                if state.row.is_some_and(|row| row.revision > environment.known.revision) {
                    environment.learn(state.row);
                } else {
                    return None;
                }
            }
            Act::Admit(which) => self.admit(state, which)?,
            Act::Answer(which) => self.settle(state, which, false)?,
            Act::Fail(which) => self.settle(state, which, true)?,
            Act::Tell(which) => self.tell(state, which)?,
            Act::Die(which) => {
                *state.environments.get_mut(which)? = Environment::default();
            }
        }
        Some(())
    }
}

/// Whether these are the states that an election may find: others may find no row at all.
fn concern_the_state(states: &[Condition]) -> bool {
    states.iter().all(|state| matches!(state, Condition::Equals(attribute, _) if attribute == STATUS))
}

/// An id that nobody has.
fn fresh(state: &State) -> u8 {
    let used = |id: u8| {
        let row = |row: &Row| row.period == id || row.prober == id;
        let permit = |permit: Permit| match permit {
            Permit::None => false,
            Permit::Pass(other) | Permit::Probe(other, _) => other == id,
        };
        state.row.as_ref().is_some_and(row)
            || state
                .environments
                .iter()
                .any(|one| row(&one.known) || permit(one.permit) || one.seen_in == id + 1)
    };
    (1..).find(|id| !used(*id)).unwrap_or(u8::MAX)
}

/// The revision of the row as it is.
const FRESH: u8 = 2;
/// The revision of any row before.
const STALE: u8 = 1;

/// The same state without what nobody can tell apart: of revisions only whether an environment knows the row as it is, of
/// ids only which are alike, of a row only what its state makes use of, and no environment from another.
fn normal(mut state: State) -> State {
    let current = state.row.map(|row| row.revision);
    for one in &mut state.environments {
        one.known.revision = match current {
            Some(revision) if revision == one.known.revision => FRESH,
            Some(_) => STALE,
            None => 0,
        };
        // An environment knows from its permit whether it is the prober.
        (one.known.prober, one.known.trips) = (0, 0);
    }
    let useful = |row: &mut Row| match row.status {
        0 => (row.until, row.trips) = (0, 0),
        _ => (row.consecutive, row.failures, row.trips) = (0, 0, 0),
    };
    state.environments.iter_mut().for_each(|one| useful(&mut one.known));
    if let Some(row) = &mut state.row {
        row.revision = FRESH;
        useful(row);
        if row.status != 0 {
            state.told = 0;
        }
    }
    let [a, b, c] = state.environments;
    let orders = [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]];
    let alike = orders.into_iter().map(|environments| renumbered(State { environments, ..state }));
    alike.min().unwrap_or(state)
}

/// The same state with the smallest ids.
fn renumbered(mut state: State) -> State {
    let mut ids: Vec<u8> = vec![0];
    let mut renumber = |id: &mut u8| {
        let at = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(*id);
            ids.len() - 1
        });
        *id = small(at);
    };
    if let Some(row) = &mut state.row {
        renumber(&mut row.period);
        renumber(&mut row.prober);
    }
    for one in &mut state.environments {
        renumber(&mut one.known.period);
        match &mut one.permit {
            Permit::None => {}
            Permit::Pass(period) => renumber(period),
            Permit::Probe(prober, _) => renumber(prober),
        }
        if one.seen_in > 0 {
            let mut period = one.seen_in - 1;
            renumber(&mut period);
            one.seen_in = period + 1;
        }
    }
    state
}

impl Model for Breaker {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.broken.is_some() {
            return;
        }
        acts.push(Act::Tick);
        for (which, environment) in state.environments.iter().enumerate() {
            // The breaker holds its lock while it tells: nothing else happens there.
            match (environment.telling, environment.permit) {
                (true, _) => acts.push(Act::Tell(which)),
                (false, Permit::None) => acts.extend([Act::Look(which), Act::Admit(which)]),
                (false, _) => acts.extend([Act::Look(which), Act::Answer(which), Act::Fail(which)]),
            }
            acts.push(Act::Die(which));
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = *before;
        self.act(&mut state, act)?;
        let state = normal(state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nobody calls before the circuit's time has come", |_, state: &State| {
                state.broken != Some(Broken::TooEarly)
            }),
            Property::always("one prober at a time holds the lease", |_, state: &State| {
                state.broken != Some(Broken::TwoProbers)
            }),
            Property::always("a closed circuit opens by failures only", |_, state: &State| {
                state.broken != Some(Broken::ClosedIsProbed)
            }),
            Property::always("only the prober that holds the lease decides", |_, state: &State| {
                state.broken != Some(Broken::NotTheProber)
            }),
            Property::always("no failure that was told is lost", |_, state: &State| {
                state.broken != Some(Broken::FailureLost)
            }),
            Property::always("what was seen before says nothing about the time after", |_, state: &State| {
                state.broken != Some(Broken::AnotherPeriod)
            }),
            Property::sometimes("the circuit opens", |_, state: &State| {
                state.row.is_some_and(|row| row.status == 1)
            }),
            Property::sometimes("the circuit closes again", |_, state: &State| {
                state.row.is_some_and(|row| row.status == 0 && row.period > 0)
            }),
        ]
    }
}

impl Explorable for Breaker {
    const STAYS_REACHABLE: &'static str = "from every state a closed circuit stays reachable";

    fn settled(&self, state: &State) -> bool {
        state.row.is_none_or(|row| row.status == 0)
    }

    fn line(&self, before: &State, after: &State, act: &Act) -> String {
        if before.row == after.row { act.to_string() } else { format!("{act} → {:?}", after.row) }
    }
}
