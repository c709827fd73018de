//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::http::<get_order::GetOrder>().await
}
