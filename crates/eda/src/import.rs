//! Imports: a file of lines in S3 is taken in, stretch by stretch, and what is wrong with a line is said in a file beside it.
//!
//! A row remembers how far an import has come, and what is still to be said. It moves on by a [`WINDOW`] of lines at a time, and
//! only when each of them has been taken or refused: a stretch that dies repeats a window at most, and whoever takes a line must
//! not mind that it comes again. Two that import one file at once cannot harm each other, because the row moves under a
//! condition.

use std::fmt::Write as _;
use std::future::Future;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::ambient::Ambient;
use crate::aws::Aws;
use crate::batch::{CONCURRENCY, Deadline, Stretch};
use crate::failure::Kind;
use crate::fields::FieldError;
use crate::objects::{Line, Lines, ObjectVersion, Objects, Position};
use crate::row::{Key, Row, Table};
use crate::rows::Rows;
use crate::transition::Written;
use crate::write::{Condition, ConditionalWrite, STATUS};

/// Lines after which the row moves on: one write for them all.
pub const WINDOW: usize = 50;

/// What a row may still have to say, in bytes, before it is written as a file. Beside it there is room in an item for all
/// that a window adds. <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MOST_UNSAID: usize = 64 * 1024;

/// How many errors of a line are told, and how long the name of a field is.
const MOST_ERRORS: usize = 20;
const LONGEST_FIELD: usize = 100;

/// How long the row of an import is kept, in days.
const KEEP_DAYS: i64 = 395;

const CONTENT_TYPE: &str = "application/jsonl";

/// How far the import of a file has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The object's version: [`ObjectVersion::name`].
    pub import_id: String,
    /// Whether all is done.
    pub status: Status,
    /// Bytes that are done.
    pub offset: u64,
    /// Lines that are done, or begun where `within`.
    pub lines: u64,
    /// Whether it stands within a line that is too long.
    #[serde(default)]
    pub within: bool,
    /// Lines that were taken.
    pub taken: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// What is to be said about lines and was not written yet.
    #[serde(default)]
    pub unsaid: String,
    /// Files that were filled with what was to be said before.
    #[serde(default)]
    pub files: u64,
    /// Epoch seconds when the row expires.
    pub expires_at: i64,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is more to do.
    Running,
    /// Everything is done and said.
    Done,
}

impl Row for Import {
    const NAME: &'static str = "import";
    const PARTITION_KEY: &'static str = "importId";
}

/// Why a line is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, without quoting the line.
    pub problem: String,
    /// The fields that are wrong.
    pub errors: Vec<FieldError>,
}

impl Refusal {
    /// What is wrong with the line as a whole.
    #[must_use]
    pub fn of(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), errors: Vec::new() }
    }
}

/// Takes lines.
pub trait TakeLine: Sync {
    /// The longest line, in bytes.
    const LONGEST: usize;

    /// Takes a line, or refuses it. It may come again, and must then come to the same. A permanent failure refuses the line
    /// too.
    fn take(
        &self,
        object: &ObjectVersion,
        number: u64,
        line: &str,
    ) -> impl Future<Output = Result<Result<(), Refusal>, Failure>> + Send;
}

/// Imports files.
#[derive(Clone)]
pub struct Importer {
    objects: Objects,
    rows: Rows,
    table: Table<Import>,
    ambient: Ambient,
}

/// What one stretch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines that were taken.
    pub taken: u64,
    /// Lines that were refused.
    pub refused: u64,
}

impl Importer {
    /// Remembers in this table how far imports have come.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where there is no HTTP client.
    pub fn new(aws: &Aws, table: Table<Import>) -> Result<Self, Failure> {
        let (objects, rows) = (Objects::new(aws)?, Rows::new(aws.dynamodb()));
        Ok(Self { objects, rows, table, ambient: aws.ambient() })
    }

    /// Takes a file in from where it was left, until it is done or the deadline comes. `report` is the key of the file beside it
    /// that says what became of it: a JSON document for each line that was refused, and at last one with the numbers. What does
    /// not fit one file goes before it into others, `{report}.1` and so on.
    ///
    /// Costs a `GetItem`, then for each MiB a `GetObject`, for each window a `PutItem` beside what taking its lines costs, and in the
    /// end a `PutObject` and a `PutItem`. A file that is done costs the `GetItem` alone.
    ///
    /// # Errors
    /// [`Failure`]: transient where a line could not be taken for now or no window was done before the deadline; permanent
    /// where the object is gone.
    pub async fn advance(
        &self,
        object: &ObjectVersion,
        report: &str,
        deadline: Deadline,
        lines: &impl TakeLine,
    ) -> Result<(Stretch, Progress), Failure> {
        let mut progress = Progress::default();
        let mut come_further = false;
        let work = async {
            let mut row = self.begun(object).await?;
            while row.status == Status::Running {
                row = self.goes_on(object, report, row, lines, &mut progress, &mut come_further).await?;
            }
            Ok::<_, Failure>(Stretch::Done)
        };
        let worked = tokio::time::timeout_at(deadline.instant(), work).await;
        match worked {
            Ok(worked) => Ok((worked?, progress)),
            Err(_) if come_further => Ok((Stretch::Further, progress)),
            Err(_) => Err(Failure::transient("the deadline came before a window of lines was done")),
        }
    }

    async fn begun(&self, object: &ObjectVersion) -> Result<Import, Failure> {
        let import_id = object.name();
        let standing = self.rows.read(&self.table, Key::of(&import_id)).await?;
        Ok(standing.unwrap_or_else(|| Import {
            import_id,
            status: Status::Running,
            offset: 0,
            lines: 0,
            within: false,
            taken: 0,
            refused: 0,
            unsaid: String::new(),
            files: 0,
            expires_at: self.ambient.expires_in_days(KEEP_DAYS),
        }))
    }

