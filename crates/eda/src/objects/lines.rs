use super::{ObjectVersion, Objects};
use crate::Failure;

/// How many bytes one `GetObject` asks for.
const RANGE: u64 = 1024 * 1024;

/// Where somebody stands who reads an object line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub offset: u64,
    /// Lines that have begun before it.
    pub line: u64,
    /// Whether it is within a line that is too long, and was told of.
    pub within: bool,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Text, without what ends it.
    Text(String),
    /// It is not UTF-8.
    NoText,
    /// It is longer than a line may be.
    TooLong,
}

/// Reads an object's lines in order, from any position on, a range at a time. Lines end with a line feed; the last one
/// may do without. Holds a range and a line of the longest kind at most, however long a line is.
pub struct Lines<'a> {
    objects: &'a Objects,
    object: &'a ObjectVersion,
    longest: usize,
    at: Position,
    /// What was read; `at` stands at its byte `start`.
    read: Vec<u8>,
    start: usize,
    /// How much from there on is known to hold no line feed.
    searched: usize,
}

impl<'a> Lines<'a> {
    /// Lines of up to `longest` bytes.
    #[must_use]
    pub fn from(objects: &'a Objects, object: &'a ObjectVersion, at: Position, longest: usize) -> Self {
        Self { objects, object, longest, at, read: Vec::new(), start: 0, searched: 0 }
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Whether the object is read to its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.at.offset >= self.object.size
    }

    /// Goes on by a line, or by a part of one that is too long. Gives the line with its number, counted from 1, where one
    /// is complete or turns out too long; `None` for further parts of that one, and at the end.
    ///
    /// # Errors
    /// [`Failure`] where the object cannot be read.
    pub async fn advance(&mut self) -> Result<Option<(u64, Line)>, Failure> {
        loop {
            let ahead = self.read.get(self.start..).unwrap_or_default();
            let length = ahead.len();
            let end = ahead.iter().skip(self.searched).position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|further| self.searched + further) {
                return Ok(self.take(end, end + 1));
            }
            self.searched = length;
            let read_to = self.at.offset.saturating_add(bytes(length));
            if read_to >= self.object.size {
                return Ok(if length == 0 { None } else { self.take(length, length) });
            }
            if length > self.longest || (self.at.within && length > 0) {
                return Ok(self.leave_behind(length));
            }
            let until = read_to.saturating_add(RANGE).min(self.object.size);
            let further = self.objects.read_range(self.object, read_to..until).await?;
            if further.is_empty() {
                return Err(Failure::transient("the object ends before its size"));
            }
            self.read.drain(..self.start);
            self.start = 0;
            self.read.extend_from_slice(&further);
        }
    }

    /// The line of this length, and what ends it.
    fn take(&mut self, length: usize, with_end: usize) -> Option<(u64, Line)> {
        let line = self.read.get(self.start..self.start + length).unwrap_or_default();
        let line = match std::str::from_utf8(line) {
            _ if line.len() > self.longest => Line::TooLong,
            Ok(text) => Line::Text(text.to_owned()),
            Err(_) => Line::NoText,
        };
        let told = std::mem::replace(&mut self.at.within, false);
        self.pass(with_end);
        (!told).then(|| (self.next_number(), line))
    }

    /// What was read of a line that is too long; gives the line where it has only now turned out so.
    fn leave_behind(&mut self, length: usize) -> Option<(u64, Line)> {
        let told = std::mem::replace(&mut self.at.within, true);
        self.pass(length);
        (!told).then(|| (self.next_number(), Line::TooLong))
    }

    fn pass(&mut self, length: usize) {
        self.at.offset = self.at.offset.saturating_add(bytes(length));
        self.start += length;
        self.searched = 0;
    }

    fn next_number(&mut self) -> u64 {
        self.at.line += 1;
        self.at.line
    }
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
