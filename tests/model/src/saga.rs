//! The saga of one order: its rows, its messages, the handlers under way, the gateway.
//!
//! A handler is the sequence of its calls; each call is one step, and between two calls anything else may happen,
//! the handler's death too. A message stays for ever, so it is delivered again at any time, whether or not it was
//! handled: that is why messages are a set and not a queue.

use shop::order::OrderStatus;
use stateright::{Model, Property};

use crate::bounds::Bounds;
use crate::gateway::{FATES, Fate, Gateway, Intent};
use crate::handlers::{Pay, Refund, Releasing};
use crate::message::Message::{
    self, Closed, Complete, OrderPlaced, PaidToShipping, Released, ReservationFailed, ReservedToPayment,
    Unpaid,
};
use crate::promises;
use crate::rows::{Ids, LACKING, Op, REFUND_CAUSES, RELEASE_CAUSES, Rows, Seen};
use crate::rules::Rule;

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

    pub(crate) fn lacks(&self, rule: Rule) -> bool {
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

    pub(crate) fn commit(&self, state: &mut State, op: Op, messages: &[Message]) -> Result<(), usize> {
        state.rows = self.rows.write(&state.rows, op)?;
        state.messages = messages.iter().fold(state.messages, |all, message| all | message.bit());
        Ok(())
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
