//! The saga of one order: its rows, its messages, the handlers under way, the gateway.
//!
//! A handler is the sequence of its calls; each call is one step, and between two calls anything else may happen,
//! the handler's death too. A message stays for ever, so it is delivered again at any time, whether or not it was
//! handled: that is why messages are a set and not a queue.

use shop::order::OrderStatus;
use shop::payment::{PaymentState, Resume, Undo};
use shop::shipment::ShipmentState;
use shop::stock::Release;
use stateright::{Model, Property};

use crate::bounds::Bounds;
use crate::gateway::{FATES, Fate, Gateway, Intent, Reply};
use crate::promises;
use crate::rows::{Ids, LACKING, Op, REFUND_CAUSES, RELEASE_CAUSES, Rows, Seen};
use crate::rules::Rule;

/// A delivery: an event on its way to one of its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// `OrderPlaced` → reserve-inventory.
    OrderPlaced,
    /// `InventoryReserved` → process-payment.
    ReservedToPayment,
    /// A part of the join → aggregate-steps, in the order of the saga's steps.
    Part(u8),
    /// `InventoryReservationFailed` → cancel-order.
    ReservationFailed,
    /// `PaymentProcessed` → ship-order.
    PaidToShipping,
    /// What releases stock: `PaymentFailed` (0), or the `PaymentRefunded` that answers a cause of a refund.
    Unpaid(u8),
    /// What refunds: `ShipmentFailed` (0), the first `OrderExpired` (1), a repeated one (2).
    Closed(u8),
    /// `InventoryReleased` → cancel-order, by the cause of the release.
    Released(u8),
    /// `AllStepsComplete` → confirm-order.
    Complete,
}

use Message::{
    Closed, Complete, OrderPlaced, PaidToShipping, Released, ReservationFailed, ReservedToPayment, Unpaid,
};

impl Message {
    const fn bit(self) -> u32 {
        1 << match self {
            OrderPlaced => 0,
            ReservedToPayment => 1,
            Self::Part(part) => 2 + part,
            ReservationFailed => 5,
            PaidToShipping => 6,
            Unpaid(cause) => 7 + cause,
            Closed(cause) => 11 + cause,
            Released(cause) => 14 + cause,
            Complete => 18,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let single = [OrderPlaced, ReservedToPayment, ReservationFailed, PaidToShipping, Complete];
        let parts = (0..3).map(Self::Part);
        let causes = (0..RELEASE_CAUSES)
            .flat_map(|cause| [Unpaid(cause), Released(cause)])
            .chain((0..REFUND_CAUSES).map(Closed));
        single.into_iter().chain(parts).chain(causes)
    }
}

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

/// Everything there is about one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Its rows.
    pub rows: Ids,
    /// Deliveries that were sent.
    pub messages: u32,
    /// The gateway's books.
    pub gateway: Gateway,
    /// Runs of process-payment.
    pub pay: [Pay; 2],
    /// Runs of refund-payment.
    pub refund: [Refund; 2],
    /// A run of release-inventory.
    pub release: Releasing,
    /// A run of reserve-inventory has found the stock short.
    pub short: bool,
    /// The piece belongs to somebody else.
    pub other: bool,
    /// A message was lost for good.
    pub lost: bool,
    /// Whether the destination is served.
    pub served: bool,
    /// Whether the order can be charged.
    pub chargeable: bool,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "told by Display")]
pub enum Act {
    Lose(Message),
    Other(bool),
    Reserve,
    Reject,
    PayStart(Fate),
    Pay(u8, Fate, Intent),
    PayDies(u8),
    Settle(u8, Intent),
    ForgetCreate,
    ForgetConfirm,
    ForgetRefund,
    Ship,
    RefundStart(u8),
    Refund(u8, Fate),
    RefundDies(u8),
    ReleaseStart(u8),
    Release,
    ReleaseDies,
    Part(u8),
    Last(u8),
    Confirm,
    Cancel,
    Expire,
    TimeOut(u8),
}

/// The model.
pub struct Saga {
    /// The rows and the writes.
    pub rows: Rows,
    /// The rule that is missing.
    pub without: Option<Rule>,
    /// How much happens at once.
    pub bounds: Bounds,
}

