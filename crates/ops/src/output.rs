//! What a command answers: a table or lines for people, one JSON document for programs, both on standard output.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::cli::Manner;
use crate::error::Error;

/// Prints a text and a newline. A reader that has seen enough, as `head` has, is no failure.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Error> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("print")(error)),
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(document);
    print(text.map_err(|source| Error::Json { what: "the answer".to_owned(), source })?)
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Columns under their headings, each as wide as its widest cell.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let mut widths = vec![0; headings.len()];
    for row in std::iter::once(&heads).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&heads).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

/// A moment, as people read it: `2026-01-15T10:30:00Z`.
pub(crate) fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis / 1_000 * 1_000)
        .map_or_else(|_| millis.to_string(), |at| at.to_string())
}

/// A moment to the millisecond: `2026-01-15T10:30:00.500Z`.
pub(crate) fn exactly(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |at| format!("{at:.3}"))
}

/// How long something has lasted: `3 d 4 h`, `5 min`, `12 s`.
pub(crate) fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Asks before something is changed, unless `--yes` has answered already.
pub(crate) fn confirm(manner: Manner, what: &str) -> Result<(), Error> {
    if manner.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::Unconfirmed);
    }
    eprint!("{what}? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Error::io("read the answer"))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Error::Unconfirmed) }
}

#[cfg(test)]
mod tests {
    use super::{age, exactly, moment, short, table};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        assert_eq!(table(&["x", "y"], &rows), "x     y\na     b\nlong  c");
    }

    #[test]
    fn times_are_told_as_people_read_them() {
        assert_eq!(age(12_000), "12 s");
        assert_eq!(age(300_000), "5 min");
        assert_eq!(age(90 * 60_000), "1 h 30 min");
        assert_eq!(age(76 * 3_600_000), "3 d 4 h");
        assert_eq!(moment(1_768_473_000_500), "2026-01-15T10:30:00Z");
        assert_eq!(exactly(1_768_473_000_500), "2026-01-15T10:30:00.500Z");
    }

    #[test]
    fn a_text_is_cut_to_one_line() {
        assert_eq!(short("a\nb", 5), "a b");
        assert_eq!(short("abcdef", 3), "ab…");
    }
}
