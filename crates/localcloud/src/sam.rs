//! The real `sam build` and `sam deploy`.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use crate::lock::Lock;
use crate::process::run;
use crate::progress::Step;
use crate::tools::Tools;
use crate::workspace::{Workspace, read};
use crate::{Error, aws};

/// The environment of `samconfig.toml` that describes the local cloud.
const CONFIGURATION: &str = "local";

/// Runs SAM for one instance of the local cloud.
#[derive(Debug)]
pub(crate) struct Sam<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) tools: &'a Tools,
    /// The instance's folder: takes the build's result and the logs.
    pub(crate) folder: &'a Path,
}

/// The part of `samconfig.toml` that we complete.
#[derive(Debug, Deserialize)]
struct Configuration {
    local: Environment,
}

#[derive(Debug, Deserialize)]
struct Environment {
    global: Section<Global>,
}

#[derive(Debug, Deserialize)]
struct Section<T> {
    parameters: T,
}

#[derive(Debug, Deserialize)]
struct Global {
    stack_name: String,
    parameter_overrides: Vec<String>,
}

impl Sam<'_> {
    fn build_folder(&self) -> PathBuf {
        build_folder(self.folder)
    }

    /// Builds all functions into the instance's folder. Compiled code is shared with other instances, which wait.
    pub(crate) async fn build(&self, step: &Step) -> Result<(), Error> {
        let lock = self.workspace.state().join("build.lock");
        let _lock = Lock::acquire(&lock, || step.note("another process is building")).await?;
        let mut command = self.command("build");
        // SAM's own cache looks at a function's folder only, and would not see a change in crates/.
        command.args(["--no-cached", "--build-dir"]).arg(self.build_folder());
        command.arg("--template-file").arg(self.workspace.root().join("template.yaml"));
        command.arg("--parameter-overrides").args(self.overrides(&BTreeMap::new())?);
        // cargo's dev profile: quick to build, and quick enough to run.
        command.env("SAM_BUILD_MODE", "debug");
        // Every deployment packs and uploads all binaries: symbols would double their size.
        command.env("CARGO_PROFILE_DEV_STRIP", "symbols");
        run("sam build", &mut command, &self.folder.join("build.log"), |line| step.say(line)).await
    }

    /// Deploys what was built; parameters override those of `samconfig.toml`. Answers the stack's name.
    pub(crate) async fn deploy(
        &self,
        endpoint: &str,
        parameters: &BTreeMap<String, String>,
        step: &Step,
    ) -> Result<String, Error> {
        let mut command = self.command("deploy");
        command.arg("--template-file").arg(self.build_folder().join("template.yaml"));
        command.arg("--parameter-overrides").args(self.overrides(parameters)?);
        for variable in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"] {
            command.env_remove(variable);
        }
        command.envs(aws::environment(endpoint));
        for file in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env(file, "/dev/null");
        }
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        // Seconds between two looks at the stack; the default of 5 would be most of the deployment.
        command.env("SAM_CLI_POLL_DELAY", "0.2");
        run("sam deploy", &mut command, &self.folder.join("deploy.log"), |line| step.say(line)).await?;
        Ok(self.configuration()?.stack_name)
    }

    /// `name=value` of all parameters that differ from the template's defaults. On SAM's command line they replace those
    /// of the configuration file as a whole, so these are repeated.
    fn overrides(&self, parameters: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
        let mut all = BTreeMap::new();
        for entry in self.configuration()?.parameter_overrides {
            if let Some((name, value)) = entry.split_once('=') {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        all.insert("Architecture".to_owned(), architecture().to_owned());
        all.extend(parameters.clone());
        Ok(all.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.tools.sam());
        command.arg(subcommand).arg("--config-file").arg(self.configuration_file());
        command.args(["--config-env", CONFIGURATION]).current_dir(self.workspace.root());
        command
            .env("PATH", self.tools.search_path())
            .env("SAM_CLI_TELEMETRY", "0")
            .env("PYTHONUNBUFFERED", "1");
        // Set by the cargo that runs us; to the cargo that SAM runs they would describe the wrong package.
        for (name, _) in env::vars_os() {
            let described = name.to_str().is_some_and(|name| {
                name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            });
            if described {
                command.env_remove(name);
            }
        }
        command
    }

    fn configuration_file(&self) -> PathBuf {
        self.workspace.root().join("samconfig.toml")
    }

    fn configuration(&self) -> Result<Global, Error> {
        let path = self.configuration_file();
        let configuration: Configuration = toml::from_str(&read(&path)?)
            .map_err(|error| Error::Content { path, message: error.message().to_owned() })?;
        Ok(configuration.local.global.parameters)
    }
}

/// Where an instance's build goes.
pub(crate) fn build_folder(instance: &Path) -> PathBuf {
    instance.join("build")
}

/// This machine's instruction set, as Lambda calls it: functions run natively here.
fn architecture() -> &'static str {
    if env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" }
}
