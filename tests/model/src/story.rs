//! What happens, in words.

use std::fmt;

use crate::gateway::Intent;
use crate::graph::Explorable;
use crate::message::Message::{Closed, Unpaid};
use crate::saga::{Act, Saga, State};

impl Explorable for Saga {
    const STAYS_REACHABLE: &'static str = "from every state a settled end stays reachable";

    fn settled(&self, state: &State) -> bool {
        self.is_settled(state)
    }

    fn line(&self, before: &State, after: &State, act: &Act) -> String {
        let mut changes = self.rows.difference(&before.rows, &after.rows);
        for (index, (old, new)) in before.gateway.intents.iter().zip(&after.gateway.intents).enumerate() {
            if old != new {
                changes.push(format!("gateway: pi_{index} {new:?}"));
            }
        }
        if changes.is_empty() { act.to_string() } else { format!("{act} → {}", changes.join("; ")) }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lose(message) => write!(f, "the message {message:?} is lost for good"),
            Self::Other(true) => f.write_str("another order takes the piece"),
            Self::Other(false) => f.write_str("another order puts its piece back"),
            Self::PayStart(fate) => write!(f, "process-payment (new run) creates an intent: {fate:?}"),
            Self::Pay(run, _, Intent::None) => write!(f, "process-payment (run {run}) goes on"),
            Self::Pay(run, fate, to) => {
                write!(f, "process-payment (run {run}) confirms, to {to:?}: {fate:?}")
            }
            Self::PayDies(run) => write!(f, "process-payment (run {run}) dies"),
            Self::Settle(intent, to) => write!(f, "the gateway settles intent pi_{intent}: {to:?}"),
            Self::ForgetCreate => f.write_str("the gateway forgets the key :create"),
            Self::ForgetConfirm => f.write_str("the gateway forgets the key :confirm"),
            Self::ForgetRefund => f.write_str("the gateway forgets the key :refund"),
            Self::RefundStart(cause) => {
                write!(f, "refund-payment (new run) begins, asked by {:?}", Closed(*cause))
            }
            Self::Refund(run, fate) => write!(f, "refund-payment (run {run}) goes on: {fate:?}"),
            Self::RefundDies(run) => write!(f, "refund-payment (run {run}) dies"),
            Self::ReleaseStart(cause) => {
                write!(f, "release-inventory reads the row, asked by {:?}", Unpaid(*cause))
            }
            Self::Release => f.write_str("release-inventory does what it decided"),
            Self::ReleaseDies => f.write_str("release-inventory dies"),
            Self::Reserve => f.write_str("reserve-inventory reserves"),
            Self::Reject => f.write_str("reserve-inventory rejects"),
            Self::Ship => f.write_str("ship-order books the shipment or closes it"),
            Self::Part(part) => write!(f, "aggregate-steps records part {part}"),
            Self::Last(part) => write!(f, "aggregate-steps takes part {part} for the last"),
            Self::Confirm => f.write_str("confirm-order confirms"),
            Self::Cancel => f.write_str("cancel-order cancels"),
            Self::Expire => f.write_str("expire-orders finds the order past its deadline"),
            Self::TimeOut(_) => f.write_str("expire-orders ends the join, having read that it waits"),
        }
    }
}
