//! What a run is.

use crate::fault::Kind;
use crate::planted::Planted;
use crate::world::KillPoint;

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

/// What an order is worth, and so who coordinates its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The functions themselves.
    Standard,
    /// A state machine.
    High,
}

impl Worth {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Standard, Self::High];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::High => "high",
        }
    }
}

impl std::str::FromStr for Worth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|worth| worth.name() == text);
        found.ok_or_else(|| format!("an order is worth standard or high, not {text}"))
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

/// What an order is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Two products on stock, a good card, an address we serve.
    Standard,
    /// More than there is.
    OutOfStock,
    /// A card that is declined.
    Declined,
    /// An amount or method that the gateway refuses outright.
    NotChargeable,
    /// An address we do not serve.
    Unserved,
    /// A card whose charge never comes to an end by itself.
    NeedsAuthentication,
}

impl Story {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Standard,
        Self::OutOfStock,
        Self::Declined,
        Self::NotChargeable,
        Self::Unserved,
        Self::NeedsAuthentication,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::OutOfStock => "out-of-stock",
            Self::Declined => "declined",
            Self::NotChargeable => "not-chargeable",
            Self::Unserved => "unserved",
            Self::NeedsAuthentication => "needs-authentication",
        }
    }

    /// Whether the order is confirmed if all goes well.
    #[must_use]
    pub fn ends_well(self) -> bool {
        self == Self::Standard
    }
}

impl std::str::FromStr for Story {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|story| story.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|story| story.name()).collect();
            format!("there is no story {text}; there are {}", names.join(", "))
        })
    }
}