impl Saga {
    /// # Errors
    /// Where the rows cannot be worked out.
    pub fn new(bounds: Bounds, without: Option<Rule>) -> anyhow::Result<Self> {
        Ok(Self { rows: Rows::new(without)?, without, bounds })
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// What the rows say.
    #[must_use]
    pub fn look(&self, state: &State) -> Seen {
        self.rows.look(&state.rows)
    }

    /// Whether the order has come to a good end.
    #[must_use]
    pub fn is_settled(&self, state: &State) -> bool {
        matches!(self.look(state).order, Some(OrderStatus::Confirmed | OrderStatus::Cancelled))
    }

    fn commit(&self, state: &mut State, op: Op, messages: &[Message]) -> Result<(), usize> {
        state.rows = self.rows.write(&state.rows, op)?;
        state.messages = messages.iter().fold(state.messages, |all, message| all | message.bit());
        Ok(())
    }

    fn pay_start(&self, state: &mut State, fate: Fate) -> Option<Pay> {
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

    fn pay(&self, state: &mut State, stage: Pay, fate: Fate, outcome: Intent) -> Pay {
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

    fn refund_start(&self, state: &mut State, cause: u8) -> Refund {
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

    fn refund(&self, state: &mut State, stage: Refund, fate: Fate) -> Refund {
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

    fn decide_release(&self, state: &State, cause: u8) -> Releasing {
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

    fn release(&self, state: &mut State, (cause, decided): (u8, Decided)) -> Releasing {
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

    fn expire(&self, state: &mut State) {
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

    fn end(&self, state: &mut State, op: fn(u8) -> Op) {
        let seen = self.look(state);
        if self.commit(state, op(1), &[]).is_err() && self.lacks(Rule::EndOnlyOpenOrders) {
            let _ = self.commit(state, op(seen.version), &[]);
        }
    }

    fn act(&self, state: &mut State, act: Act) -> Option<()> {
        match act {
            Act::Lose(message) => {
                state.messages &= !message.bit();
                state.lost = true;
            }
            Act::Other(takes) => {
                let op = if takes { Op::OtherTakes } else { Op::OtherReturns };
                self.commit(state, op, &[]).ok()?;
                state.other = takes;
            }
            Act::Reserve => match self.commit(state, Op::Reserve, &[ReservedToPayment, Message::Part(0)]) {
                Err(refused) if refused > 0 => state.short = true,
                _ => {}
            },
            Act::Reject => self.commit(state, Op::Reject, &[ReservationFailed]).ok()?,
            Act::PayStart(fate) => {
                let stage = self.pay_start(state, fate)?;
                if let Some(free) = state.pay.iter_mut().find(|stage| **stage == Pay::Idle) {
                    *free = stage;
                }
            }
            Act::Pay(index, fate, outcome) => {
                let stage = *state.pay.get(usize::from(index))?;
                let next = self.pay(state, stage, fate, outcome);
                *state.pay.get_mut(usize::from(index))? = next;
            }
            Act::PayDies(index) => *state.pay.get_mut(usize::from(index))? = Pay::Idle,
            Act::Settle(intent, to) => state.gateway.set(intent, to),
            Act::ForgetCreate => state.gateway.create = crate::gateway::Saved::Nothing,
            Act::ForgetConfirm => state.gateway.confirm = crate::gateway::Saved::Nothing,
            Act::ForgetRefund => state.gateway.refund = crate::gateway::Saved::Nothing,
            Act::Ship => {
                let (op, messages): (_, &[_]) = if state.served {
                    (Op::Ship, &[Message::Part(2)])
                } else {
                    (Op::CloseShipment, &[Closed(0)])
                };
                self.commit(state, op, messages).ok()?;
            }
            Act::RefundStart(cause) => {
                let stage = self.refund_start(state, cause);
                if let Some(free) = state.refund.iter_mut().find(|stage| **stage == Refund::Idle) {
                    *free = stage;
                }
            }
            Act::Refund(index, fate) => {
                let stage = *state.refund.get(usize::from(index))?;
                let next = self.refund(state, stage, fate);
                *state.refund.get_mut(usize::from(index))? = next;
            }
            Act::RefundDies(index) => *state.refund.get_mut(usize::from(index))? = Refund::Idle,
            Act::ReleaseStart(cause) => {
                let decided = self.decide_release(state, cause);
                if self.bounds.releases && state.release.is_none() {
                    state.release = decided;
                } else {
                    self.release(state, decided?);
                }
            }
            Act::Release => state.release = self.release(state, state.release?),
            Act::ReleaseDies => state.release = None,
            Act::Part(part) => self.commit(state, Op::Part(part), &[]).ok()?,
            Act::Last(part) => self.commit(state, Op::Last(part), &[Complete]).ok()?,
            Act::Confirm => self.end(state, Op::Confirm),
            Act::Cancel => self.end(state, Op::Cancel),
            Act::Expire => self.expire(state),
            Act::TimeOut(missing) => self.commit(state, Op::TimeOut(missing), &[]).ok()?,
        }
        Some(())
    }

    /// What nobody knows of any more is as good as not there; runs of one function are interchangeable.
    fn tidy(&self, state: &mut State) {
        state.pay.sort_unstable();
        state.refund.sort_unstable();
        let stored = self.look(state).intent;
        for index in 0..2 {
            let known = stored == Some(index)
                || matches!(state.gateway.create, crate::gateway::Saved::Answer(saved, _) if saved == index)
                || state.pay.iter().any(|stage| {
                    matches!(stage, Pay::Persist(held) | Pay::Confirm(held) | Pay::Retrieve(held) | Pay::Charged(held)
                        if *held == index)
                });
            if !known && state.gateway.intent(index) == Intent::Created {
                state.gateway.set(index, Intent::None);
            }
        }
    }
}

impl Model for Saga {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let placed = State {
            rows: self.rows.initial(),
            messages: OrderPlaced.bit(),
            gateway: Gateway::default(),
            pay: [Pay::Idle; 2],
            refund: [Refund::Idle; 2],
            release: None,
            short: false,
            other: false,
            lost: false,
            served: true,
            chargeable: true,
        };
        vec![placed, State { served: false, ..placed }, State { chargeable: false, ..placed }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        let there = |message: Message| state.messages & message.bit() != 0;
        let bounds = &self.bounds;
        if bounds.losses && !state.lost {
            acts.extend(Message::all().filter(|message| there(*message)).map(Act::Lose));
        }
        if bounds.contended {
            acts.push(Act::Other(!state.other));
        }
        if there(OrderPlaced) {
            acts.push(Act::Reserve);
            if state.short {
                acts.push(Act::Reject);
            }
        }
        let busy = state.pay.iter().filter(|stage| **stage != Pay::Idle).count();
        if there(ReservedToPayment) && busy < usize::from(bounds.pays) {
            acts.extend(FATES.map(Act::PayStart));
        }
        for (index, stage) in (0_u8..).zip(&state.pay) {
            match stage {
                Pay::Idle => continue,
                Pay::Confirm(_) => {
                    let outcomes = [Intent::Succeeded, Intent::Declined, Intent::Processing];
                    acts.extend(
                        outcomes
                            .into_iter()
                            .flat_map(|outcome| FATES.map(|fate| Act::Pay(index, fate, outcome))),
                    );
                }
                _ => acts.push(Act::Pay(index, Fate::Answered, Intent::None)),
            }
            acts.push(Act::PayDies(index));
        }
        for (index, intent) in (0_u8..).zip(&state.gateway.intents) {
            if *intent == Intent::Processing {
                acts.extend([Act::Settle(index, Intent::Succeeded), Act::Settle(index, Intent::Declined)]);
            }
        }
        if bounds.forgetful {
            acts.extend([Act::ForgetCreate, Act::ForgetConfirm, Act::ForgetRefund]);
        }
        if there(PaidToShipping) {
            acts.push(Act::Ship);
        }
        let busy = state.refund.iter().filter(|stage| **stage != Refund::Idle).count();
        if busy < usize::from(bounds.refunds) {
            acts.extend((0..REFUND_CAUSES).filter(|cause| there(Closed(*cause))).map(Act::RefundStart));
        }
        for (index, stage) in (0_u8..).zip(&state.refund) {
            match stage {
                Refund::Idle => continue,
                Refund::Cancel(..) | Refund::GiveBack(..) => {
                    acts.extend(FATES.map(|fate| Act::Refund(index, fate)));
                }
                _ => acts.push(Act::Refund(index, Fate::Answered)),
            }
            acts.push(Act::RefundDies(index));
        }
        acts.extend((0..RELEASE_CAUSES).filter(|cause| there(Unpaid(*cause))).map(Act::ReleaseStart));
        if state.release.is_some() {
            acts.extend([Act::Release, Act::ReleaseDies]);
        }
        acts.extend(
            (0..3)
                .filter(|part| there(Message::Part(*part)))
                .flat_map(|part| [Act::Part(part), Act::Last(part)]),
        );
        if there(Complete) {
            acts.push(Act::Confirm);
        }
        if (0..RELEASE_CAUSES).any(|cause| there(Released(cause))) || there(ReservationFailed) {
            acts.push(Act::Cancel);
        }
        acts.push(Act::Expire);
        if self.look(state).order == Some(OrderStatus::Open) {
            acts.extend(LACKING.map(Act::TimeOut));
        }
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut next = *last;
        self.act(&mut next, act)?;
        self.tidy(&mut next);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}
