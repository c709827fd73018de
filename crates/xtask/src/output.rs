//! What a command answers, on standard output.

use std::io::{ErrorKind, Write as _};

use crate::error::Error;

/// Prints a text and a newline. A reader that has seen enough, as `head` has, is no failure.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Error> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Print(error)),
        _ => Ok(()),
    }
}
