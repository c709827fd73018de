//! The payment gateway: intents, and the answers it saves under idempotency keys and may forget at any time.

/// Where an intent stands at the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as at the gateway")]
pub enum Intent {
    #[default]
    None,
    Created,
    Processing,
    Declined,
    Succeeded,
    Canceled,
    Refunded,
}

/// What is saved under an idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Saved {
    /// Nothing, or forgotten.
    #[default]
    Nothing,
    /// This intent, in this state.
    Answer(u8, Intent),
    /// A server error, though it may have had its effect, for this intent.
    Error(u8),
}

/// The gateway's books about one order: at most two intents that anybody knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// The intents.
    pub intents: [Intent; 2],
    /// Under `{orderId}:create`.
    pub create: Saved,
    /// Under `{orderId}:confirm`.
    pub confirm: Saved,
    /// Under `{orderId}:refund`.
    pub refund: Saved,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The intent in this state.
    Intent(u8, Intent),
    /// It was refunded before.
    AlreadyRefunded,
    /// The intent's state does not allow it, or the request is not valid.
    Refused,
    /// A server error or silence: anything may have happened.
    Doubt,
    /// A saved server error.
    Replayed,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It takes effect; the reply is lost.
    ReplyLost,
    /// A server error before anything was done, not saved.
    ErrorBefore,
    /// A server error before anything was done, saved under the key.
    SavedErrorBefore,
    /// A server error after it was done, saved under the key.
    SavedErrorAfter,
}

/// All of them.
pub const FATES: [Fate; 5] =
    [Fate::Answered, Fate::ReplyLost, Fate::ErrorBefore, Fate::SavedErrorBefore, Fate::SavedErrorAfter];

impl Gateway {
    /// Where an intent stands.
    #[must_use]
    pub fn intent(&self, index: u8) -> Intent {
        self.intents.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// Moves an intent.
    pub fn set(&mut self, index: u8, to: Intent) {
        if let Some(intent) = self.intents.get_mut(usize::from(index)) {
            *intent = to;
        }
    }

    /// How many charges stand.
    #[must_use]
    pub fn charges(&self) -> usize {
        self.intents.iter().filter(|intent| **intent == Intent::Succeeded).count()
    }

    fn fresh(&self) -> Option<u8> {
        self.intents.iter().position(|intent| *intent == Intent::None).and_then(|index| index.try_into().ok())
    }

    /// Creates an intent, under the order's key or, after a saved error, under another. `None` where the model has no
    /// room for a third intent that somebody still knows of.
    pub fn create(&mut self, fate: Fate) -> Option<Reply> {
        let saved = match self.create {
            Saved::Answer(index, state) => return Some(received(fate, Reply::Intent(index, state))),
            Saved::Error(_) => false,
            Saved::Nothing => true,
        };
        let save = |this: &mut Self, what: Saved| {
            if saved {
                this.create = what;
            }
        };
        if matches!(fate, Fate::ErrorBefore | Fate::SavedErrorBefore) {
            if fate == Fate::SavedErrorBefore {
                save(self, Saved::Error(0));
            }
            return Some(Reply::Doubt);
        }
        let index = self.fresh()?;
        self.set(index, Intent::Created);
        match fate {
            Fate::SavedErrorAfter => save(self, Saved::Error(0)),
            _ => save(self, Saved::Answer(index, Intent::Created)),
        }
        Some(received(fate, Reply::Intent(index, Intent::Created)))
    }

    /// Confirms an intent: it comes to stand at `outcome` if it can be confirmed.
    pub fn confirm(&mut self, index: u8, outcome: Intent, fate: Fate) -> Reply {
        match self.confirm {
            Saved::Answer(saved, state) if saved == index => {
                return received(fate, Reply::Intent(index, state));
            }
            Saved::Error(saved) if saved == index => return Reply::Replayed,
            // The key was used with another request.
            Saved::Answer(..) | Saved::Error(_) => return Reply::Refused,
            Saved::Nothing => {}
        }
        match fate {
            Fate::ErrorBefore => return Reply::Doubt,
            Fate::SavedErrorBefore => {
                self.confirm = Saved::Error(index);
                return Reply::Doubt;
            }
            _ => {}
        }
        if self.intent(index) != Intent::Created {
            return received(fate, Reply::Refused);
        }
        self.set(index, outcome);
        self.confirm = match fate {
            Fate::SavedErrorAfter => Saved::Error(index),
            _ => Saved::Answer(index, outcome),
        };
        received(fate, Reply::Intent(index, outcome))
    }

    /// Cancels an intent, under a new key each time.
    pub fn cancel(&mut self, index: u8, fate: Fate) -> Reply {
        if matches!(fate, Fate::ErrorBefore | Fate::SavedErrorBefore) {
            return Reply::Doubt;
        }
        if matches!(self.intent(index), Intent::Created | Intent::Declined) {
            self.set(index, Intent::Canceled);
        }
        received(fate, Reply::Intent(index, self.intent(index)))
    }

    /// Gives back all of a charge; after a saved error, under another key.
    pub fn refund(&mut self, index: u8, fate: Fate) -> Reply {
        let saved = match self.refund {
            Saved::Answer(saved, state) if saved == index => {
                return received(fate, Reply::Intent(index, state));
            }
            Saved::Answer(..) => return Reply::Refused,
            Saved::Error(_) => false,
            Saved::Nothing => true,
        };
        let save = |this: &mut Self, what: Saved| {
            if saved {
                this.refund = what;
            }
        };
        match fate {
            Fate::ErrorBefore => return Reply::Doubt,
            Fate::SavedErrorBefore => {
                save(self, Saved::Error(index));
                return Reply::Doubt;
            }
            _ => {}
        }
        match self.intent(index) {
            Intent::Refunded => received(fate, Reply::AlreadyRefunded),
            Intent::Succeeded => {
                self.set(index, Intent::Refunded);
                match fate {
                    Fate::SavedErrorAfter => save(self, Saved::Error(index)),
                    _ => save(self, Saved::Answer(index, Intent::Refunded)),
                }
                received(fate, Reply::Intent(index, Intent::Refunded))
            }
            _ => received(fate, Reply::Refused),
        }
    }
}

fn received(fate: Fate, reply: Reply) -> Reply {
    if fate == Fate::Answered { reply } else { Reply::Doubt }
}
