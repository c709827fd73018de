//! `cargo xtask`, as its users run it, in a place of its own: it neither sees nor stops what else runs in this checkout.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use localcloud::INSTANCES;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::OnceCell;

use super::clouds::{PATIENCE, eventually};
use super::processes::{descendants, living, that_use};

/// Setting up takes half a minute; a first build may have to be waited for, beside others.
const COMMAND_ENDS: Duration = Duration::from_secs(1_800);

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// A folder for the instances of one test. What still runs in it at the end is killed, and fails the test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let mut folder = tempfile::Builder::new();
        folder.prefix("instances-");
        Self { folder: folder.tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    /// Its path.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command to its end; it must succeed. Answers what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo xtask {arguments:?}: {}\n{errors}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that prints JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments).await).unwrap()
    }

    /// Runs a command to its end.
    pub(crate) async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments).await;
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        tokio::time::timeout(COMMAND_ENDS, output).await.expect("a command must end").unwrap()
    }

    /// Starts a command.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments).await;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, told }
    }

    async fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY.get_or_init(build).await);
        command.args(arguments).env(INSTANCES, self.folder()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Waits until nothing runs any more that has to do with this place.
    pub(crate) async fn is_left(&self) {
        let nothing = async || that_use(self.folder()).is_empty().then_some(());
        eventually("no process is left behind", nothing).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for process in that_use(self.folder()) {
            let _ = Pid::from_raw(process.id).map(|id| kill_process(id, Signal::KILL));
        }
    }
}

/// A command under way.
pub(crate) struct Running {
    child: Child,
    told: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Waits until it says something on standard error.
    pub(crate) async fn says(&mut self, text: &str) {
        let heard = async {
            while let Some(line) = self.told.next_line().await.unwrap() {
                if line.contains(text) {
                    return true;
                }
            }
            false
        };
        let heard = tokio::time::timeout(COMMAND_ENDS, heard).await;
        assert_eq!(heard, Ok(true), "it never said: {text}");
    }

    /// Waits until it ends by itself; answers its exit code.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        tokio::time::timeout(COMMAND_ENDS, self.child.wait()).await.expect("it must end").unwrap().code()
    }

    /// Sends it a signal and answers its exit code, if it had one, once it and all that it started have gone.
    pub(crate) async fn end(mut self, signal: Signal) -> Option<i32> {
        let id = self.child.id().unwrap().cast_signed();
        let started = descendants(id);
        assert!(!started.is_empty(), "it had started something");
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it must end").unwrap();
        let nothing = async || living(&started).is_empty().then_some(());
        eventually("nothing that it started lives on", nothing).await;
        status.code()
    }
}

/// Builds the program as `cargo xtask` does.
async fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "xtask", "--message-format", "json"]);
    let output = command.current_dir(system_tests::workspace()).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: Vec<_> =
        messages.filter_map(|message| Some(message["executable"].as_str()?.into())).collect();
    programs.last().cloned().unwrap()
}
