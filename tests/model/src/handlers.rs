//! The handlers of the saga, told again as the sequences of their calls. Each call is one step.

use shop::order::OrderStatus;
use shop::payment::{PaymentState, Resume, Undo};
use shop::shipment::ShipmentState;
use shop::stock::Release;

use crate::gateway::{Fate, Intent, Reply};
use crate::message::Message::{self, Closed, Complete, PaidToShipping, Released, Unpaid};
use crate::rows::Op;
use crate::rules::Rule;
use crate::saga::{Saga, State};

/// A run of process-payment between two calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pay {
    /// None under way.
    #[default]
    Idle,
    /// To persist the intent it was given.
    Persist(u8),
    /// The order cannot be charged: to refuse it.
    Refuse,
    /// To confirm this intent.
    Confirm(u8),
    /// To ask what became of it.
    Retrieve(u8),
    /// To record the charge.
    Charged(u8),
    /// To record the decline.
    Declined,
}

/// A run of refund-payment between two calls; the first number is its cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refund {
    /// None under way.
    #[default]
    Idle,
    /// To cancel the intent.
    Cancel(u8, u8),
    /// To give the charge back.
    GiveBack(u8, u8),
    /// To record that it is undone.
    Finish(u8),
    /// The row was not to be undone: to answer.
    Answer(u8),
}

/// A run of release-inventory that has read the row and decided.
pub type Releasing = Option<(u8, Decided)>;

/// What it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in the shop")]
pub enum Decided {
    PutBack,
    Tombstone,
    Announce,
}

impl Saga {
    pub(crate) fn pay_start(&self, state: &mut State, fate: Fate) -> Option<Pay> {
        if !state.chargeable {
            return Some(Pay::Refuse);
        }
        match state.gateway.create(fate)? {
            Reply::Intent(index, _) if self.lacks(Rule::IntentBeforeCharge) => Some(Pay::Confirm(index)),
            Reply::Intent(index, _) => Some(Pay::Persist(index)),
            _ => Some(Pay::Idle),
        }
    }

    fn resume(&self, state: &State, fresh: Option<u8>) -> Pay {
        let seen = self.look(state);
        match (Resume::of(seen.payment), fresh, seen.intent) {
            (Resume::Confirm, Some(fresh), _) if self.lacks(Rule::ResumeStoredIntent) => Pay::Confirm(fresh),
            (Resume::Confirm, _, Some(stored)) => Pay::Confirm(stored),
            _ => Pay::Idle,
        }
    }

    pub(crate) fn pay(&self, state: &mut State, stage: Pay, fate: Fate, outcome: Intent) -> Pay {
        match stage {
            Pay::Idle => Pay::Idle,
            Pay::Persist(intent) => match self.commit(state, Op::Intend(intent), &[]) {
                Ok(()) => Pay::Confirm(intent),
                Err(_) => self.resume(state, Some(intent)),
            },
            Pay::Refuse => match self.commit(state, Op::Refuse, &[Unpaid(0)]) {
                Ok(()) => Pay::Idle,
                Err(_) => self.resume(state, None),
            },
            Pay::Confirm(intent) => match state.gateway.confirm(intent, outcome, fate) {
                Reply::Intent(_, Intent::Succeeded) => Pay::Charged(intent),
                Reply::Intent(_, Intent::Declined) => Pay::Declined,
                Reply::Doubt | Reply::Replayed if self.lacks(Rule::DoubtIsNoDecline) => Pay::Declined,
                _ => Pay::Retrieve(intent),
            },
            Pay::Retrieve(intent) if state.gateway.intent(intent) == Intent::Succeeded => {
                Pay::Charged(intent)
            }
            Pay::Retrieve(_) => Pay::Idle,
            Pay::Charged(intent) => {
                let op = if self.lacks(Rule::IntentBeforeCharge) {
                    Op::ChargeUnintended(intent)
                } else {
                    Op::Charge
                };
                let _ = self.commit(state, op, &[PaidToShipping, Message::Part(1)]);
                Pay::Idle
            }
            Pay::Declined => {
                let _ = self.commit(state, Op::Decline, &[Unpaid(0)]);
                Pay::Idle
            }
        }
    }

    pub(crate) fn refund_start(&self, state: &mut State, cause: u8) -> Refund {
        let before = self.look(state);
        let undoing = before.payment == Some(PaymentState::Undoing);
        if undoing && self.lacks(Rule::ResumeUndoing) {
            return Refund::Idle;
        }
        let marked = if self.lacks(Rule::MarkBeforeUndoing) {
            matches!(before.payment, Some(PaymentState::Pending | PaymentState::Charged))
        } else {
            self.commit(state, Op::Undo, &[]).is_ok()
        };
        match (marked, before.intent) {
            (true, Some(intent)) if before.payment == Some(PaymentState::Charged) => {
                Refund::GiveBack(cause, intent)
            }
            (true, Some(intent)) => Refund::Cancel(cause, intent),
            (true, None) => Refund::Idle,
            (false, _) => Refund::Answer(cause),
        }
    }