    /// From this row on, as long as nobody else moves it. Gives the row as it stands then.
    async fn goes_on(
        &self,
        object: &ObjectVersion,
        report: &str,
        mut row: Import,
        lines: &impl TakeLine,
        progress: &mut Progress,
        come_further: &mut bool,
    ) -> Result<Import, Failure> {
        let mut reader = Lines::from(&self.objects, object, row.position(), longest(lines));
        while !reader.ended() {
            let before = row.offset;
            if row.unsaid.len() >= MOST_UNSAID {
                // What it says is the row's alone, so whoever else writes it writes the same.
                row.files += 1;
                let said = std::mem::take(&mut row.unsaid);
                let key = format!("{report}.{}", row.files);
                self.objects.write(&object.bucket, &key, CONTENT_TYPE, said.into_bytes()).await?;
            }
            let mut window = Vec::with_capacity(WINDOW);
            while window.len() < WINDOW && !reader.ended() {
                let Some(line) = reader.advance().await? else { break };
                window.push(line);
            }
            let mut taking = Vec::with_capacity(window.len());
            for (number, line) in &window {
                taking.push(take(lines, object, *number, line));
            }
            let taken: Vec<_> = stream::iter(taking).buffered(CONCURRENCY).try_collect().await?;
            let mut now = Progress::default();
            for ((number, _), taken) in window.iter().zip(taken) {
                match taken {
                    Taken::Blank => {}
                    Taken::Yes => now.taken += 1,
                    Taken::No(refusal) => {
                        now.refused += 1;
                        row.say(*number, &refusal);
                    }
                }
            }
            row.taken += now.taken;
            row.refused += now.refused;
            row.stand_at(reader.position());
            *come_further = true;
            match self.rows.write(row.after(&self.table, before)?).await? {
                Written::Applied(_) => {}
                // Somebody else imports the file too, or the reply to this very write was lost.
                Written::Refused(standing) => return standing.ok_or_else(vanished),
            }
            progress.taken += now.taken;
            progress.refused += now.refused;
        }
        self.objects.write(&object.bucket, report, CONTENT_TYPE, row.report(report).into_bytes()).await?;
        row.status = Status::Done;
        row.unsaid.clear();
        match self.rows.write(row.after(&self.table, row.offset)?).await? {
            Written::Applied(_) => Ok(row),
            Written::Refused(standing) => standing.ok_or_else(vanished),
        }
    }
}

fn longest<T: TakeLine>(_: &T) -> usize {
    T::LONGEST
}

fn vanished() -> Failure {
    Failure::transient("the row of the import has vanished")
}

/// What is said about a line that was refused.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    line: u64,
    problem: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    further_errors: Option<usize>,
}

/// What is said of the file.
#[derive(Serialize)]
struct Numbers {
    lines: u64,
    taken: u64,
    refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    /// The files that were filled before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
}

enum Taken {
    Blank,
    Yes,
    No(Refusal),
}

async fn take<T: TakeLine>(
    lines: &T,
    object: &ObjectVersion,
    number: u64,
    line: &Line,
) -> Result<Taken, Failure> {
    let text = match line {
        Line::Text(text) if text.trim().is_empty() => return Ok(Taken::Blank),
        Line::Text(text) => text,
        Line::NoText => return Ok(Taken::No(Refusal::of("is not UTF-8 text"))),
        Line::TooLong => {
            return Ok(Taken::No(Refusal::of(format!("is longer than {} bytes", T::LONGEST))));
        }
    };
    match lines.take(object, number, text).await {
        Ok(Ok(())) => Ok(Taken::Yes),
        Ok(Err(refusal)) => Ok(Taken::No(refusal)),
        Err(failure) if failure.kind() == Kind::Permanent => Ok(Taken::No(Refusal::of(failure.to_string()))),
        Err(failure) => Err(failure),
    }
}

impl Import {
    fn position(&self) -> Position {
        Position { offset: self.offset, line: self.lines, within: self.within }
    }

    fn stand_at(&mut self, position: Position) {
        Position { offset: self.offset, line: self.lines, within: self.within } = position;
    }

    fn say(&mut self, number: u64, refusal: &Refusal) {
        let told = refusal.errors.iter().take(MOST_ERRORS).map(|error| FieldError {
            field: error.field.chars().take(LONGEST_FIELD).collect(),
            problem: error.problem.clone(),
        });
        let said = Said {
            line: number,
            problem: &refusal.problem,
            errors: told.collect(),
            further_errors: refusal.errors.len().checked_sub(MOST_ERRORS).filter(|more| *more > 0),
        };
        let _ = writeln!(self.unsaid, "{}", serde_json::json!(said));
    }

    /// All that is still to be said, and the numbers.
    fn report(&self, key: &str) -> String {
        let numbers = Numbers {
            lines: self.lines,
            taken: self.taken,
            refused: self.refused,
            problem: (self.taken + self.refused == 0).then_some("the file holds nothing"),
            before: (1..=self.files).map(|file| format!("{key}.{file}")).collect(),
        };
        format!("{}{}\n", self.unsaid, serde_json::json!(numbers))
    }

    /// Only if nobody has moved it on from this offset.
    fn after(&self, table: &Table<Self>, offset: u64) -> Result<ConditionalWrite<Self>, Failure> {
        let write = table.put(self)?;
        let unmoved = Condition::equals("offset", offset);
        let running = unmoved.and(Condition::equals(STATUS, "running"));
        // The first write finds no row: nothing was done before it.
        Ok(write.only_if(match offset {
            0 => Condition::Any(vec![Condition::absent(Self::PARTITION_KEY), running]),
            _ => running,
        }))
    }
}
