//! What can go wrong between a checkout and a running local cloud.

use std::io;
use std::path::{Path, PathBuf};

/// Every failure of this crate. `Display` is one line that says what to do next where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable Python on the search path.
    #[error(
        "no Python 3.11 or newer with venv and pip found (tried {tried}): install python3, \
         on Debian and Ubuntu python3-venv too"
    )]
    NoPython {
        /// The commands that were tried, separated by commas.
        tried: String,
    },

    /// A program that was run to its end failed.
    #[error("{step} failed: {last_line} (log: {})", .log.display())]
    Command {
        /// What the program was run for.
        step: String,
        /// The last telling line of its output.
        last_line: String,
        /// Its whole output.
        log: PathBuf,
    },

    /// A server did not come up.
    #[error("{server} did not start: {reason} (log: {})", .log.display())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// Why, as far as known.
        reason: String,
        /// Its output.
        log: PathBuf,
    },

    /// No local cloud is running, though one is needed.
    #[error("no local cloud is running: start one with `cargo xtask up`")]
    NotRunning,

    /// The stack lacks something that the caller asked for.
    #[error("the deployed stack has no {what}")]
    Missing {
        /// The missing function, output or resource.
        what: String,
    },

    /// An AWS call to the local cloud failed.
    #[error("{call}: {message}")]
    Aws {
        /// The operation, for example `dynamodb:Scan`.
        call: &'static str,
        /// The service's error code and message.
        message: String,
    },

    /// An HTTP request failed before there was an answer.
    #[error("{method} {url}: {message}")]
    Http {
        /// The request's method.
        method: String,
        /// The request's URL.
        url: String,
        /// What failed.
        message: String,
    },

    /// A file cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was to be done, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },

    /// A file's content is not what it should be.
    #[error("{}: {message}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an I/O error with the file it is about; made for `map_err`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Wraps the error of an SDK call with its operation; made for `map_err`.
    pub(crate) fn aws<E, R>(
        call: &'static str,
    ) -> impl FnOnce(aws_sdk_dynamodb::error::SdkError<E, R>) -> Self
    where
        E: std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        move |error| Self::Aws {
            call,
            message: aws_sdk_dynamodb::error::DisplayErrorContext(&error).to_string(),
        }
    }
}

/// The last non-empty line of a log that tells what failed; build tools print their summary after it.
pub(crate) fn telling_line(log: &str) -> String {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .rev()
        .find(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("error") || line.contains("error:") || line.contains("failed")
        })
        .or_else(|| lines().next_back())
        .unwrap_or("no output")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::telling_line;

    #[test]
    fn the_line_that_names_the_error_is_preferred_to_the_last_one() {
        assert_eq!(telling_line("error: no such file\nsee the manual\n\n"), "error: no such file");
        assert_eq!(telling_line("one\ntwo\n"), "two");
        assert_eq!(telling_line("\n"), "no output");
    }
}
