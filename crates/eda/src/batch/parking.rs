use aws_lambda_events::sqs::SqsMessage;
use aws_sdk_sqs::types::MessageAttributeValue;
use envconfig::Envconfig;

use crate::Failure;

/// Where a queue's poison goes.
#[derive(Clone, Debug, Envconfig)]
pub struct ParkingConfig {
    /// URL of the dead-letter queue.
    #[envconfig(from = "DEAD_LETTER_QUEUE_URL")]
    pub dead_letter_queue_url: String,
}

/// Parks messages that no repetition can help, with the reason, in the queue's dead-letter queue.
///
/// SQS moves a message there only after its receive count is spent, and without a reason; a message whose failure is
/// known to be permanent goes at once.
#[derive(Clone)]
pub struct Parking {
    sqs: aws_sdk_sqs::Client,
    config: ParkingConfig,
    function: &'static str,
}

/// The longest reason, in characters.
const MAX_REASON: usize = 1_000;

impl Parking {
    /// Parks on behalf of `function`.
    #[must_use]
    pub fn new(sqs: aws_sdk_sqs::Client, config: ParkingConfig, function: &'static str) -> Self {
        Self { sqs, config, function }
    }

    /// Parks the message as it was received: same body; attributes `reason`, `parkedBy`, `originalMessageId`.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the queue did not take it: then the message must not be acknowledged.
    pub async fn park(&self, message: &SqsMessage, reason: &Failure) -> Result<(), Failure> {
        let reason: String = reason.chain().chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        let text =
            |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let malformed = |error| Failure::transient("the reason does not fit an attribute").because(error);
        // SQS refuses an empty body; so does it an empty attribute.
        let body = message.body.as_deref().filter(|body| !body.is_empty()).unwrap_or("(empty)");
        let id = message.message_id.as_deref().filter(|id| !id.is_empty()).unwrap_or("(unknown)");
        self.sqs
            .send_message()
            .queue_url(&self.config.dead_letter_queue_url)
            .message_body(body)
            .message_attributes("reason", text(&reason).map_err(malformed)?)
            .message_attributes("parkedBy", text(self.function).map_err(malformed)?)
            .message_attributes("originalMessageId", text(id).map_err(malformed)?)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Failure::transient("the message could not be parked").because(error))
    }
}
