//! Attributes that say something about a message's death, and nothing about the message.

/// Why it was parked; set by [`Parking`](crate::batch::Parking).
pub const REASON: &str = "reason";
/// Which function parked it.
pub const PARKED_BY: &str = "parkedBy";
/// The id that it had in its queue.
pub const ORIGINAL_ID: &str = "originalMessageId";
/// How often it had been received.
pub const ATTEMPTS: &str = "attempts";
/// Which failure it is a retry of: so it comes back to its history, whatever it says.
pub const FAILURE_ID: &str = "failureId";
/// All of these, and those that EventBridge sets:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
pub(crate) const OURS: &[&str] = &[
    REASON,
    PARKED_BY,
    ORIGINAL_ID,
    ATTEMPTS,
    FAILURE_ID,
    RULE,
    TARGET,
    ERROR_CODE,
    ERROR_MESSAGE,
    CONDITION,
    RETRY_ATTEMPTS,
];
pub(crate) const RULE: &str = "RULE_ARN";
pub(crate) const TARGET: &str = "TARGET_ARN";
pub(crate) const ERROR_CODE: &str = "ERROR_CODE";
pub(crate) const ERROR_MESSAGE: &str = "ERROR_MESSAGE";
pub(crate) const CONDITION: &str = "EXHAUSTED_RETRY_CONDITION";
pub(crate) const RETRY_ATTEMPTS: &str = "RETRY_ATTEMPTS";
