//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::long_queue::<import_orders::ImportOrders>().await
}
