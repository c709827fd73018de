//! Replenishment: a product that runs short is reordered, once per shortage, in whatever order its updates arrive.
//!
//! The row keeps two versions of the product's stock: the one that brought it to where it stands, and the newest low
//! one seen since. So an older update never overwrites a newer, and a shortage that was seen before the recovery that
//! it came after is not forgotten.

use eda::Failure;
use eda::row::{Key, Row, Table};
use eda::states;
use eda::step::State;
use eda::write::{Condition, ConditionalWrite, STATUS};
use serde::{Deserialize, Serialize};

use crate::events::{StockReorderRequested, StockUpdate};

/// Fewer pieces than these are a shortage. The rules of the template say so too.
pub const LOW_STOCK: u32 = 10;

states! {
    /// Where a product's replenishment stands.
    pub enum ReplenishmentState {
        /// It ran short, and more of it was requested.
        Requested = "requested",
        /// It recovered: the next shortage is a new one.
        Recovered = "recovered",
    }
}

/// The replenishment of a product that has run short at least once, or has recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replenishment {
    /// The product.
    pub product_id: String,
    /// Where it stands.
    pub status: ReplenishmentState,
    /// The version of the stock that brought it there.
    pub version: u32,
    /// The newest version at which the stock was low; 0 where it has recovered.
    pub low_version: u32,
    /// How many pieces there were then.
    pub low_quantity: u32,
}

impl Row for Replenishment {
    const NAME: &'static str = "replenishment";
    const PARTITION_KEY: &'static str = "productId";
}

/// What is left to do where a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the update is older than what is known, or was handled before.
    Nothing,
    /// The shortage lasts: only remember that it did so at this version.
    Remember,
    /// A shortage newer than this recovery was seen before it: request on its behalf.
    Request {
        /// The version at which the stock was low.
        version: u32,
        /// How many pieces there were.
        quantity: u32,
    },
    /// The row has moved on between: decide again.
    Again,
}

/// Whether an update tells of a shortage, or else of a recovery.
#[must_use]
pub fn is_low(update: &StockUpdate) -> bool {
    update.quantity < LOW_STOCK
}

/// The request that an update, or a shortage seen before it, leads to.
#[must_use]
pub fn reorder(update: &StockUpdate, quantity: u32, version: u32) -> StockReorderRequested {
    StockReorderRequested {
        product_id: update.product_id.clone(),
        warehouse_id: update.warehouse_id.clone(),
        product_category: update.product_category.clone(),
        quantity,
        stock_version: version,
    }
}

fn stands(status: ReplenishmentState) -> Condition {
    Condition::equals(STATUS, status.name())
}

/// The number in the attribute is below that of the update.
fn older(attribute: &str, update: &StockUpdate) -> Condition {
    Condition::at_most(attribute, i64::from(update.stock_version) - 1)
}

impl Replenishment {
    /// A new shortage: none is under way, as far as is known, and the update is newer than the last recovery.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn request(table: &Table<Self>, update: &StockUpdate) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self {
            product_id: update.product_id.clone(),
            status: ReplenishmentState::Requested,
            version: update.stock_version,
            low_version: update.stock_version,
            low_quantity: update.quantity,
        };
        let recovered = stands(ReplenishmentState::Recovered).and(older("version", update));
        let new = Condition::Any(vec![Condition::absent(Self::PARTITION_KEY), recovered]);
        Ok(table.put(&row)?.only_if(new))
    }

    /// The shortage that is under way lasts.
    #[must_use]
    pub fn remember(table: &Table<Self>, update: &StockUpdate) -> ConditionalWrite<Self> {
        let write = table.update(Key::of(&update.product_id)).set("lowVersion", update.stock_version);
        let lasts = stands(ReplenishmentState::Requested).and(older("lowVersion", update));
        write.set("lowQuantity", update.quantity).only_if(lasts)
    }

    /// The product has recovered, and no shortage after that is known.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the row cannot be represented.
    pub fn recover(table: &Table<Self>, update: &StockUpdate) -> Result<ConditionalWrite<Self>, Failure> {
        let row = Self {
            product_id: update.product_id.clone(),
            status: ReplenishmentState::Recovered,
            version: update.stock_version,
            low_version: 0,
            low_quantity: 0,
        };
        let newest = Condition::Any(vec![
            Condition::absent(Self::PARTITION_KEY),
            stands(ReplenishmentState::Recovered).and(older("version", update)),
            stands(ReplenishmentState::Requested).and(older("lowVersion", update)),
        ]);
        Ok(table.put(&row)?.only_if(newest))
    }

    /// A shortage after this recovery was seen before it: it is a new one.
    #[must_use]
    pub fn request_again(
        table: &Table<Self>,
        recovery: &StockUpdate,
        low_version: u32,
    ) -> ConditionalWrite<Self> {
        let passed_over =
            stands(ReplenishmentState::Requested).and(Condition::equals("lowVersion", low_version));
        let write = table.update(Key::of(&recovery.product_id)).set("version", low_version);
        write.only_if(passed_over.and(older("version", recovery)))
    }

    /// What is left to do for an update whose write this row has refused.
    #[must_use]
    pub fn next(&self, update: &StockUpdate) -> Next {
        let version = update.stock_version;
        match (self.status, is_low(update)) {
            (ReplenishmentState::Requested, true) if self.low_version < version => Next::Remember,
            (ReplenishmentState::Requested, false) if self.low_version < version => Next::Again,
            (ReplenishmentState::Requested, false) if self.version < version => {
                Next::Request { version: self.low_version, quantity: self.low_quantity }
            }
            (ReplenishmentState::Recovered, _) if self.version < version => Next::Again,
            _ => Next::Nothing,
        }
    }
}
