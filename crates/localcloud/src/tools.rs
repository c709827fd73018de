//! The tools: a Python environment below `target/` with exactly the pinned versions of the emulator, SAM and cargo-lambda.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::Error;
use crate::lock::Lock;
use crate::process::run;
use crate::progress::Progress;
use crate::workspace::{Workspace, create_dir, read, write};

/// Oldest Python that all pinned tools support.
const OLDEST_PYTHON: (u32, u32) = (3, 11);
const PYTHONS: [&str; 6] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

/// What is installed together.
struct Set {
    /// Names its folder, lock and log.
    name: &'static str,
    /// The pins, in `tools/`.
    requirements: &'static str,
}

/// The local cloud's own.
const CLOUD: Set = Set { name: "tools", requirements: "requirements.txt" };

/// What looks at the checkout. Apart, for it needs other versions of the same packages, and nobody but a test needs it.
const AUDIT: Set = Set { name: "audit", requirements: "audit.txt" };

/// What tries the HTTP API; nobody but a test needs it either.
const TESTER: Set = Set { name: "tester", requirements: "tester.txt" };

/// An environment with all tools installed.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Installs the pinned tools unless that was done before. Safe to call from several processes at once: one
    /// installs, the others wait. An interrupted installation is repeated.
    ///
    /// # Errors
    /// [`Error::NoPython`], or [`Error::Command`] naming pip's log.
    pub async fn ensure(workspace: &Workspace, progress: &Progress) -> Result<Self, Error> {
        Self::install(workspace, progress, &CLOUD).await
    }

    /// Installs what looks at the checkout, as [`Tools::ensure`] does: cargo-deny and checkov.
    ///
    /// # Errors
    /// As [`Tools::ensure`].
    pub async fn ensure_audit(workspace: &Workspace, progress: &Progress) -> Result<Self, Error> {
        Self::install(workspace, progress, &AUDIT).await
    }

    /// Installs what tries the HTTP API, as [`Tools::ensure`] does: schemathesis.
    ///
    /// # Errors
    /// As [`Tools::ensure`].
    pub async fn ensure_tester(workspace: &Workspace, progress: &Progress) -> Result<Self, Error> {
        Self::install(workspace, progress, &TESTER).await
    }

    async fn install(workspace: &Workspace, progress: &Progress, set: &Set) -> Result<Self, Error> {
        let requirements = workspace.localcloud().join("tools").join(set.requirements);
        let folder = workspace.state().join(set.name);
        // Scripts of an environment name its own path: one that was moved or copied is another one.
        let wanted = fingerprint(&read(&requirements)?, &folder);
        let tools = Self { bin: folder.join("bin") };
        let stamp = folder.join("installed");
        if installed(&stamp, &wanted) {
            return Ok(tools);
        }
        let step = progress.step(format!("installing {}", set.name));
        let lock = workspace.state().join(format!("{}.lock", set.name));
        let _lock = Lock::acquire(&lock, || step.note("another process is installing them")).await?;
        if installed(&stamp, &wanted) {
            step.done();
            return Ok(tools);
        }
        let python = find_python().await?;
        let log = workspace.state().join(format!("{}.log", set.name));
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &folder)(error));
            }
            _ => create_dir(&folder)?,
        }
        let mut venv = Command::new(python);
        venv.args(["-m", "venv"]).arg(&folder);
        run("creating a Python environment", &mut venv, &log, |_| ()).await?;
        let mut pip = Command::new(tools.python());
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement"]);
        pip.arg(&requirements).env("PYTHONDONTWRITEBYTECODE", "1");
        run("installing the tools with pip", &mut pip, &log, |line| step.say(line)).await?;
        write(&stamp, &wanted)?;
        step.done();
        Ok(tools)
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.bin.join("python")
    }

    /// The path of a program that they brought.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The path of the SAM command line.
    #[must_use]
    pub fn sam(&self) -> PathBuf {
        self.bin.join("sam")
    }

    /// The search path with the tools in front, so that cargo finds cargo-lambda, and that its linker.
    #[must_use]
    pub fn search_path(&self) -> OsString {
        let others = env::var_os("PATH").unwrap_or_default();
        env::join_paths(std::iter::once(self.bin.clone()).chain(env::split_paths(&others))).unwrap_or(others)
    }
}

fn fingerprint(requirements: &str, folder: &Path) -> String {
    let digest = Sha256::new()
        .chain_update(requirements)
        .chain_update(folder.as_os_str().as_encoded_bytes())
        .finalize();
    format!("{digest:x}")
}

fn installed(stamp: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|found| found == wanted)
}

/// The first Python that is new enough and can make environments.
async fn find_python() -> Result<&'static str, Error> {
    const PROBE: &str = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
    for python in PYTHONS {
        let Ok(output) = Command::new(python).args(["-c", PROBE]).kill_on_drop(true).output().await else {
            continue;
        };
        if output.status.success() && version(&String::from_utf8_lossy(&output.stdout)) >= Some(OLDEST_PYTHON)
        {
            return Ok(python);
        }
    }
    Err(Error::NoPython { tried: PYTHONS.join(", ") })
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{OLDEST_PYTHON, fingerprint, version};

    #[test]
    fn an_old_or_unreadable_python_is_not_good_enough() {
        assert!(version("3 11\n") >= Some(OLDEST_PYTHON));
        assert!(version("3 9\n") < Some(OLDEST_PYTHON));
        assert!(version("rubbish") < Some(OLDEST_PYTHON));
    }

    #[test]
    fn other_pins_or_another_folder_make_another_environment() {
        let one = fingerprint("a==1", Path::new("/x"));
        assert_eq!(one, fingerprint("a==1", Path::new("/x")));
        assert_ne!(one, fingerprint("a==2", Path::new("/x")));
        assert_ne!(one, fingerprint("a==1", Path::new("/y")));
    }
}
