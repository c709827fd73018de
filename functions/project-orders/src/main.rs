//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::stream::<project_orders::ProjectOrders>().await
}
