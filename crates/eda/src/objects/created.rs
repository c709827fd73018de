use serde::Deserialize;
use uuid::Uuid;

use crate::event::{BusEvent, DecodeError, Message, Metadata, SagaStyle};

/// Namespace of identities derived from an object's version (UUIDv5).
const OBJECTS: Uuid = Uuid::from_u128(0x1f0a_58c3_7d8e_4b21_9a55_3c6e_90d7_41b8);

const SOURCE: &str = "aws.s3";
const DETAIL_TYPE: &str = "Object Created";

/// The form of S3's events, "currently 0 (zero) for all events".
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
const VERSION: &str = "0";

/// One version of an object: what it holds never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its bucket.
    pub bucket: String,
    /// Its key, as it is: not escaped.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
}

impl ObjectVersion {
    /// Its name, in which no two versions agree that hold different things.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { bucket, key, etag, version_id, .. } = self;
        format!("{bucket}/{key}@{}", version_id.as_ref().unwrap_or(etag))
    }
}

/// An object was created: S3's own event, which comes by the account's default bus.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectCreated {
    /// What was created.
    pub object: ObjectVersion,
    /// The X-Ray trace header it was delivered with.
    pub trace: Option<String>,
    metadata: Metadata,
    place: String,
}

#[derive(Deserialize)]
struct Detail {
    version: String,
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Object {
    key: String,
    size: u64,
    etag: String,
    version_id: Option<String>,
}

impl Message for ObjectCreated {
    fn decode(event: &BusEvent<'_>) -> Result<Self, DecodeError> {
        if event.source != SOURCE || event.detail_type != DETAIL_TYPE {
            return Err(event.unexpected(&[DETAIL_TYPE]));
        }
        let mut json = serde_json::Deserializer::from_str(event.detail.get());
        let detail: Detail = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let source = serde::de::Error::custom(error);
            DecodeError::Malformed { detail_type: DETAIL_TYPE, source }
        })?;
        if detail.version != VERSION {
            let (got, known) = (detail.version, VERSION.to_owned());
            return Err(DecodeError::Version { detail_type: DETAIL_TYPE, got, known });
        }
        let Object { key, size, etag, version_id } = detail.object;
        let object = ObjectVersion { bucket: detail.bucket.name, key, size, etag, version_id };
        // S3 says nothing that stays the same when it says it again, so the version stands for it.
        let event_id = Uuid::new_v5(&OBJECTS, object.name().as_bytes());
        let metadata = Metadata {
            event_id,
            event_time: event.time,
            correlation_id: event_id,
            causation_id: None,
            saga: SagaStyle::default(),
        };
        let place = format!("{}/{}", object.bucket, object.key);
        Ok(Self { object, trace: event.trace.clone(), metadata, place })
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn ordering_key(&self) -> &str {
        &self.place
    }

    fn in_saga(mut self, saga: SagaStyle) -> Self {
        self.metadata.saga = saga;
        self
    }
}
