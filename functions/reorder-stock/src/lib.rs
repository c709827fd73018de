//! Requests a reorder of what runs short, once per shortage; a recovery re-arms it.
//!
//! `StockUpdate`, low or recovered → `StockReorderRequested`

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::Event;
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::transition::{Outcome, Transition, Written};
use eda::write::ConditionalWrite;
use envconfig::Envconfig;
use shop::events::StockUpdate;
use shop::replenishment::{Next, Replenishment, is_low, reorder};

/// The tables of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per product: the guard.
    #[envconfig(from = "REPLENISHMENTS_TABLE")]
    pub replenishments: Table<Replenishment>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
}

/// Requests reorders.
pub struct ReorderStock {
    spine: Spine,
    config: Config,
}

impl Function for ReorderStock {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let spine = Spine::new(aws.dynamodb(), config.outbox.clone(), aws.ambient());
        Ok(Self { spine, config })
    }
}

/// How often an update is decided on anew because another one of the product came between.
const ATTEMPTS: usize = 3;

impl Consumer for ReorderStock {
    type Message = Event<StockUpdate>;

    async fn consume(&self, update: Event<StockUpdate>) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let next = if is_low(&update.data) {
                self.run_short(&update).await?
            } else {
                self.recover(&update).await?
            };
            if next == Next::Nothing {
                return Ok(());
            }
        }
        Err(Failure::transient(format!("{} changes too fast", update.data.product_id)))
    }
}

impl ReorderStock {
    async fn run_short(&self, update: &Event<StockUpdate>) -> Result<Next, Failure> {
        let StockUpdate { quantity, stock_version, .. } = update.data;
        let guard = Replenishment::request(&self.config.replenishments, &update.data)?;
        let Some(row) = self.request(update, guard, quantity, stock_version).await? else {
            return Ok(Next::Nothing);
        };
        match row.next(&update.data) {
            Next::Remember => {
                let lasts = Replenishment::remember(&self.config.replenishments, &update.data);
                self.spine.write(lasts).await.map(settled)
            }
            next => Ok(next),
        }
    }

    async fn recover(&self, update: &Event<StockUpdate>) -> Result<Next, Failure> {
        let recovered = Replenishment::recover(&self.config.replenishments, &update.data)?;
        let row = match self.spine.write(recovered).await? {
            Written::Applied(_) => return Ok(Next::Nothing),
            Written::Refused(row) => row,
        };
        match row.map_or(Next::Again, |row| row.next(&update.data)) {
            Next::Request { version, quantity } => {
                let guard = Replenishment::request_again(&self.config.replenishments, &update.data, version);
                let refused = self.request(update, guard, quantity, version).await?;
                Ok(if refused.is_some() { Next::Again } else { Next::Nothing })
            }
            next => Ok(next),
        }
    }

    /// Requests a reorder. Gives the row that refused, if one did.
    async fn request(
        &self,
        update: &Event<StockUpdate>,
        guard: ConditionalWrite<Replenishment>,
        quantity: u32,
        version: u32,
    ) -> Result<Option<Replenishment>, Failure> {
        let requested = reorder(&update.data, quantity, version);
        let requested = self.spine.event(&update.cause(), &requested)?;
        match self.spine.commit(Transition::guarded_by(guard).emit(requested)).await? {
            Outcome::Applied => {
                tracing::info!(productId = update.data.product_id, quantity, version, "reorder requested");
                Ok(None)
            }
            Outcome::Duplicate(row) => Ok(row),
        }
    }
}

fn settled(written: Written<Replenishment>) -> Next {
    match written {
        Written::Applied(_) => Next::Nothing,
        Written::Refused(_) => Next::Again,
    }
}
