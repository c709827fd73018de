//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::saga_step::<reserve_inventory::ReserveInventory>().await
}
