//! The emulator of the AWS APIs: the pinned ministack, started with our shims.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};
use tokio::time::Instant;

use crate::http::HttpClient;
use crate::process::{Group, last_line, log_to};
use crate::tools::Tools;
use crate::workspace::{Workspace, create_dir};
use crate::{Error, aws};

const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Another program may take a free port before the emulator does; five times in a row it will not.
const PORTS: u8 = 5;

/// A running emulator. Dropping it kills it and its function workers.
#[derive(Debug)]
pub(crate) struct Emulator {
    group: Group,
    lifeline: Option<ChildStdin>,
    endpoint: String,
}

impl Emulator {
    /// Starts an emulator on a free port of the loopback interface and waits until it answers.
    ///
    /// Functions inherit its environment, so it gets a clean one; its temporary files go below `folder`.
    pub(crate) async fn start(workspace: &Workspace, tools: &Tools, folder: &Path) -> Result<Self, Error> {
        let log = folder.join("emulator.log");
        let mut reason = String::new();
        for _ in 0..PORTS {
            let port = free_port(&log)?;
            let endpoint = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
            let mut group = Group::spawn(&mut command(workspace, tools, folder, &endpoint, port, &log)?)?;
            let lifeline = group.take_stdin();
            match ready(&mut group, &endpoint, folder).await {
                Ok(()) => return Ok(Self { group, lifeline, endpoint }),
                Err(Some(other)) => {
                    return Err(Error::NotReady { server: "the emulator", reason: other, log });
                }
                Err(None) => reason = last_line(&log),
            }
        }
        Err(Error::NotReady { server: "the emulator", reason, log })
    }

    /// The URL of the AWS APIs, without a trailing slash.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process group.
    pub(crate) fn group_id(&self) -> Option<i32> {
        self.group.id()
    }

    /// Lets it live on.
    pub(crate) async fn detach(self) {
        detach(self.lifeline).await;
        self.group.detach();
    }
}

/// Tells a server that the end of its standard input is not its own; see `shims/lifeline.py`.
pub(crate) async fn detach(lifeline: Option<ChildStdin>) {
    if let Some(mut lifeline) = lifeline {
        let _ = lifeline.write_all(b"detach\n").await;
        let _ = lifeline.flush().await;
    }
}

fn free_port(log: &Path) -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::NotReady {
            server: "the emulator",
            reason: format!("no free port: {error}"),
            log: log.to_owned(),
        })
}

fn command(
    workspace: &Workspace,
    tools: &Tools,
    folder: &Path,
    endpoint: &str,
    port: u16,
    log: &PathBuf,
) -> Result<Command, Error> {
    let temporary = folder.join("tmp");
    let home = folder.join("tmp/home");
    create_dir(&home)?;
    let mut command = Command::new(tools.python());
    command.args(["-m", "shims"]).current_dir(workspace.localcloud()).stdin(Stdio::piped());
    command.env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    command.env("HOME", &home).env("TMPDIR", &temporary);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command.envs(aws::environment(endpoint));
    command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", Ipv4Addr::LOCALHOST.to_string());
    // Queue URLs name the address it listens on, not a host name that may resolve to another one.
    command.env("MINISTACK_HOST", Ipv4Addr::LOCALHOST.to_string());
    // Listeners on fixed ports that a second instance could not have.
    command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
    // Retries of asynchronous invocations are the same in number, sooner in time.
    command.env("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.1");
    // So are those of state machines, which have no jitter here: a thirtieth of the time.
    command.env("SFN_WAIT_SCALE", "0.03");
    command.env("LOCALCLOUD_INSTANCE", token(folder)).env("LOCALCLOUD_LIFELINE", "stdin");
    log_to(&mut command, log)?;
    Ok(command)
}

/// What an instance answers when asked who it is.
fn token(folder: &Path) -> String {
    folder.display().to_string()
}

#[derive(Deserialize)]
struct Identity {
    instance: String,
}

/// Waits until the emulator of this instance answers at the endpoint. `Err(None)`: it ended, perhaps for want of the
/// port; `Err(Some(reason))`: there is no point in another port.
async fn ready(group: &mut Group, endpoint: &str, folder: &Path) -> Result<(), Option<String>> {
    let client = HttpClient::new();
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        if is_instance(&client, endpoint, folder).await {
            return Ok(());
        }
        if group.ended().is_some() {
            return Err(None);
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Some(format!("not ready after {} s", READY.as_secs())))
}

/// Whether the emulator of the instance in this folder answers at the endpoint.
pub(crate) async fn is_instance(client: &HttpClient, endpoint: &str, folder: &Path) -> bool {
    let url = format!("{endpoint}/_localcloud/instance");
    client.get(&url).await.is_ok_and(|answer| {
        answer.json::<Identity>().is_ok_and(|identity| identity.instance == token(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::{Emulator, POLL, READY};
    use crate::{Progress, Tools, Workspace};

    #[tokio::test]
    async fn an_emulator_whose_starter_is_gone_ends_itself() {
        let workspace = Workspace::find().unwrap();
        let tools = Tools::ensure(&workspace, &Progress::silent()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut emulator = Emulator::start(&workspace, &tools, folder.path()).await.unwrap();
        assert!(emulator.group.ended().is_none());
        // What the operating system does with the pipe when its writer is killed.
        drop(emulator.lifeline.take());
        let ended = async {
            while emulator.group.ended().is_none() {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(READY, ended).await.unwrap();
    }
}
