//! A local cloud that was left running: how later commands find it and stop it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cloud::{deploy, remove_bulk};
use crate::emulator::is_instance;
use crate::http::HttpClient;
use crate::process::{birth, kill_group};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::workspace::{Workspace, write};
use crate::{Error, Stack};

const FILE: &str = "running.json";

/// A local cloud that outlived the command that started it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// The URL of the AWS APIs.
    pub endpoint: String,
    /// The base URL of the HTTP API.
    pub api_url: String,
    /// A file of `NAME=value` lines for `cargo lambda watch --env-file`: how to reach the local cloud, and the variables
    /// of all functions.
    pub env_file: PathBuf,
    /// The stack's name.
    pub stack: String,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The instance's folder, with its logs.
    pub folder: PathBuf,
    /// What the stack was deployed with.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Its process groups.
    pub(crate) processes: Vec<Process>,
}

/// A process group left running. Its birth tells it from a later one with the same id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Process {
    id: i32,
    birth: Option<u64>,
}

impl Process {
    pub(crate) fn of(id: i32) -> Self {
        Self { id, birth: birth(id) }
    }

    fn lives(&self) -> bool {
        birth(self.id).is_some_and(|now| Some(now) == self.birth)
    }
}

impl Running {
    /// The local cloud of this checkout that was started last, if one is running.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn find(workspace: &Workspace) -> Result<Option<Self>, Error> {
        let client = HttpClient::new();
        for running in all(workspace)?.into_iter().rev() {
            if is_instance(&client, &running.endpoint, &running.folder).await {
                return Ok(Some(running));
            }
        }
        Ok(None)
    }

    /// Stops every local cloud of this checkout that was left running; answers how many there were.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn stop_all(workspace: &Workspace) -> Result<usize, Error> {
        let mut stopped = 0;
        for running in all(workspace)? {
            let living: Vec<_> = running.processes.iter().filter(|process| process.lives()).collect();
            stopped += usize::from(!living.is_empty());
            for process in living {
                kill_group(process.id).await;
            }
            remove_bulk(&running.folder);
            let state = running.folder.join(FILE);
            std::fs::remove_file(&state).map_err(Error::file("remove", &state))?;
        }
        Ok(stopped)
    }

    /// The environment variables with which any AWS tool or SDK reaches it instead of AWS.
    #[must_use]
    pub fn access(&self) -> Vec<(&'static str, String)> {
        crate::aws::environment(&self.endpoint)
    }

    /// Its stack.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn describe(&self) -> Result<Stack, Error> {
        Stack::describe(&self.endpoint, &self.stack).await
    }

    /// Builds and deploys the checkout's present state onto it.
    ///
    /// # Errors
    /// [`Error::Command`] naming the log of the step that failed.
    pub async fn deploy(mut self, workspace: &Workspace, progress: &Progress) -> Result<Self, Error> {
        let tools = Tools::ensure(workspace, progress).await?;
        let (stack, _) =
            deploy(workspace, &tools, &self.folder, &self.endpoint, &self.parameters, progress).await?;
        self.api_url = stack.api_url()?;
        self.outputs = stack.outputs().clone();
        self.env_file = write_environment(&stack, &self.folder).await?;
        self.save()?;
        Ok(self)
    }

    pub(crate) fn save(&self) -> Result<(), Error> {
        let path = self.folder.join(FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Content { path: path.clone(), message: error.to_string() })?;
        write(&path, &text)
    }
}

/// Whether an instance's folder belongs to a local cloud that was left running.
pub(crate) fn is_running(folder: &Path) -> bool {
    load(folder).is_some_and(|running| running.processes.iter().any(Process::lives))
}

fn load(folder: &Path) -> Option<Running> {
    serde_json::from_str(&std::fs::read_to_string(folder.join(FILE)).ok()?).ok()
}

/// The recorded local clouds of this checkout, the newest last.
fn all(workspace: &Workspace) -> Result<Vec<Running>, Error> {
    let mut found: Vec<_> = crate::cloud::instances(workspace)?
        .into_iter()
        .filter_map(|folder| {
            let written = std::fs::metadata(folder.join(FILE)).and_then(|file| file.modified()).ok()?;
            Some((written, load(&folder)?))
        })
        .collect();
    found.sort_by_key(|(written, _)| *written);
    Ok(found.into_iter().map(|(_, running)| running).collect())
}

/// Writes what a function needs to run outside of the local cloud but against it: one file for all functions together,
/// and one per function beside it.
pub(crate) async fn write_environment(stack: &Stack, folder: &Path) -> Result<PathBuf, Error> {
    let base: BTreeMap<String, String> = crate::aws::environment(stack.endpoint())
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut merged = base.clone();
    let functions = folder.join("env");
    crate::workspace::create_dir(&functions)?;
    for package in stack.function_packages() {
        let own = stack.environment(&package).await?;
        let mut all = base.clone();
        for (name, value) in own {
            // A variable that differs between functions can have one value only here: the first.
            merged.entry(name.clone()).or_insert_with(|| value.clone());
            all.insert(name, value);
        }
        write(&functions.join(format!("{package}.env")), &dotenv(&all))?;
    }
    let path = folder.join("functions.env");
    write(&path, &dotenv(&merged))?;
    Ok(path)
}

/// The lines that `cargo lambda watch --env-file` reads, and a shell too.
fn dotenv(variables: &BTreeMap<String, String>) -> String {
    variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// A value as it may follow `NAME=`: quoted if it holds what would end it. The reader knows no escape of a quote.
fn quoted(value: &str) -> Cow<'_, str> {
    let ends = |c: char| c.is_whitespace() || "='`\"#".contains(c);
    match value {
        value if !value.contains(ends) => Cow::Borrowed(value),
        value if !value.contains('\'') => Cow::Owned(format!("'{value}'")),
        value => Cow::Owned(format!("\"{value}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_line_could_not_hold_is_quoted() {
        let values =
            [("A", "plain:/,-1"), ("B", ""), ("C", "arn:one, arn:two"), ("D", "it's"), ("E", "x=1#2")];
        let variables = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(dotenv(&variables), "A=plain:/,-1\nB=\nC='arn:one, arn:two'\nD=\"it's\"\nE='x=1#2'\n");
    }
}
