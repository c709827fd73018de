use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads one older version of a contract and lifts it to the newest.
pub type Upcast<T> = fn(&str) -> Result<T, serde_json::Error>;

/// An event contract: who says it, what it is called, its newest version, and how older ones are lifted to it.
///
/// The payload's fields lie flat in the event's `detail`, beside `version` and `metadata`.
pub trait Contract: Serialize + DeserializeOwned + 'static {
    /// The bus's `source`.
    const SOURCE: &'static str;
    /// The bus's `detail-type`.
    const DETAIL_TYPE: &'static str;
    /// The newest version, which this type is.
    const VERSION: &'static str;
    /// Older versions that may still arrive, each with its upcaster.
    const HISTORY: &'static [(&'static str, Upcast<Self>)] = &[];

    /// Events of the same key are ordered and handled one after another.
    fn ordering_key(&self) -> &str;
}

/// Reads `detail` as one version's type. An upcaster is `|detail| parse_version::<V1>(detail).map(Into::into)`.
///
/// # Errors
/// What is wrong, and in which field.
pub fn parse_version<T: DeserializeOwned>(detail: &str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(detail);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        if path == "." {
            error.into_inner()
        } else {
            serde::de::Error::custom(format!("{path}: {}", error.inner()))
        }
    })
}
