//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::task::<rebuild_orders_view::RebuildOrdersView>().await
}
