//! Many runs: random seeds, every kill point of a scenario, every planted mistake.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use simulation_cli::{KillPoint, Kind, Planted, Story, Worth};

use crate::bus::Delivered;
use crate::cost::Cost;
use crate::fault::Faults;
use crate::options::Options;
use crate::run::{Outcome, SetupError, Simulator};
use crate::watch::Violation;

/// A run that broke a promise, shortened.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The options that show it.
    pub options: Options,
    /// What broke.
    pub violations: Vec<Violation>,
    /// The story.
    pub trace: String,
}

impl Failure {
    /// The command that shows it again.
    #[must_use]
    pub fn command(&self) -> String {
        let Options { seed, orders, faults, most_faults, kill, lost, story, worth, .. } = &self.options;
        let mut command = format!("cargo xtask simulate --from {seed} --seeds 1 --orders {orders}");
        if faults.len() != Kind::ALL.len() {
            let names: Vec<_> = faults.iter().map(|kind| kind.name()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
            command.push_str(&format!(" --faults {names}"));
        }
        if *most_faults != u32::MAX {
            command.push_str(&format!(" --most-faults {most_faults}"));
        }
        if self.options.times != 1 {
            command.push_str(&format!(" --times {}", self.options.times));
        }
        if let Some(story) = story {
            command.push_str(&format!(" --story {}", story.name()));
        }
        if let Some(worth) = worth {
            command.push_str(&format!(" --worth {}", worth.name()));
        }
        if let Some(KillPoint { call, after }) = kill {
            command.push_str(&format!(" --kill {}{call}", if *after { "after:" } else { "before:" }));
        }
        if let Some(delivery) = lost {
            command.push_str(&format!(" --lose {delivery}"));
        }
        if !self.options.poisoned.is_empty() {
            command.push_str(&format!(" --poison {}", self.options.poisoned.join(",")));
        }
        if self.options.imported > 0 {
            command.push_str(&format!(" --import {}", self.options.imported));
        }
        if let Some(planted) = self.options.planted {
            command.push_str(&format!(" --planted {planted}"));
        }
        command
    }
}

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many runs.
    pub seeds: u64,
    /// How many orders in all.
    pub orders: u64,
    /// Decisions.
    pub steps: u64,
    /// AWS calls.
    pub aws_calls: u64,
    /// Faults that struck.
    pub faults: BTreeMap<Kind, u64>,
    /// What went wrong.
    pub failures: Vec<Failure>,
    /// How long the runs kept one core busy; what it takes to shorten one that failed does not count.
    pub took: Duration,
}

/// What is told of a run.
enum News {
    /// It is over.
    Ran {
        /// What it was.
        options: Options,
        /// What came of it.
        outcome: Box<Outcome>,
        /// How long it kept its core busy.
        took: Duration,
    },
    /// That of this seed failed, and is shortened.
    Broken(u64, Vec<Violation>),
    /// It is shortened.
    Failed(Failure),
}

impl Report {
    /// Runs these and adds what came of them, until enough have failed.
    fn all(
        &mut self,
        simulator: &Simulator,
        runs: impl Iterator<Item = Options> + Send,
        progress: Progress<'_>,
    ) -> Result<(), SetupError> {
        let failures = AtomicUsize::new(self.failures.len());
        let runs = runs.take_while(|_| failures.load(Ordering::Relaxed) < ENOUGH);
        let once = |simulator: &Simulator, options: Options, tell: &dyn Fn(News)| {
            let (outcome, took) = timed(simulator, &options)?;
            if !outcome.violations.is_empty() && failures.fetch_add(1, Ordering::Relaxed) < ENOUGH {
                tell(News::Broken(options.seed, outcome.violations.clone()));
                tell(News::Failed(shorten(simulator, &options, &outcome)?));
            }
            tell(News::Ran { options, outcome: Box::new(outcome), took });
            Ok(())
        };
        spread(simulator, runs, once, |news| match news {
            News::Ran { options, outcome, took } => {
                self.add(&options, &outcome, took);
                progress(Step::Done { runs: self.seeds, orders: self.orders });
            }
            News::Broken(seed, violations) => progress(Step::Broken { seed, violations }),
            News::Failed(failure) => self.failures.push(failure),
        })
    }

    fn add(&mut self, options: &Options, outcome: &Outcome, took: Duration) {
        self.took += took;
        self.seeds += 1;
        self.orders += u64::try_from(options.orders).unwrap_or(u64::MAX);
        self.steps += outcome.steps;
        self.aws_calls += outcome.aws_calls;
        for (kind, times) in &outcome.faults {
            *self.faults.entry(*kind).or_default() += times;
        }
        if let Some(KillPoint { after, .. }) = options.kill {
            let kind = if after { Kind::KillAfter } else { Kind::KillBefore };
            *self.faults.entry(kind).or_default() += 1;
        }
    }

