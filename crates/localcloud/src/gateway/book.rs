//! Intents, charges and refunds in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::ledger::LedgerIntent;

/// Where an intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment method in use: Stripe makes a new one of a test name each time.
#[derive(Clone, Debug)]
pub(super) struct Method {
    pub(super) id: String,
    pub(super) name: String,
}

/// An attempt to charge.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) paid: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) created: Timestamp,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) description: Option<String>,
    pub(super) status: Status,
    /// Gone after a decline.
    pub(super) method: Option<Method>,
    /// The name of the method given last, for the ledger.
    pub(super) last_method: Option<String>,
    /// A confirmation needs a `return_url`.
    pub(super) may_redirect: bool,
    pub(super) charges: Vec<Charge>,
    pub(super) last_error: Option<Value>,
    /// When processing ends.
    pub(super) settles: Option<Timestamp>,
    pub(super) canceled: Option<(Timestamp, Option<String>)>,
    pub(super) refunded: i64,
}

impl Intent {
    pub(super) fn received(&self) -> i64 {
        if self.status == Status::Succeeded { self.amount } else { 0 }
    }

    fn settle(&mut self, now: Timestamp) {
        if self.settles.is_some_and(|end| end <= now) {
            self.settles = None;
            self.status = Status::Succeeded;
            if let Some(charge) = self.charges.last_mut() {
                charge.paid = true;
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) intent: String,
    pub(super) charge: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) created: Timestamp,
    pub(super) reason: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Everything the gateway has done.
#[derive(Debug)]
pub(super) struct Book {
    seed: Uuid,
    made: u64,
    /// Oldest first.
    intents: Vec<Intent>,
    places: BTreeMap<String, usize>,
    /// Names of the methods by id.
    methods: BTreeMap<String, String>,
    /// Oldest first.
    pub(super) refunds: Vec<Refund>,
}

impl Book {
    pub(super) fn new(seed: Uuid) -> Self {
        Self {
            seed,
            made: 0,
            intents: Vec::new(),
            places: BTreeMap::new(),
            methods: BTreeMap::new(),
            refunds: Vec::new(),
        }
    }

    /// `prefix_` and 24 characters.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        let id = Uuid::new_v5(&self.seed, &self.made.to_be_bytes()).simple().to_string();
        format!("{prefix}_{}", id.get(..24).unwrap_or(&id))
    }

    pub(super) fn add(&mut self, intent: Intent) {
        self.places.insert(intent.id.clone(), self.intents.len());
        self.intents.push(intent);
    }

    /// The intent as it stands `now`.
    pub(super) fn intent(&mut self, id: &str, now: Timestamp) -> Option<&mut Intent> {
        let place = *self.places.get(id)?;
        let intent = self.intents.get_mut(place)?;
        intent.settle(now);
        Some(intent)
    }

    /// A method by its test name, or by an id given out before.
    pub(super) fn method(&mut self, given: &str) -> Option<Method> {
        if let Some(name) = self.methods.get(given) {
            return Some(Method { id: given.to_owned(), name: name.clone() });
        }
        super::cards::verdict(given)?;
        let method = Method { id: self.id("pm"), name: given.to_owned() };
        self.methods.insert(method.id.clone(), method.name.clone());
        Some(method)
    }

    /// The test name behind what a request gave.
    pub(super) fn method_name(&self, given: &str) -> String {
        self.methods.get(given).cloned().unwrap_or_else(|| given.to_owned())
    }

    pub(super) fn ledger(&mut self, now: Timestamp) -> Vec<LedgerIntent> {
        let refunds = &self.refunds;
        self.intents
            .iter_mut()
            .map(|intent| {
                intent.settle(now);
                let paid = intent.charges.iter().filter(|charge| charge.paid).count();
                let pending = usize::from(intent.status == Status::Processing);
                LedgerIntent {
                    id: intent.id.clone(),
                    metadata: intent.metadata.clone(),
                    amount: intent.amount,
                    currency: intent.currency.clone(),
                    status: intent.status.name().to_owned(),
                    payment_method: intent.last_method.clone(),
                    charges: small(paid),
                    declines: small(intent.charges.len() - paid - pending),
                    charged: intent.amount.saturating_mul(small(paid).into()),
                    refunds: small(refunds.iter().filter(|refund| refund.intent == intent.id).count()),
                    refunded: intent.refunded,
                }
            })
            .collect()
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
