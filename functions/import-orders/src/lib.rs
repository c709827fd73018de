//! Orders from a file: a JSON Lines file in S3, of any size, an order each line.
//!
//! S3's `Object Created` → `OrderPlaced`, for each line that is an order; what is wrong with the others is said in
//! `results/`, in a file of the same name.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Deadline, LongConsumer, Stretch};
use eda::fields::Unreadable;
use eda::import::{Import, Importer, Refusal, TakeLine};
use eda::objects::{ObjectCreated, ObjectVersion};
use eda::row::Table;
use eda::serve::{Function, StartError};
use eda::spine::Spine;
use eda::telemetry;
use envconfig::Envconfig;
use shop::order::{MAX_BODY_BYTES, OrderLine, Placed, Placement, PlacementConfig, imported_order_id};

/// Where files are put, and where what became of them is said.
const INCOMING: &str = "incoming/";
const RESULTS: &str = "results/";

/// The tables and limits of this step.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// How far each file has come.
    #[envconfig(from = "IMPORTS_TABLE")]
    pub imports: Table<Import>,
    /// Whatever orders are placed with.
    #[envconfig(nested)]
    pub placement: PlacementConfig,
}

/// Places the orders of files.
pub struct ImportOrders {
    importer: Importer,
    spine: Spine,
    config: Config,
}

impl Function for ImportOrders {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        let importer = Importer::new(aws, config.imports.clone())?;
        let spine = Spine::new(aws.dynamodb(), config.placement.outbox.clone(), aws.ambient());
        Ok(Self { importer, spine, config })
    }
}

impl LongConsumer for ImportOrders {
    type Message = ObjectCreated;

    async fn work(&self, created: &ObjectCreated, deadline: Deadline) -> Result<Stretch, Failure> {
        let ObjectCreated { object, trace, .. } = created;
        let name = object
            .key
            .strip_prefix(INCOMING)
            .ok_or_else(|| Failure::permanent(format!("only what lies below {INCOMING} is imported")))?;
        let lines = Lines { orders: self, trace: trace.clone() };
        let (stretch, progress) =
            self.importer.advance(object, &format!("{RESULTS}{name}"), deadline, &lines).await?;
        telemetry::report(Self::NAME, "LinesTaken", progress.taken);
        telemetry::report(Self::NAME, "LinesRefused", progress.refused);
        Ok(stretch)
    }
}

/// The lines of one file.
struct Lines<'a> {
    orders: &'a ImportOrders,
    trace: Option<String>,
}

impl TakeLine for Lines<'_> {
    const LONGEST: usize = MAX_BODY_BYTES;

    async fn take(
        &self,
        object: &ObjectVersion,
        number: u64,
        line: &str,
    ) -> Result<Result<(), Refusal>, Failure> {
        let OrderLine { idempotency_key, order } = match OrderLine::parse(line) {
            Ok(line) => line,
            Err(unreadable) => return Ok(Err(refusal(unreadable))),
        };
        let ImportOrders { spine, config, .. } = self.orders;
        let order_id = imported_order_id(&object.bucket, &object.key, number, idempotency_key.as_deref());
        let placement = Placement::of(
            order_id.to_string(),
            order,
            self.trace.clone(),
            &config.placement,
            spine.ambient(),
        )?;
        let Placement { order_id, correlation_id, hash, transition } = placement;
        Ok(match Placed::of(spine.commit(transition).await?, &hash) {
            Placed::Now => {
                tracing::info!(orderId = order_id, correlationId = %correlation_id, line = number, "order placed");
                Ok(())
            }
            Placed::Before(_) => Ok(()),
            Placed::Another => Err(Refusal::of(match idempotency_key {
                Some(_) => "another order was placed with this idempotencyKey before",
                None => {
                    "this line of this file placed another order before; an idempotencyKey tells orders apart"
                }
            })),
        })
    }
}

fn refusal(unreadable: Unreadable) -> Refusal {
    match unreadable {
        Unreadable::NotJson => Refusal::of("is not JSON"),
        Unreadable::Fields(errors) => Refusal { problem: "is no valid order".to_owned(), errors },
    }
}
