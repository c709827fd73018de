//! The rules of the saga, each of which can be removed, and what then must go wrong.

/// The rules of a model, each a line that says what it demands.
macro_rules! rules {
    (#[doc = $about:literal] pub enum Rule { $($(#[doc = $help:literal])+ $rule:ident,)+ }) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[doc = $help])+ $rule),+ }

        impl Rule {
            /// All of them, in the order of what happens.
            pub const ALL: &[Self] = &[$(Self::$rule),+];

            /// What it demands.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$rule => concat!($($help),+).trim_ascii()),+ }
            }
        }
    };
}

pub(crate) use rules;

rules! {
    /// A rule of the saga.
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
        /// A join times out only while it waits.
        TimeOutOnlyWaiting,
        /// Only an open order ends.
        EndOnlyOpenOrders,
    }
}
