//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::queue_batches::<enrich_order::EnrichOrder>().await
}
