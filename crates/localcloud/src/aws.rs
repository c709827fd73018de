//! How AWS clients reach the local cloud.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

/// The only region of the local cloud.
pub(crate) const REGION: &str = "us-east-1";
/// Accepted by the local cloud and nothing else.
const KEY: &str = "test";

/// The environment variables with which any AWS tool or SDK reaches the local cloud instead of AWS.
pub(crate) fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// The configuration of SDK clients for the local cloud.
pub(crate) fn configuration(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            KEY,
            KEY,
            None,
            None,
            "local cloud",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}
