//! Wiring.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), eda::serve::StartError> {
    eda::serve::queue::<refund_payment::RefundPayment>().await
}
