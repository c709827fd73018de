//! What the orders of a run are like, and where it ends a function.

use std::str::FromStr;

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

impl FromStr for Worth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|worth| worth.name() == text);
        found.ok_or_else(|| format!("an order is worth standard or high, not {text}"))
    }
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

impl FromStr for Story {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|story| story.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|story| story.name()).collect();
            format!("there is no story {text}; there are {}", names.join(", "))
        })
    }
}

/// A call that must kill its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// Which call of the run, from 0.
    pub call: u64,
    /// After it took effect; else before.
    pub after: bool,
}

impl FromStr for KillPoint {
    type Err = String;

    /// `before:12` or `after:12`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is neither before:N nor after:N");
        let (when, call) = text.split_once(':').ok_or_else(wrong)?;
        let after = match when {
            "before" => false,
            "after" => true,
            _ => return Err(wrong()),
        };
        Ok(Self { call: call.parse().map_err(|_| wrong())?, after })
    }
}
