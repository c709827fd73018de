//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::saga_step::<release_inventory::ReleaseInventory>().await
}
