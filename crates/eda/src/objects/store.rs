use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ObjectVersion;
use crate::Failure;
use crate::aws::{Answer, Aws, Signed};

/// What S3 wants escaped in an object's path: all but letters, digits and these.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Reads and writes objects. Addresses are path-style: they work for every name of a bucket.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html#path-style-access>
#[derive(Clone, Debug)]
pub struct Objects {
    s3: Signed,
}

impl Objects {
    /// Over these clients.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws) -> Result<Self, Failure> {
        Ok(Self { s3: Signed::to(aws, "s3")? })
    }

    /// A whole object; `None` where there is none. One `GetObject`.
    ///
    /// # Errors
    /// [`Failure`] (transient) where the bucket does not answer.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let answer = self.s3.send("GET", &path(bucket, key), &[], Vec::new()).await?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            _ => Err(unexpected("an object could not be read", &answer)),
        }
    }

    /// A range of bytes of this version and of no other. One `GetObject`.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    ///
    /// # Errors
    /// [`Failure`]: transient where the bucket does not answer; permanent where the version is gone, or has been
    /// overwritten in a bucket that keeps no versions.
    pub async fn read_range(&self, object: &ObjectVersion, bytes: Range<u64>) -> Result<Vec<u8>, Failure> {
        let mut path = path(&object.bucket, &object.key);
        if let Some(version) = &object.version_id {
            path = format!("{path}?versionId={}", utf8_percent_encode(version, ESCAPED));
        }
        let etag = format!("\"{}\"", object.etag);
        let range = format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1));
        let answer =
            self.s3.send("GET", &path, &[("if-match", &etag), ("range", &range)], Vec::new()).await?;
        match answer.status {
            206 => Ok(answer.body),
            // A server may ignore the range: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
            200 => {
                let [start, end] =
                    [bytes.start, bytes.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
                Ok(answer.body.get(start..end.min(answer.body.len())).unwrap_or_default().to_vec())
            }
            404 => Err(Failure::permanent("the object is gone")),
            412 => Err(Failure::permanent("the object was overwritten")),
            _ => Err(unexpected("an object could not be read", &answer)),
        }
    }

    /// Writes an object, over the one of this key if there is one. One `PutObject`.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
    ///
    /// # Errors
    /// [`Failure`] (transient) where the bucket does not take it.
    pub async fn write(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<(), Failure> {
        let headers = [("content-type", content_type)];
        let answer = self.s3.send("PUT", &path(bucket, key), &headers, body).await?;
        match answer.status {
            200 => Ok(()),
            _ => Err(unexpected("an object could not be written", &answer)),
        }
    }
}

fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, ESCAPED))
}

fn unexpected(what: &str, answer: &Answer) -> Failure {
    Failure::transient(format!("{what}: S3 answered {}", answer.status))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_key_is_escaped_but_for_what_separates_its_parts() {
        assert_eq!(path("b", "incoming/a b+c?.jsonl"), "/b/incoming/a%20b%2Bc%3F.jsonl");
        assert_eq!(path("b", "incoming/ä~-_.1"), "/b/incoming/%C3%A4~-_.1");
    }
}
