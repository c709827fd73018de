//! Compensation: returns the reserved stock, or leaves a tombstone that a late reservation will find.
//!
//! `PaymentFailed`, `PaymentRefunded` → `InventoryReleased`

use eda::aws::Aws;
use eda::event::{Emission, Message as _};
use eda::outbox::OutboxRow;
use eda::row::{Key, Table};
use eda::saga::{SagaStep, Stepped};
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::transition::{Outcome, Transition};
use eda::{Failure, telemetry};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::events::{InventoryReleased, PaymentFailed, PaymentRefunded};
use shop::stock::{Product, Release, Reservation};

/// How often a release follows a reservation that keeps moving. Its life has two moves, so two refusals at most.
const ATTEMPTS: usize = 3;

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per order: the guard.
    #[envconfig(from = "RESERVATIONS_TABLE")]
    pub reservations: Table<Reservation>,
    /// One row per product.
    #[envconfig(from = "INVENTORY_TABLE")]
    pub inventory: Table<Product>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Returns the reserved stock of an order, or makes sure that none will be reserved.
pub struct ReleaseInventory {
    spine: Spine,
    config: Config,
}

impl Function for ReleaseInventory {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

eda::one_of! {
    /// Nothing is charged for the order, and nothing will be.
    pub enum NothingCharged { PaymentFailed, PaymentRefunded }
}

impl NothingCharged {
    fn released(&self) -> InventoryReleased {
        let (order_id, customer_id, reason) = match self {
            Self::PaymentFailed(failed) => {
                (&failed.data.order_id, &failed.data.customer_id, &failed.data.reason)
            }
            Self::PaymentRefunded(refunded) => {
                (&refunded.data.order_id, &refunded.data.customer_id, &refunded.data.reason)
            }
        };
        InventoryReleased {
            order_id: order_id.clone(),
            customer_id: customer_id.clone(),
            items: Vec::new(),
            reason: reason.clone(),
        }
    }
}

impl SagaStep for ReleaseInventory {
    type Message = NothingCharged;

    async fn step(&self, unpaid: NothingCharged) -> Result<Stepped, Failure> {
        let cause = unpaid.cause();
        let released = unpaid.released();
        let mut row = self.spine.read(&self.config.reservations, Key::of(&released.order_id)).await?;
        for _ in 0..ATTEMPTS {
            let items = row.as_ref().map(|row| row.items.clone()).unwrap_or_default();
            let released = self.spine.event(&cause, &InventoryReleased { items, ..released.clone() })?;
            if row.as_ref().is_some_and(|row| row.answered.contains(&cause.id())) {
                telemetry::duplicate();
                return Ok(Stepped::Done(released));
            }
            let transition = self.release(&unpaid, released.clone(), row)?;
            row = match self.spine.try_commit(transition).await? {
                Outcome::Applied => return Ok(Stepped::Done(released)),
                // It moved since it was read, and the refusal shows where to: as good as reading it again.
                Outcome::Duplicate(moved) => moved,
            };
        }
        Err(Failure::transient("the reservation kept moving"))
    }
}

impl ReleaseInventory {
    /// Undoes whatever the reservation, as it stands, has done.
    fn release(
        &self,
        unpaid: &NothingCharged,
        released: Emission,
        row: Option<Reservation>,
    ) -> Result<Transition<Reservation>, Failure> {
        let (table, cause, order_id) = (&self.config.reservations, unpaid.cause(), unpaid.ordering_key());
        let decided = Release::of(row.as_ref().map(|row| row.status));
        let guard = match decided {
            Release::PutBack => Reservation::release(table, order_id, &cause.id()),
            Release::Announce => Reservation::announce(table, order_id, &cause.id()),
            Release::Tombstone => {
                let expires_at = self.spine.ambient().expires_in_days(KEEP_DAYS);
                Reservation::bury(table, order_id, &cause.id(), expires_at)?
            }
        };
        let items = row.map(|row| row.items).unwrap_or_default();
        let mut transition = Transition::guarded_by(guard);
        if decided == Release::PutBack {
            for item in &items {
                transition = transition.also(Product::put_back(&self.config.inventory, item));
            }
        }
        Ok(transition.emit(released))
    }
}
