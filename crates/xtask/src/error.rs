//! Why a command failed.

use std::io;
use std::path::PathBuf;

/// Failures of a command; `Display` is the line the user sees.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    LocalCloud(#[from] localcloud::Error),

    #[error("functions/{function} has no sample {sample}; it has {known}")]
    NoSample { function: String, sample: String, known: String },

    #[error("there is no function {function}; there are {known}")]
    NoFunction { function: String, known: String },

    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("{} holds no events: {source}", .path.display())]
    Events { path: PathBuf, source: serde_json::Error },

    #[error("cannot run {step}: {source}")]
    Run { step: &'static str, source: io::Error },

    #[error("{function} failed: {message}")]
    Function { function: &'static str, message: String },

    #[error("cannot understand what the function answered: {0}")]
    Answer(serde_json::Error),

    #[error("cannot print JSON: {0}")]
    Json(serde_json::Error),

    #[error("cannot run cargo: {0}")]
    Cargo(io::Error),

    #[error("{package} could not be built; the compiler says why above")]
    Build { package: &'static str },

    #[error("cannot write to standard output: {0}")]
    Print(io::Error),

    #[error("cannot serve: {0}")]
    Serve(io::Error),

    #[error("cannot wait for signals: {0}")]
    Signal(io::Error),

    #[error("interrupted")]
    Interrupted,
}
