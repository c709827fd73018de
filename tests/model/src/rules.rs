//! The rules of the saga, each of which can be removed, and what then must go wrong.

/// A rule of the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Nothing is reserved where the reservation's row exists, a tombstone too.
    ReserveOnlyOnce,
    /// Stock is taken only if there is enough.
    ReserveOnlyWhatIsThere,
    /// The intent's id is persisted before anything is charged.
    IntentBeforeCharge,
    /// A result is recorded only while the payment is pending.
    RecordOnlyIfPending,
    /// A payment found pending goes on with the stored intent, not with a new one.
    ResumeStoredIntent,
    /// Silence and 5xx are doubt, not a decline.
    DoubtIsNoDecline,
    /// The row says `undoing` before the gateway is asked.
    MarkBeforeUndoing,
    /// An intent that may still charge is cancelled, not looked up.
    UndoCancels,
    /// A payment found `undoing` is undone again: whoever began may have died.
    ResumeUndoing,
    /// A charge that has been given back already counts as given back.
    AlreadyRefundedIsDone,
    /// A refund of nothing leaves a tombstone.
    RefundLeavesTombstone,
    /// Stock goes back only if it was reserved.
    ReleaseOnlyReserved,
    /// A release of nothing leaves a tombstone.
    ReleaseLeavesTombstone,
    /// A compensation that finds nothing to undo announces all the same.
    EmptyCompensationAnnounces,
    /// A compensation announces again to another cause.
    AnnounceToEveryCause,
    /// Nothing ships where the pivot is decided.
    ShipOnlyIfOpen,
    /// An order expires only by closing the pivot.
    ExpiryClosesPivot,
    /// An expired order that has shipped is pushed on.
    ExpiryPushesOn,
    /// The expiry of a closed order is announced until the order ends.
    ExpiryRepeats,
    /// The join completes only with its last part.
    JoinOnlyComplete,
    /// Only an open order ends.
    EndOnlyOpenOrders,
}

impl Rule {
    /// All of them, in the order of the saga.
    pub const ALL: &[Self] = &[
        Self::ReserveOnlyOnce,
        Self::ReserveOnlyWhatIsThere,
        Self::IntentBeforeCharge,
        Self::RecordOnlyIfPending,
        Self::ResumeStoredIntent,
        Self::DoubtIsNoDecline,
        Self::MarkBeforeUndoing,
        Self::UndoCancels,
        Self::ResumeUndoing,
        Self::AlreadyRefundedIsDone,
        Self::RefundLeavesTombstone,
        Self::ReleaseOnlyReserved,
        Self::ReleaseLeavesTombstone,
        Self::EmptyCompensationAnnounces,
        Self::AnnounceToEveryCause,
        Self::ShipOnlyIfOpen,
        Self::ExpiryClosesPivot,
        Self::ExpiryPushesOn,
        Self::ExpiryRepeats,
        Self::JoinOnlyComplete,
        Self::EndOnlyOpenOrders,
    ];
}
