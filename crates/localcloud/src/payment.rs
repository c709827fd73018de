//! Runs the payment gateway of [`crate::gateway`]: in a process of its own, or in a thread of ours.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, Command};
use tokio::sync::oneshot;

use crate::Error;
use crate::emulator::detach;
use crate::gateway::{self, Settings};
use crate::process::{Group, last_line, log_to_stderr};

/// The key that functions find in the secret, and the only one the gateway accepts.
pub(crate) const GATEWAY_KEY: &str = "sk_test_localcloud";

const READY: Duration = Duration::from_secs(30);

/// How a local cloud runs its payment gateway.
#[derive(Debug, Clone)]
pub enum GatewayHost {
    /// This program with these arguments, which has to call [`serve_gateway`]; it can outlive its starter.
    Program(PathBuf, Vec<String>),
    /// A thread of this process; it ends with the local cloud, detached or not.
    Thread,
}

/// A running payment gateway. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Gateway {
    host: Host,
    url: String,
}

#[derive(Debug)]
enum Host {
    Program(Box<Group>, Option<ChildStdin>),
    Thread { _end: oneshot::Sender<()> },
}

impl Gateway {
    /// Starts a gateway on a free port and waits until it listens.
    pub(crate) async fn start(host: &GatewayHost, folder: &Path) -> Result<Self, Error> {
        let log = folder.join("gateway.log");
        match host {
            GatewayHost::Program(program, arguments) => Self::start_program(program, arguments, log).await,
            GatewayHost::Thread => Self::start_thread(log).await,
        }
    }

    async fn start_program(program: &Path, arguments: &[String], log: PathBuf) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        log_to_stderr(&mut command, &log)?;
        let mut group = Group::spawn(&mut command)?;
        let lifeline = group.take_stdin();
        let mut url = String::new();
        if let Some(output) = group.take_stdout() {
            let announced = tokio::time::timeout(READY, BufReader::new(output).read_line(&mut url)).await;
            drop(announced);
        }
        let url = url.trim().to_owned();
        if url.is_empty() {
            return Err(not_ready(last_line(&log), log));
        }
        Ok(Self { host: Host::Program(Box::new(group), lifeline), url })
    }

    async fn start_thread(log: PathBuf) -> Result<Self, Error> {
        let (end, ended) = oneshot::channel();
        let (announce, announced) = oneshot::channel();
        let serve = move || -> std::io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (listener, url) = listen().await?;
                let _ = announce.send(url);
                tokio::select! {
                    result = gateway::serve(listener, settings()) => result,
                    _ = ended => Ok(()),
                }
            })
        };
        let thread = std::thread::Builder::new().name("payment gateway".to_owned());
        let started = thread.spawn(serve);
        let reason = |error: &dyn std::error::Error| not_ready(error.to_string(), log.clone());
        started.map_err(|error| reason(&error))?;
        let url = announced.await.map_err(|error| reason(&error))?;
        Ok(Self { host: Host::Thread { _end: end }, url })
    }

    /// The gateway's base URL, without a trailing slash.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The process group, if it has one of its own.
    pub(crate) fn group_id(&self) -> Option<i32> {
        match &self.host {
            Host::Program(group, _) => group.id(),
            Host::Thread { .. } => None,
        }
    }

    /// Lets it live on, if it can.
    pub(crate) async fn detach(self) {
        if let Host::Program(group, lifeline) = self.host {
            detach(lifeline).await;
            group.detach();
        }
    }
}

/// The main function of a gateway process: listens on a free port, prints its URL, and serves until standard input ends.
/// A line saying `detach` there lets it serve on.
///
/// # Errors
/// The operating system's, if it cannot listen.
pub async fn serve_gateway() -> std::io::Result<()> {
    let (listener, url) = listen().await?;
    println!("{url}");
    tokio::select! {
        result = gateway::serve(listener, settings()) => result,
        () = starter_ended() => Ok(()),
    }
}

async fn listen() -> std::io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

async fn starter_ended() {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "detach" {
            std::future::pending::<()>().await;
        }
    }
}

fn settings() -> Settings {
    Settings::new(GATEWAY_KEY)
}

fn not_ready(reason: String, log: PathBuf) -> Error {
    Error::NotReady { server: "the payment gateway", reason, log }
}
