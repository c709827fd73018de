//! Form-encoded parameters, and what Stripe says of wrong ones.

use std::collections::BTreeMap;

use super::error::ApiError;

/// The parameters of a call, sorted, so that equal parameters are equal however they are ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether `name` or an element of it was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.keys().any(|given| given.split('[').next() == Some(name))
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, ApiError> {
        match self.get(name) {
            Some("") => Err(ApiError::invalid(format!(
                "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a \
                     parameter; however '{name}' cannot be unset."
            ))
            .code("parameter_invalid_empty")
            .param(name)),
            Some(value) => Ok(value),
            None => Err(ApiError::invalid(format!("Missing required param: {name}."))
                .code("parameter_missing")
                .param(name)),
        }
    }

    pub(super) fn amount(&self, name: &'static str) -> Result<i64, ApiError> {
        let text = self.required(name)?;
        let wrong = |message| ApiError::invalid(message).code("parameter_invalid_integer").param(name);
        match text.parse::<i64>() {
            Err(_) => Err(wrong(format!("Invalid integer: {text}"))),
            Ok(amount) if amount < 1 => {
                Err(wrong("This value must be greater than or equal to 1.".to_owned()))
            }
            Ok(amount) => Ok(amount),
        }
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::invalid(format!("Invalid boolean: {other}")).param(name)),
        }
    }

    /// `metadata[name]`, within Stripe's limits. <https://docs.stripe.com/api/metadata>
    pub(super) fn metadata(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let metadata: BTreeMap<String, String> = self
            .0
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
                Some((name.to_owned(), value.clone()))
            })
            .collect();
        let wrong = |message: &str| Err(ApiError::invalid(message.to_owned()).param("metadata"));
        if metadata.len() > 50 {
            return wrong("Metadata can have up to 50 keys.");
        }
        if metadata.keys().any(|name| name.chars().count() > 40) {
            return wrong("Metadata keys can be up to 40 characters long.");
        }
        if metadata.values().any(|value| value.chars().count() > 500) {
            return wrong("Metadata values must be up to 500 characters.");
        }
        Ok(metadata)
    }

    /// Refuses what is neither known nor an element (`name[…]`) of something known.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let unknown = self.0.keys().find(|name| {
            let stem = name.split('[').next().unwrap_or_default();
            !known.contains(&stem)
        });
        match unknown {
            None => Ok(()),
            Some(name) => Err(ApiError::invalid(format!("Received unknown parameter: {name}"))
                .code("parameter_unknown")
                .param(name)),
        }
    }
}