    /// Orders per second of one core.
    #[must_use]
    pub fn orders_per_second(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.orders as f64 / seconds } else { 0.0 }
    }

    /// As one JSON document.
    #[must_use]
    pub fn json(&self) -> Value {
        let faults: serde_json::Map<_, _> =
            self.faults.iter().map(|(kind, times)| (kind.name().to_owned(), json!(times))).collect();
        let violations = self.failures.iter().flat_map(|failure| {
            failure.violations.iter().map(|violation| {
                json!({
                    "promise": violation.promise, "detail": violation.detail,
                    "seed": failure.options.seed, "command": failure.command(),
                })
            })
        });
        json!({
            "seeds": self.seeds, "orders": self.orders, "steps": self.steps, "awsCalls": self.aws_calls,
            "ordersPerSecond": (self.orders_per_second() * 10.0).round() / 10.0,
            "faults": faults, "violations": violations.collect::<Vec<_>>(),
        })
    }
}

/// How far a campaign has come.
#[derive(Clone, Debug)]
pub enum Step {
    /// So many runs are done.
    Done {
        /// How many.
        runs: u64,
        /// Orders in all of them.
        orders: u64,
    },
    /// A run broke promises, and smaller ones are looked for that do.
    Broken {
        /// Its seed.
        seed: u64,
        /// What broke.
        violations: Vec<Violation>,
    },
}

/// Told of each step.
pub type Progress<'a> = &'a dyn Fn(Step);

/// How many failures end a campaign: one that fails everywhere is known well enough.
const ENOUGH: usize = 3;

/// Runs once, and tells how long this thread was busy with it, whatever else the machine does.
fn timed(simulator: &Simulator, options: &Options) -> Result<(Outcome, Duration), SetupError> {
    let busy = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begun = busy();
    let outcome = simulator.run(options)?;
    Ok((outcome, busy().saturating_sub(begun)))
}

/// Works these off on as many threads as the simulator has jobs, each with a simulator of its own. This thread takes what
/// is told of them, as it comes.
fn spread<W: Send, T: Send>(
    simulator: &Simulator,
    work: impl Iterator<Item = W> + Send,
    does: impl Fn(&Simulator, W, &dyn Fn(T)) -> Result<(), SetupError> + Sync,
    mut takes: impl FnMut(T),
) -> Result<(), SetupError> {
    let work = Mutex::new(work);
    let (sender, receiver) = mpsc::channel();
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    let works = |simulator: &Simulator, sender: &mpsc::Sender<T>| {
        // Nobody listens any more where this function is left.
        let tell = |news| sender.send(news).unwrap_or_default();
        while let Some(piece) = next() {
            does(simulator, piece, &tell)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..simulator.jobs())
            .map(|_| {
                let (own, sender, works) = (simulator.template().clone(), sender.clone(), &works);
                scope.spawn(move || works(&Simulator::of(own), &sender))
            })
            .collect();
        drop(sender);
        receiver.into_iter().for_each(&mut takes);
        let ends =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|cause| resume_unwind(cause)));
        ends.collect()
    })
}

/// Runs many seeds.
///
/// # Errors
/// [`SetupError`].
pub fn random(
    simulator: &Simulator,
    options: &Options,
    seeds: u64,
    progress: Progress<'_>,
) -> Result<Report, SetupError> {
    let mut report = Report::default();
    let seeds = (options.seed..).take(usize::try_from(seeds).unwrap_or(usize::MAX));
    report.all(simulator, seeds.map(|seed| Options { seed, ..options.clone() }), progress)?;
    report.failures.sort_by_key(|failure| failure.options.seed);
    Ok(report)
}

/// Kills the function before, and after, every single call of each story in which all else goes well; and of each story
/// in which a message to one of these queues is lost for good, so that the order expires where it stands.
///
/// # Errors
/// [`SetupError`].
pub fn systematic(
    simulator: &Simulator,
    options: &Options,
    stories: &[Story],
    loses: &dyn Fn(&str) -> bool,
    progress: Progress<'_>,
) -> Result<Report, SetupError> {
    let mut report = Report::default();
    for story in stories {
        let worth = options.worth.unwrap_or(Worth::Standard);
        let calm = Options {
            parameters: options.parameters.clone(),
            poisoned: options.poisoned.clone(),
            imported: options.imported,
            ..Options::calm(options.seed, options.orders, *story, worth)
        };
        let delivered = every_kill(simulator, &calm, 0, &mut report, progress)?;
        for (number, delivery) in (0..).zip(delivered).filter(|(_, delivery)| loses(&delivery.target)) {
            // What comes before the loss is no other than without it.
            let without = Options { lost: Some(number), ..calm.clone() };
            every_kill(simulator, &without, delivery.call, &mut report, progress)?;
        }
    }
    Ok(report)
}