    pub(crate) fn refund(&self, state: &mut State, stage: Refund, fate: Fate) -> Refund {
        match stage {
            Refund::Idle => Refund::Idle,
            Refund::Cancel(cause, intent) if self.lacks(Rule::UndoCancels) => {
                match state.gateway.intent(intent) {
                    Intent::Succeeded => Refund::GiveBack(cause, intent),
                    _ => Refund::Finish(cause),
                }
            }
            Refund::Cancel(cause, intent) => match state.gateway.cancel(intent, fate) {
                Reply::Intent(_, Intent::Canceled) => Refund::Finish(cause),
                // An intent whose charge went back still says that it succeeded.
                Reply::Intent(_, Intent::Succeeded | Intent::Refunded) => Refund::GiveBack(cause, intent),
                _ => Refund::Idle,
            },
            Refund::GiveBack(cause, intent) => match state.gateway.refund(intent, fate) {
                Reply::AlreadyRefunded if self.lacks(Rule::AlreadyRefundedIsDone) => Refund::Idle,
                Reply::Intent(..) | Reply::AlreadyRefunded => Refund::Finish(cause),
                _ => Refund::Idle,
            },
            Refund::Finish(cause) => {
                if self.lacks(Rule::MarkBeforeUndoing) {
                    // Marked only now that it is over.
                    let _ = self.commit(state, Op::Undo, &[]);
                }
                match self.commit(state, Op::FinishUndo(cause), &[Unpaid(cause + 1)]) {
                    Ok(()) => Refund::Idle,
                    Err(_) => Refund::Answer(cause),
                }
            }
            Refund::Answer(cause) => {
                let told = [Unpaid(cause + 1)];
                match Undo::of(self.look(state).payment) {
                    Undo::Tombstone if self.lacks(Rule::EmptyCompensationAnnounces) => {
                        let _ = self.commit(state, Op::BuryPayment(cause), &[]);
                    }
                    Undo::Tombstone if self.lacks(Rule::RefundLeavesTombstone) => {
                        state.messages |= Unpaid(cause + 1).bit();
                    }
                    Undo::Tombstone => {
                        let _ = self.commit(state, Op::BuryPayment(cause), &told);
                    }
                    Undo::Announce if self.lacks(Rule::AnnounceToEveryCause) => {}
                    Undo::Announce
                        if self.lacks(Rule::EmptyCompensationAnnounces)
                            && self.look(state).intent.is_none() => {}
                    Undo::Announce => {
                        let _ = self.commit(state, Op::AnnouncePayment(cause), &told);
                    }
                    Undo::Gateway => {}
                }
                Refund::Idle
            }
        }
    }

    pub(crate) fn decide_release(&self, state: &State, cause: u8) -> Releasing {
        let seen = self.look(state);
        if seen.answered & 1 << cause != 0 {
            return None;
        }
        Some((
            cause,
            match Release::of(seen.reservation) {
                Release::PutBack => Decided::PutBack,
                Release::Tombstone => Decided::Tombstone,
                Release::Announce => Decided::Announce,
            },
        ))
    }

    pub(crate) fn release(&self, state: &mut State, (cause, decided): (u8, Decided)) -> Releasing {
        let done = match decided {
            Decided::PutBack => self.commit(state, Op::PutBack(cause), &[Released(cause)]),
            Decided::Tombstone if self.lacks(Rule::ReleaseLeavesTombstone) => {
                state.messages |= Released(cause).bit();
                Ok(())
            }
            Decided::Tombstone => self.commit(state, Op::BuryReservation(cause), &[Released(cause)]),
            Decided::Announce => self.commit(state, Op::AnnounceReservation(cause), &[Released(cause)]),
        };
        // It moved since it was read: judged again as it stands.
        done.err().and_then(|_| self.decide_release(state, cause))
    }

    pub(crate) fn expire(&self, state: &mut State) {
        let seen = self.look(state);
        if seen.order != Some(OrderStatus::Open) {
            return;
        }
        let expired = Closed(1 + seen.deadline.min(1));
        let Err(0) = self.commit(state, Op::Expire(seen.deadline), &[expired]) else { return };
        let again = match seen.shipment {
            Some(ShipmentState::Closed) if !self.lacks(Rule::ExpiryRepeats) => expired,
            Some(ShipmentState::Shipped) if !self.lacks(Rule::ExpiryPushesOn) => Complete,
            _ => return,
        };
        let _ = self.commit(state, Op::Postpone(seen.deadline), &[again]);
    }

    pub(crate) fn end(&self, state: &mut State, op: fn(u8) -> Op) {
        let seen = self.look(state);
        if self.commit(state, op(1), &[]).is_err() && self.lacks(Rule::EndOnlyOpenOrders) {
            let _ = self.commit(state, op(seen.version), &[]);
        }
    }
}
