use std::sync::OnceLock;

use super::Aws;

/// Clients over one configuration, each built when it is first asked for. Whoever asks again gets the same, so that a
/// function that reads and writes and publishes keeps one client of a service, not one for each of its parts.
macro_rules! clients {
    ($($(#[cfg($condition:meta)])? #[doc = $doc:literal] $name:ident: $service:ident;)+) => {
        #[derive(Debug, Default)]
        pub(super) struct Clients {
            $($(#[cfg($condition)])? $name: OnceLock<$service::Client>,)+
        }

        impl Aws {
            $(
                $(#[cfg($condition)])?
                #[doc = $doc]
                #[must_use]
                pub fn $name(&self) -> $service::Client {
                    let client = self.clients.$name.get_or_init(|| {
                        let config = $service::config::Builder::from(&self.sdk);
                        let anonymous = self.sdk.credentials_provider().is_none();
                        let config = if anonymous { config.allow_no_auth() } else { config };
                        $service::Client::from_conf(config.build())
                    });
                    client.clone()
                }
            )+
        }
    };
}

clients! {
    /// A DynamoDB client.
    dynamodb: aws_sdk_dynamodb;
    /// An EventBridge client.
    eventbridge: aws_sdk_eventbridge;
    /// An SQS client.
    sqs: aws_sdk_sqs;
    /// A Kinesis client.
    kinesis: aws_sdk_kinesis;
    /// A Secrets Manager client.
    secrets: aws_sdk_secretsmanager;
    #[cfg(feature = "dead-letters")]
    /// A client of DynamoDB's streams.
    dynamodb_streams: aws_sdk_dynamodbstreams;
    #[cfg(feature = "dead-letters")]
    /// A Lambda client.
    lambda: aws_sdk_lambda;
}
