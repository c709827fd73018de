//! Secrets, read from Secrets Manager when they are needed and never from the environment.

use std::fmt;

use aws_sdk_secretsmanager::Client;

use crate::Failure;
use crate::aws::Aws;

/// A secret whose string is the value itself. Neither `Debug` nor any failure shows the value.
#[derive(Clone)]
pub struct Secret {
    client: Client,
    id: String,
}

impl Secret {
    /// The secret of this name or ARN.
    #[must_use]
    pub fn of(aws: &Aws, id: impl Into<String>) -> Self {
        Self { client: aws.secrets(), id: id.into() }
    }

    /// Reads its current value: one `GetSecretValue`.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    ///
    /// # Errors
    /// [`Failure`] (transient, because whoever keeps the secret can mend it) where it cannot be read or holds no string.
    pub async fn read(&self) -> Result<String, Failure> {
        let sent = self.client.get_secret_value().secret_id(&self.id).send().await;
        let found =
            sent.map_err(|error| Failure::transient("the secret could not be read").because(error))?;
        found.secret_string.ok_or_else(|| Failure::transient("the secret holds no string"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}
