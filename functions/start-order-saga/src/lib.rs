//! Starts the orchestrated saga of a high-value order.
//!
//! `OrderPlaced` → an execution of the state machine, named after the order
//!
//! A name is used once, so a duplicate starts nothing, whatever it holds. Names are free again 90 days after their
//! execution ended; the rows, which live longer, decide then. The input is the event in its newest version, whichever
//! arrived: what the state machine hands to its tasks is the same for every repetition.

use eda::Failure;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::event::{Cause, Emission, Event, SagaStyle};
use eda::orchestrator::{Started, StateMachine, name_of};
use eda::serve::{Function, StartError};
use envconfig::Envconfig;
use shop::events::OrderPlaced;

/// What it starts.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// The state machine.
    #[envconfig(from = "STATE_MACHINE_ARN")]
    pub state_machine_arn: String,
}

/// Starts sagas.
pub struct StartOrderSaga {
    state_machine: StateMachine,
}

impl Function for StartOrderSaga {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { state_machine: StateMachine::new(aws, config.state_machine_arn)? })
    }
}

impl Consumer for StartOrderSaga {
    type Message = Event<OrderPlaced>;

    async fn consume(&self, placed: Event<OrderPlaced>) -> Result<(), Failure> {
        let document = document(&placed)?;
        let name = name_of(&placed.data.order_id);
        match self.state_machine.start(&name, &document, placed.trace.as_deref()).await? {
            Started::Running => tracing::info!(execution = name, "the saga runs"),
            Started::Duplicate => tracing::info!(execution = name, "the saga was started before"),
        }
        Ok(())
    }
}

/// The event as the bus would deliver it in its newest version, as part of an orchestrated saga.
fn document(placed: &Event<OrderPlaced>) -> Result<String, Failure> {
    let metadata = &placed.metadata;
    let cause = Cause {
        correlation_id: Some(metadata.correlation_id),
        causation_id: metadata.causation_id,
        saga: SagaStyle::Orchestrated,
        trace: None,
    };
    let event = Emission::with_id(metadata.event_id, metadata.event_time, &cause, &placed.data)?;
    Ok(event.document()?.get().to_owned())
}
