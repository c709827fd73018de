//! `cargo lambda watch` and `cargo lambda invoke`: functions outside of the local cloud, everything else inside.

use std::process::{Output, Stdio};
use std::time::Duration;

use localcloud::{Progress, Tools, Workspace};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::clouds::{PATIENCE, eventually, within};
use super::processes::{descendants, living};
use super::samples::{STORY, file, succeeded};

const HOST: &str = "127.0.0.1";
/// To begin to listen, on a machine that compiles; and to compile a function, which its first invocation does.
const COMPILED: Duration = Duration::from_secs(600);

/// Sends every sample to the functions of this checkout, which `up` lets run against a local cloud.
pub(crate) async fn every_sample_works_outside_of_the_cloud(up: &Value) {
    let tools = Tools::ensure(&Workspace::find().unwrap(), &Progress::silent()).await.unwrap();
    let (port, log) = (free_port().await, tempfile::NamedTempFile::new().unwrap());
    let mut watch = lambda(&tools, "watch", &port);
    watch.args(["--ignore-changes", "--env-file", up["envFile"].as_str().unwrap()]);
    let told = log.reopen().unwrap();
    watch.stdout(told.try_clone().unwrap()).stderr(told).process_group(0);
    let mut watch = watch.spawn().unwrap();
    let group = watch.id().unwrap().cast_signed();
    within(COMPILED, "cargo lambda watch listens", async || {
        TcpStream::connect(format!("{HOST}:{port}")).await.ok().map(drop)
    })
    .await;

    for &(function, sample) in STORY {
        let output = invoke(&tools, &port, function, sample).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        let told = || std::fs::read_to_string(log.path()).unwrap();
        assert!(output.status.success(), "{function} {sample}: {errors}\n{}", told());
        succeeded(function, sample, &serde_json::from_slice(&output.stdout).unwrap());
    }

    let started = descendants(group);
    kill_process_group(Pid::from_raw(group).unwrap(), Signal::TERM).unwrap();
    tokio::time::timeout(PATIENCE, watch.wait()).await.expect("cargo lambda watch must end").unwrap();
    let nothing = async || living(&started).is_empty().then_some(());
    eventually("no function of cargo lambda watch lives on", nothing).await;
}

async fn invoke(tools: &Tools, port: &str, function: &str, sample: &str) -> Output {
    let mut invoke = lambda(tools, "invoke", port);
    invoke.arg(function).arg("--data-file").arg(file(function, sample)).stderr(Stdio::piped());
    tokio::time::timeout(COMPILED, invoke.output()).await.unwrap().unwrap()
}

fn lambda(tools: &Tools, subcommand: &str, port: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args(["lambda", subcommand, "--invoke-address", HOST, "--invoke-port", port]);
    command.current_dir(system_tests::workspace()).env("PATH", tools.search_path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    // Set by the cargo that runs us; the cargo that this one runs would take them for its own.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

async fn free_port() -> String {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    listener.local_addr().unwrap().port().to_string()
}
