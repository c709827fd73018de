//! Child processes that never outlive us: each leads a process group of its own, which is killed as a whole.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Error;
use crate::error::telling_line;

/// How long killed processes may take to disappear. They cannot refuse; a busy machine may need a moment.
const GONE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);

/// A running program with all that it started. Dropping it kills them all.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    /// Starts the command as the leader of a new process group.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Error> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).spawn().map_err(|source| Error::Spawn { program, source })?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self { child, leader })
    }

    /// The process group's id, `None` once it was detached.
    pub(crate) fn id(&self) -> Option<i32> {
        self.leader.map(Pid::as_raw_pid)
    }

    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The exit status of the leader, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Lets the processes live on.
    pub(crate) fn detach(mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.leader else { return };
        // The leader is not reaped before this point unless it ended itself; then ESRCH or its orphans are what is left.
        let _ = kill_process_group(leader, Signal::KILL);
        let deadline = Instant::now() + GONE;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

/// Kills a process group that an earlier run left running, and waits until it is gone.
pub(crate) async fn kill_group(id: i32) {
    let Some(leader) = Pid::from_raw(id) else { return };
    let _ = kill_process_group(leader, Signal::KILL);
    let deadline = Instant::now() + GONE;
    while alive(id) && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
}

/// Whether a process runs. One that has ended but that nobody reaps does not, though it still has its id.
fn alive(id: i32) -> bool {
    stat(id).is_some_and(|fields| !fields.starts_with('Z'))
}

/// What tells a process from a later one with the same id: its start time, in the kernel's ticks since boot.
/// `None` if there is no such process.
pub(crate) fn birth(id: i32) -> Option<u64> {
    // Field 22 of the whole: man 5 proc_pid_stat.
    stat(id)?.split_whitespace().nth(19)?.parse().ok()
}

/// The kernel's row about a process from its third field, the state, on. The second, the command's name in parentheses,
/// may contain anything.
fn stat(id: i32) -> Option<String> {
    let row = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(row.rsplit_once(") ")?.1.to_owned())
}

/// Runs a program to its end, its output in a log file, each line shown to `line` as it comes.
///
/// Dropping the future kills the program and all that it started.
pub(crate) async fn run(
    step: &str,
    command: &mut Command,
    log: &Path,
    mut line: impl FnMut(&str),
) -> Result<(), Error> {
    let mut file = File::create(log).map_err(Error::file("create", log))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let mut output = Lines::new(group.child.stdout.take());
    let mut errors = Lines::new(group.child.stderr.take());
    while output.open() || errors.open() {
        let text = tokio::select! {
            Some(text) = output.next(), if output.open() => text,
            Some(text) = errors.next(), if errors.open() => text,
            else => break,
        };
        let _ = writeln!(file, "{text}");
        line(text.trim());
    }
    let status = group.child.wait().await.map_err(Error::file("wait for", log))?;
    if status.success() { Ok(()) } else { Err(failed(step, log)) }
}

/// The error of a program that ended unsuccessfully, told from its log.
fn failed(step: &str, log: &Path) -> Error {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    Error::Command { step: step.to_owned(), last_line: telling_line(&text), log: log.to_owned() }
}

/// The last lines of a log, for an error's explanation.
pub(crate) fn last_line(log: &Path) -> String {
    telling_line(&std::fs::read_to_string(log).unwrap_or_default())
}

/// Opens a server's log for both of its output streams.
pub(crate) fn log_to(command: &mut Command, log: &PathBuf) -> Result<(), Error> {
    let output = File::create(log).map_err(Error::file("create", log))?;
    let errors = output.try_clone().map_err(Error::file("create", log))?;
    command.stdout(output).stderr(errors);
    Ok(())
}

/// Opens a server's log for its errors only.
pub(crate) fn log_to_stderr(command: &mut Command, log: &PathBuf) -> Result<(), Error> {
    command.stderr(File::create(log).map_err(Error::file("create", log))?);
    Ok(())
}

/// The lines of a stream that may not be UTF-8.
struct Lines<R> {
    reader: Option<BufReader<R>>,
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(stream: Option<R>) -> Self {
        Self { reader: stream.map(BufReader::new), partial: Vec::new() }
    }

    fn open(&self) -> bool {
        self.reader.is_some()
    }

    /// Cancellation-safe: what was read of a line is kept.
    async fn next(&mut self) -> Option<String> {
        let reader = self.reader.as_mut()?;
        let read = reader.read_until(b'\n', &mut self.partial).await;
        if read.is_err() || self.partial.is_empty() {
            self.reader = None;
        }
        let line = std::mem::take(&mut self.partial);
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::process::Command;

    use super::{Group, alive, birth, run};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn dropping_a_group_kills_the_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        let group = Group::spawn(&mut shell(&format!(
            "sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait",
            noted.display()
        )))
        .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !noted.exists() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let grandchild: i32 = std::fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
        assert!(alive(grandchild));
        drop(group);
        while alive(grandchild) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!alive(grandchild));
    }

    #[tokio::test]
    async fn a_failed_program_is_explained_by_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut lines = Vec::new();
        let error = run("the test", &mut shell("echo one; echo error: two >&2; exit 3"), &log, |line| {
            lines.push(line.to_owned());
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("the test failed: error: two (log: "), "{error}");
        lines.retain(|line| !line.is_empty());
        lines.sort();
        assert_eq!(lines, ["error: two", "one"]);
    }

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_id_by_its_birth() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(birth(me), birth(me));
        assert!(birth(me).is_some());
        assert!(birth(-1).is_none());
    }
}
