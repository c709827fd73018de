//! How much a configuration explores.

/// How much happens at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Its name.
    pub name: &'static str,
    /// What happens in it, in a line.
    pub help: &'static str,
    /// Concurrent runs of process-payment.
    pub pays: u8,
    /// Concurrent runs of refund-payment.
    pub refunds: u8,
    /// Concurrent slow runs of release-inventory.
    pub releases: bool,
    /// Whether the last piece may go to another order, and come back.
    pub contended: bool,
    /// Whether a message may be lost for good.
    pub losses: bool,
    /// Whether keys are forgotten.
    pub forgetful: bool,
}
