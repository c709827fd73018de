//! What a run is.

use simulation_cli::{KillPoint, Kind, Planted, Story, Worth};

/// A run: equal options, equal runs, to the byte.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// How many orders clients place.
    pub orders: usize,
    /// The kinds of faults that may strike.
    pub faults: Vec<Kind>,
    /// The most faults that strike; then all goes well.
    pub most_faults: u32,
    /// How many times as frequent faults are as by themselves.
    pub times: u32,
    /// Whether a trace is kept.
    pub traced: bool,
    /// Whether consumed capacity is counted.
    pub metered: bool,
    /// What all orders are like; mixed, if nothing is said.
    pub story: Option<Story>,
    /// What all orders are worth; mixed, if nothing is said.
    pub worth: Option<Worth>,
    /// Tasks of which no answer is ever heard.
    pub unheard: Vec<LostTask>,
    /// A mistake made on purpose.
    pub planted: Option<Planted>,
    /// A call that kills its function.
    pub kill: Option<KillPoint>,
    /// Which delivery of the bus is lost for good, from 0.
    pub lost: Option<u64>,
    /// Queues on which there is something undecodable from the start.
    pub poisoned: Vec<String>,
    /// How many lines a file of orders has that is there from the start, where one is.
    pub imported: u64,
    /// Parameters of the template that differ from what the seed chooses.
    pub parameters: Vec<(String, i64)>,
}

impl Options {
    /// A run with all faults.
    #[must_use]
    pub fn new(seed: u64, orders: usize) -> Self {
        Self {
            seed,
            orders,
            faults: Kind::ALL.to_vec(),
            most_faults: u32::MAX,
            times: 1,
            traced: false,
            metered: false,
            story: None,
            worth: None,
            unheard: Vec::new(),
            planted: None,
            kill: None,
            lost: None,
            poisoned: Vec::new(),
            imported: 0,
            parameters: Vec::new(),
        }
    }

    /// A run in which all goes well.
    #[must_use]
    pub fn calm(seed: u64, orders: usize, story: Story, worth: Worth) -> Self {
        let calm = Self::new(seed, orders);
        Self { faults: Vec::new(), most_faults: 0, story: Some(story), worth: Some(worth), ..calm }
    }
}

/// A task of a saga that is called and never heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTask {
    /// Its state.
    pub state: String,
    /// Whether it does its work; else it never runs.
    pub done: bool,
}
