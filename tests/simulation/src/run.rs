//! One run, and what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use eda::testing::template::{Template, TemplateError};
use fastrand::Rng;

use crate::cost::Meter;
use crate::fault::Kind;
use crate::options::Options;
use crate::planted::Planted;
use crate::receipts::RESOURCES;
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
    /// Calls that a fault could have killed: those of [`KillPoint`](crate::world::KillPoint).
    pub decided: u64,
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
    /// There is no runtime.
    Runtime(std::io::Error),
}

impl std::fmt::Display for SetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(error) => write!(f, "{error}"),
            Self::Unmodelled(error) => write!(f, "{error}"),
            Self::Runtime(error) => write!(f, "no runtime: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

/// Counts runs of this process: what must not be shared between runs is named by it.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// By whether they are extended, and by their parameters.
type Systems = BTreeMap<(bool, Vec<(String, i64)>), Rc<System>>;

/// Runs simulations of what one template deploys.
#[derive(Clone, Debug)]
pub struct Simulator {
    template: Template,
    /// The same, with a consumer of idempotency records beside it.
    extended: Option<Template>,
    /// Systems by the parameters that a seed chose.
    systems: RefCell<Systems>,
}

impl Simulator {
    /// A simulator of this template.
    #[must_use]
    pub fn of(template: Template) -> Self {
        Self { template, extended: None, systems: RefCell::default() }
    }

    /// A simulator of this workspace's template.
    ///
    /// # Errors
    /// [`SetupError::Template`] where it cannot be read.
    pub fn of_workspace() -> Result<Self, SetupError> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
        let template = Template::load(path).map_err(SetupError::Template)?;
        let text = std::fs::read_to_string(path).map_err(SetupError::Runtime)?;
        let extended = text.replacen("\nResources:\n", &format!("\nResources:\n{RESOURCES}"), 1);
        let extended = Some(Template::parse(&extended).map_err(SetupError::Template)?);
        Ok(Self { extended, ..Self::of(template) })
    }

    /// The parameters of a run: its seed decides how long orders may stay open, unless the options say so.
    fn system(&self, options: &Options) -> Result<Rc<System>, SetupError> {
        let mut rng = Rng::with_seed(options.seed ^ 0x7E);
        let deadlines = [300, 1_800, 7_200, 43_200];
        let deadline =
            if options.most_faults == 0 { 43_200 } else { deadlines[rng.usize(0..deadlines.len())] };
        let mut parameters = BTreeMap::from([("OrderDeadlineSeconds".to_owned(), deadline)]);
        parameters.extend(options.parameters.iter().cloned());
        let parameters: Vec<_> = parameters.into_iter().collect();
        // Some runs have the consumer of idempotency records beside them.
        let wanted = options.planted == Some(Planted::UnfencedCompletion) || options.seed.is_multiple_of(4);
        let extended = self.extended.as_ref().filter(|_| wanted && options.most_faults > 0);
        let key = (extended.is_some(), parameters.clone());
        if let Some(system) = self.systems.borrow().get(&key) {
            return Ok(system.clone());
        }
        let mut template = extended.unwrap_or(&self.template).clone();
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
        Ok(runtime.block_on(async move {
            let mut world = World::new(system, options, number);
            world.run().await;
            Outcome {
                steps: world.steps,
                elapsed: world.clock.elapsed(),
                aws_calls: world.aws_calls,
                decided: world.decided,
                faults: world.faults.struck().clone(),
                violations: std::mem::take(&mut world.watch.broken),
                trace: world.trace.text(),
                meter: world.meter.clone(),
            }
        }))
    }
}
