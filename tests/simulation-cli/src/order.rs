//! What the orders of a run are like, and where it ends a function.

use std::str::FromStr;

use crate::named::named;

named! {
    /// What an order is worth, and so who coordinates its saga.
    Worth "worth" {
        Standard "standard" "The functions themselves coordinate it.";
        High "high" "A state machine does.";
    }
}

named! {
    /// What an order is like.
    Story "story" {
        Standard "standard" "Two products on stock, a good card, an address we serve.";
        OutOfStock "out-of-stock" "More than there is.";
        Declined "declined" "A card that is declined.";
        NotChargeable "not-chargeable" "An amount or method that the gateway refuses outright.";
        Unserved "unserved" "An address we do not serve.";
        NeedsAuthentication "needs-authentication" "A card whose charge never comes to an end by itself.";
    }
}

impl Story {
    /// Whether the order is confirmed if all goes well.
    #[must_use]
    pub fn ends_well(self) -> bool {
        self == Self::Standard
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
