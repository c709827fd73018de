//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::schedule::<sweep_outbox::SweepOutbox>().await
}
