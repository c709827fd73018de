//! Typed configuration, read once at start. A missing or malformed variable ends the start and is named.

use envconfig::Envconfig;
use thiserror::Error;

/// The configuration cannot be read.
#[derive(Debug, Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl From<envconfig::Error> for ConfigError {
    fn from(error: envconfig::Error) -> Self {
        match error {
            envconfig::Error::EnvVarMissing { name } => Self { variable: name, problem: "is not set" },
            envconfig::Error::ParseError { name } => {
                Self { variable: name, problem: "has an unusable value" }
            }
        }
    }
}

/// Reads the configuration from the environment.
///
/// # Errors
/// [`ConfigError`], which names the variable.
pub fn from_env<C: Envconfig>() -> Result<C, ConfigError> {
    Ok(C::init_from_env()?)
}