/// Kills the function at every call, from `first` on, of a run that goes well otherwise. Gives what the run delivers.
fn every_kill(
    simulator: &Simulator,
    calm: &Options,
    first: u64,
    report: &mut Report,
    progress: Progress<'_>,
) -> Result<Vec<Delivered>, SetupError> {
    let (whole, took) = timed(simulator, calm)?;
    report.add(calm, &whole, took);
    if !whole.violations.is_empty() {
        progress(Step::Broken { seed: calm.seed, violations: whole.violations.clone() });
        report.failures.push(shorten(simulator, calm, &whole)?);
        return Ok(Vec::new());
    }
    let points = (first..whole.decided).flat_map(|call| [false, true].map(|after| KillPoint { call, after }));
    report.all(simulator, points.map(|kill| Options { kill: Some(kill), ..calm.clone() }), progress)?;
    Ok(whole.delivered)
}

/// A mistake, and the first seed that noticed it.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The mistake.
    pub planted: Planted,
    /// The seed, if there was one.
    pub seed: Option<u64>,
    /// What it noticed.
    pub violation: Option<Violation>,
}

impl Caught {
    /// As one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "name": self.planted.name(), "caught": self.seed.is_some(), "seed": self.seed })
    }
}

/// Looks for the first seed that notices a mistake.
///
/// # Errors
/// [`SetupError`].
pub fn planted(
    simulator: &Simulator,
    options: &Options,
    planted: Planted,
    most: u64,
) -> Result<Caught, SetupError> {
    for seed in (options.seed..).take(usize::try_from(most).unwrap_or(usize::MAX)) {
        let run = Options { seed, planted: Some(planted), ..options.clone() };
        if let Some(violation) = simulator.run(&run)?.violations.into_iter().next() {
            return Ok(Caught { planted, seed: Some(seed), violation: Some(violation) });
        }
    }
    Ok(Caught { planted, seed: None, violation: None })
}

/// Looks for the first seed that notices each of all mistakes, and tells of each as it is done.
///
/// # Errors
/// [`SetupError`].
pub fn all_planted(
    simulator: &Simulator,
    options: &Options,
    most: u64,
    told: impl FnMut(Caught),
) -> Result<(), SetupError> {
    let one = |simulator: &Simulator, mistake: &Planted, tell: &dyn Fn(Caught)| {
        tell(planted(simulator, options, *mistake, most)?);
        Ok(())
    };
    spread(simulator, Planted::ALL.iter(), one, told)
}

/// Measures what a standard order of two products consumes where all goes well.
///
/// # Errors
/// [`SetupError`].
pub fn measure(simulator: &Simulator) -> Result<Cost, SetupError> {
    let orders = 10;
    let calm = Options { metered: true, ..Options::calm(1, orders, Story::Standard, Worth::Standard) };
    Ok(simulator.run(&calm)?.meter.per_order(orders))
}

/// The smallest run that still fails, among those with fewer orders and fewer faults, with its story.
fn shorten(simulator: &Simulator, options: &Options, outcome: &Outcome) -> Result<Failure, SetupError> {
    let mut best = Options { faults: Faults::taken(options.seed, &options.faults), ..options.clone() };
    let fails = |candidate: &Options| -> Result<bool, SetupError> {
        Ok(!simulator.run(candidate)?.violations.is_empty())
    };
    for orders in (1..best.orders).filter(|orders| *orders < 8 || orders % 4 == 0) {
        let candidate = Options { orders, ..best.clone() };
        if fails(&candidate)? {
            best = candidate;
            break;
        }
    }
    // Kinds that never struck; usually a run is another without them, for they drew lots all the same.
    let struck = simulator.run(&best)?.faults;
    let only = best.faults.iter().copied().filter(|kind| struck.contains_key(kind)).collect();
    let candidate = Options { faults: only, ..best.clone() };
    if fails(&candidate)? {
        best = candidate;
    }
    for kind in best.faults.clone() {
        let fewer = best.faults.iter().copied().filter(|other| *other != kind).collect();
        let candidate = Options { faults: fewer, ..best.clone() };
        if fails(&candidate)? {
            best = candidate;
        }
    }
    // The fewest faults, by halving: a run is not monotonous in them, so this is a good one and not the best.
    let total: u64 = simulator.run(&best)?.faults.values().sum();
    let (mut low, mut high) = (0, u32::try_from(total).unwrap_or(u32::MAX));
    while low < high {
        let middle = low + (high - low) / 2;
        let candidate = Options { most_faults: middle.max(1), ..best.clone() };
        if fails(&candidate)? { high = middle } else { low = middle + 1 }
    }
    let candidate = Options { most_faults: high.max(1), ..best.clone() };
    if options.most_faults > 0 && fails(&candidate)? {
        best = candidate;
    }
    let story = simulator.run(&Options { traced: true, ..best.clone() })?;
    // What was seen first counts, should the shortened run be lost to a mistake of this function.
    let violations = if story.violations.is_empty() { outcome.violations.clone() } else { story.violations };
    Ok(Failure { options: best, violations, trace: story.trace })
}
