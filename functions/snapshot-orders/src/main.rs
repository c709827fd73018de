//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::stream::<snapshot_orders::SnapshotOrders>().await
}
