//! Commands about the local cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use localcloud::{
    GatewayHost, LocalCloud, Options, Progress, Running, Workspace, sample_order, serve_gateway,
};
use serde_json::json;

use crate::error::Error;
use crate::output::print;

/// How local clouds are set up from the command line: the gateway is a process of its own, which may outlive us.
pub(crate) fn options() -> Options {
    let gateway = match std::env::current_exe() {
        Ok(program) => GatewayHost::Program(program, vec!["gateway".to_owned()]),
        Err(_) => GatewayHost::Thread,
    };
    Options { gateway, parameters: BTreeMap::new() }
}

pub(crate) async fn up(json: bool) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let running = match Running::find(&workspace).await? {
        Some(running) => running,
        None => LocalCloud::up(&workspace, options(), &Progress::stderr()).await?.detach().await?,
    };
    if json {
        let document = json!({
            "endpoint": running.endpoint,
            "apiUrl": running.api_url,
            "envFile": running.env_file,
            "stack": running.stack,
            "outputs": running.outputs,
            "sampleOrder": sample_order(),
        });
        print(format_args!("{document:#}"))?;
    } else {
        print(described(&running))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What somebody at a terminal needs next.
fn described(running: &Running) -> String {
    let Running { endpoint, api_url, env_file, stack, folder, .. } = running;
    format!(
        "The local cloud is running.\n\
         \x20 API       {api_url}\n\
         \x20 AWS APIs  {endpoint}\n\
         \x20 stack     {stack}\n\
         \x20 env file  {}\n\
         \x20 logs      {}\n\n\
         Place an order:\n\
         \x20 curl -i '{api_url}/orders' -H 'Idempotency-Key: my-first-order' -H 'Content-Type: application/json' \\\n\
         \x20   -d '{}'\n\n\
         Stop it with `cargo xtask down`.",
        env_file.display(),
        folder.display(),
        sample_order(),
    )
}

pub(crate) async fn down() -> Result<ExitCode, Error> {
    match Running::stop_all(&Workspace::find()?).await? {
        0 => print("No local cloud was running.")?,
        1 => print("Stopped the local cloud.")?,
        several => print(format_args!("Stopped {several} local clouds."))?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn deploy() -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let running = Running::find(&workspace).await?.ok_or(localcloud::Error::NotRunning)?;
    let running = running.deploy(&workspace, &Progress::stderr()).await?;
    print(format_args!("Deployed {} to {}.", running.stack, running.endpoint))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn invoke(function: &str, sample: Option<&str>) -> Result<ExitCode, Error> {
    let workspace = Workspace::find()?;
    let event = find_sample(&workspace, function, sample)?;
    let payload = std::fs::read(&event).map_err(|source| Error::Read { path: event, source })?;
    let running = Running::find(&workspace).await?.ok_or(localcloud::Error::NotRunning)?;
    let answer = running.describe().await?.invoke(function, &payload).await?;
    print(format_args!("{:#}", answer.payload))?;
    if let Some(kind) = answer.error {
        eprintln!(
            "error: {function} failed ({kind}); its log is in {}",
            running.folder.join("emulator.log").display()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of a function's sample event.
fn find_sample(workspace: &Workspace, function: &str, sample: Option<&str>) -> Result<PathBuf, Error> {
    let functions = workspace.functions()?;
    if !functions.iter().any(|known| known == function) {
        return Err(Error::NoFunction { function: function.to_owned(), known: functions.join(", ") });
    }
    let folder = workspace.function(function).join("events");
    let mut known: Vec<String> = samples(&folder)?;
    known.sort();
    let wanted = sample.map(|name| name.trim_end_matches(".json"));
    known
        .iter()
        .find(|name| wanted.is_none_or(|wanted| wanted == *name))
        .map(|name| folder.join(format!("{name}.json")))
        .ok_or_else(|| Error::NoSample {
            function: function.to_owned(),
            sample: wanted.unwrap_or("at all").to_owned(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        })
}

/// Names of the sample events in a folder; a folder that is not there has none.
fn samples(folder: &Path) -> Result<Vec<String>, Error> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::Read { path: folder.to_owned(), source }),
    }
}

pub(crate) async fn gateway() -> Result<ExitCode, Error> {
    serve_gateway().await.map_err(Error::Serve)?;
    Ok(ExitCode::SUCCESS)
}
