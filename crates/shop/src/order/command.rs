use eda::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::events::{Address, Line, OrderPlaced};
use crate::money::Money;

/// The longest body that `POST /orders` takes, in bytes. The event, the stored event and the outbox row made of it stay far
/// below the limits of the bus (256 KB) and of an item (400 KB).
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Namespace of order ids (UUIDv5).
const ORDERS: Uuid = Uuid::from_u128(0x3b0f_5b5e_3a39_4c7d_8f0e_95a2_64f0_5c11);

/// The order that this caller means by this key: the same for ever, so that no table of keys is needed.
#[must_use]
pub fn order_id(principal: &str, idempotency_key: &str) -> Uuid {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    let name = format!("{}:{principal}:{idempotency_key}", principal.len());
    Uuid::new_v5(&ORDERS, name.as_bytes())
}

/// The order that a line of a file means. With a key, it is the same order in whichever file of the bucket and in whichever line
/// it stands; without one, the line's place stands for it, so that a file that comes again, as it was or with lines
/// corrected, places no line twice.
#[must_use]
pub fn imported_order_id(bucket: &str, key: &str, line: u64, idempotency_key: Option<&str>) -> Uuid {
    match idempotency_key {
        Some(idempotency_key) => order_id(&format!("arn:aws:s3:::{bucket}"), idempotency_key),
        None => order_id(&format!("arn:aws:s3:::{bucket}/{key}"), &line.to_string()),
    }
}

/// What lines cost in all, or `None` where that is beyond 28 digits.
pub(super) fn total(items: &[Line]) -> Option<Money> {
    items.iter().try_fold(Money::default(), |total, line| total.plus(line.price.times(line.quantity)?))
}

/// A decoded and valid request to place an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// Who orders.
    pub customer_id: String,
    /// What, at least one line.
    pub items: Vec<Line>,
    /// ISO 4217 code.
    pub currency: String,
    /// The gateway's name of the payment method; never a card number.
    pub payment_method: String,
    /// Where it goes.
    pub shipping_address: Address,
}

impl PlaceOrder {
    /// What it costs, or `None` where that is beyond 28 digits.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        total(&self.items)
    }

    /// Hash of the command, with the hash's own version. Equal commands hash equally however their JSON was written.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the command cannot be written as JSON.
    pub fn hash(&self) -> Result<String, Failure> {
        let canonical = serde_json::to_vec(self);
        let canonical =
            canonical.map_err(|error| Failure::permanent("the command has no JSON form").because(error))?;
        let hash = Sha256::digest(canonical);
        Ok(hash.iter().fold("v1:".to_owned(), |text, byte| text + &format!("{byte:02x}")))
    }

    pub(super) fn placed(self, order_id: String, now: Timestamp) -> OrderPlaced {
        let total_amount = self.total().unwrap_or_default();
        OrderPlaced {
            order_id,
            customer_id: self.customer_id,
            items: self.items,
            total_amount,
            currency: self.currency,
            timestamp: now,
            payment_method: Some(self.payment_method),
            shipping_address: Some(self.shipping_address),
        }
    }
}
