//! One run, and what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use eda::testing::template::{Template, TemplateError};
use fastrand::Rng;
use simulation_cli::{Kind, Planted, Story};

use crate::bus::Delivered;
use crate::cost::Meter;
use crate::ends::End;
use crate::options::Options;
use crate::system::{System, Unmodelled};
use crate::watch::Violation;
use crate::world::World;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was decided, one after the other.
    pub steps: u64,
    /// How much time went by, for the system.
    pub elapsed: std::time::Duration,
    /// AWS calls that took effect or were refused by the service.
    pub aws_calls: u64,
    /// How each order ended, where nothing but what was asked for went wrong.
    pub ends: Vec<End>,
    /// States that executions of state machines entered.
    pub transitions: u64,
    /// Calls that a fault could have killed: those of [`KillPoint`](simulation_cli::KillPoint).
    pub decided: u64,
    /// Deliveries of the bus: those of [`Options::lost`].
    pub delivered: Vec<Delivered>,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<Kind, u64>,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// The story, if it was asked for.
    pub trace: String,
    /// What was consumed, if it was asked for.
    pub meter: Meter,
}

/// The simulation cannot be set up.
#[derive(Debug)]
pub enum SetupError {
    /// The template is unreadable.
    Template(TemplateError),
    /// The template holds something new.
    Unmodelled(Unmodelled),
    /// Nobody can look after dead letters.
    Person(eda::Failure),
    /// There is no runtime.
    Runtime(std::io::Error),
}

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(error) => write!(f, "{error}"),
            Self::Unmodelled(error) => write!(f, "{error}"),
            Self::Person(failure) => write!(f, "nobody can look after dead letters: {failure}"),
            Self::Runtime(error) => write!(f, "no runtime: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

/// Counts runs of this process: what must not be shared between runs is named by it.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// By whether they mail receipts, and by their parameters.
type Systems = BTreeMap<(bool, Vec<(String, i64)>), Rc<System>>;

/// Runs simulations of what one template deploys.
#[derive(Clone, Debug)]
pub struct Simulator {
    template: Template,
    /// On how many threads campaigns run.
    jobs: usize,
    /// Systems by the parameters that a seed chose.
    systems: RefCell<Systems>,
}

impl Simulator {
    /// A simulator of this template.
    #[must_use]
    pub fn of(template: Template) -> Self {
        Self { template, jobs: 1, systems: RefCell::default() }
    }

    /// Campaigns run on so many threads, each run on one. On one if nothing is said.
    #[must_use]
    pub fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..self }
    }

    /// On how many threads campaigns run.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// The template.
    pub(crate) fn template(&self) -> &Template {
        &self.template
    }

    /// A simulator of this workspace's template.
    ///
    /// # Errors
    /// [`SetupError::Template`] where it cannot be read.
    pub fn of_workspace() -> Result<Self, SetupError> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
        Ok(Self::of(Template::load(path).map_err(SetupError::Template)?))
    }

    /// The parameters of a run: its seed decides how long orders may stay open, unless the options say so.
    fn system(&self, options: &Options) -> Result<Rc<System>, SetupError> {
        let mut rng = Rng::with_seed(options.seed ^ 0x7E);
        let deadlines = [300, 1_800, 7_200, 43_200];
        let mut parameters = BTreeMap::new();
        let deadline = match options.most_faults {
            // Nothing else can come of such an order than to wait for it.
            0 if options.lost.is_some() || options.story == Some(Story::NeedsAuthentication) => 300,
            0 => 43_200,
            _ => {
                let policy = [1, 2, 100][rng.usize(0..3)];
                parameters.insert("SnapshotPolicy".to_owned(), policy);
                // Some runs see sales that come too late.
                let lateness = [60, 3_600, 86_400][rng.usize(0..3)];
                parameters.insert("SalesLatenessSeconds".to_owned(), lateness);
                deadlines[rng.usize(0..deadlines.len())]
            }
        };
        parameters.insert("OrderDeadlineSeconds".to_owned(), deadline);
        match options.planted {
            Some(Planted::NoPostponing) => {
                // Four hours of it are more receives than a message has.
                parameters.insert("VisibilityTimeoutSeconds".to_owned(), 20);
            }
            Some(Planted::TwoProbers) => {
                // Due while orders are still coming in, whose environments have looked shortly before.
                parameters.insert("CircuitPauseSeconds".to_owned(), 2);
                parameters.insert("CircuitLongestPauseSeconds".to_owned(), 4);
            }
            _ => {}
        }
        parameters.extend(options.parameters.iter().cloned());
        let parameters: Vec<_> = parameters.into_iter().collect();
        // What an order costs is told without what the template leaves out unless it is asked for.
        let receipts = !options.metered;
        let key = (receipts, parameters.clone());
        if let Some(system) = self.systems.borrow().get(&key) {
            return Ok(system.clone());
        }
        // There, and off until somebody switches them on.
        let mut template = self.template.clone().with_parameter("ProcessDeadLetters", "true");
        if receipts {
            template = template.with_parameter("ReceiptSender", "receipts@example.com");
        }
        for (name, value) in &parameters {
            template = template.with_parameter(name, *value);
        }
        let system = Rc::new(System::deployed_by(template).map_err(SetupError::Unmodelled)?);
        self.systems.borrow_mut().insert(key, system.clone());
        Ok(system)
    }

    /// Runs once. Equal options give equal outcomes.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn run(&self, options: &Options) -> Result<Outcome, SetupError> {
        let system = self.system(options)?;
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().map_err(SetupError::Runtime)?;
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let options = options.clone();
        runtime.block_on(async move {
            let mut world = World::new(system, options, number).map_err(SetupError::Person)?;
            world.run().await;
            Ok(Outcome {
                steps: world.steps,
                elapsed: world.clock.elapsed(),
                aws_calls: world.aws_calls,
                ends: if world.options.most_faults == 0 { world.ends() } else { Vec::new() },
                transitions: world.transitions(),
                decided: world.decided,
                delivered: std::mem::take(&mut world.delivered),
                faults: world.faults.struck().clone(),
                violations: std::mem::take(&mut world.watch.broken),
                trace: world.trace.text(),
                meter: world.meter.clone(),
            })
        })
    }
}
