//! A local cloud from nothing to seeded, and back to nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use http::Method;

use crate::emulator::Emulator;
use crate::http::HttpClient;
use crate::lock::Lock;
use crate::payment::{GATEWAY_KEY, Gateway, GatewayHost};
use crate::progress::Progress;
use crate::sam::{Sam, build_folder};
use crate::seed::seed;
use crate::state::{Process, Running, is_running, write_environment};
use crate::tools::Tools;
use crate::workspace::{Workspace, create_dir};
use crate::{Error, Stack, aws};

/// The domain that receipts are mailed from.
const MAIL_DOMAIN: &str = "example.com";

/// How many folders of ended instances are kept for their logs.
const KEPT: usize = 5;

/// What may differ between local clouds.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the payment gateway runs.
    pub gateway: GatewayHost,
    /// Template parameters that override those of `samconfig.toml`'s local environment.
    pub parameters: BTreeMap<String, String>,
}

/// How long the parts of the set-up took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Installing the tools; next to nothing if they were there.
    pub tools: Duration,
    /// `sam build`.
    pub build: Duration,
    /// Starting the servers, `sam deploy` and seeding.
    pub deploy: Duration,
}

/// A running local cloud. Dropping it ends every process it started and removes its temporary files; only logs stay.
#[derive(Debug)]
pub struct LocalCloud {
    // Dropped in this order: nothing runs any more when the folder is cleared.
    emulator: Emulator,
    gateway: Gateway,
    stack: Stack,
    parameters: BTreeMap<String, String>,
    timings: Timings,
    folder: Folder,
}

impl LocalCloud {
    /// Sets up a local cloud: tools, build, servers, deployment, seed.
    ///
    /// Dropping the future ends whatever it has started, so it can be raced against a signal.
    ///
    /// # Errors
    /// Of the step that failed; most name the log to look at.
    pub async fn up(workspace: &Workspace, options: Options, progress: &Progress) -> Result<Self, Error> {
        let mut timings = Timings::default();
        let folder = Folder::create(workspace).await?;
        let begun = std::time::Instant::now();
        let tools = Tools::ensure(workspace, progress).await?;
        timings.tools = begun.elapsed();

        let step = progress.step("starting the emulator and the payment gateway");
        let (emulator, gateway) = tokio::try_join!(
            Emulator::start(workspace, &tools, folder.path()),
            Gateway::start(&options.gateway, folder.path()),
        )?;
        let mut parameters = options.parameters;
        let (secret, ()) =
            tokio::try_join!(create_secret(emulator.endpoint()), verify_domain(emulator.endpoint()))?;
        parameters.insert("PaymentGatewayUrl".to_owned(), gateway.url().to_owned());
        parameters.insert("PaymentGatewaySecretArn".to_owned(), secret);
        parameters.insert("ReceiptIdentity".to_owned(), MAIL_DOMAIN.to_owned());
        parameters.insert("ReceiptSender".to_owned(), format!("receipts@{MAIL_DOMAIN}"));
        let started = step.done();

        let (stack, spent) =
            deploy(workspace, &tools, folder.path(), emulator.endpoint(), &parameters, progress).await?;
        timings.build = spent.build;
        timings.deploy = started + spent.deploy;
        Ok(Self { emulator, gateway, stack, parameters, timings, folder })
    }

    /// The deployed system.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The payment gateway's base URL, without a trailing slash.
    #[must_use]
    pub fn gateway_url(&self) -> &str {
        self.gateway.url()
    }

    /// How long the set-up took.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The instance's folder, with its logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it running, to be found by [`Running::find`] and ended by [`Running::stop_all`].
    ///
    /// # Errors
    /// Those of writing its state down; it is ended then.
    pub async fn detach(self) -> Result<Running, Error> {
        let Self { emulator, gateway, stack, parameters, mut folder, .. } = self;
        let env_file = write_environment(&stack, folder.path()).await?;
        let processes =
            [emulator.group_id(), gateway.group_id()].into_iter().flatten().map(Process::of).collect();
        let running = Running {
            endpoint: stack.endpoint().to_owned(),
            api_url: stack.api_url()?,
            env_file,
            stack: stack.name().to_owned(),
            outputs: stack.outputs().clone(),
            folder: folder.path().to_owned(),
            parameters,
            processes,
        };
        running.save()?;
        folder.end = End::Stay;
        emulator.detach().await;
        gateway.detach().await;
        Ok(running)
    }
}

/// An emulator with nothing deployed, to try what it does. Dropping it leaves nothing behind, in a panic its log.
#[derive(Debug)]
pub struct EmptyCloud {
    emulator: Emulator,
    folder: Folder,
}

impl EmptyCloud {
    /// Starts it.
    ///
    /// # Errors
    /// Of installing the tools or of starting the emulator.
    pub async fn start(workspace: &Workspace, progress: &Progress) -> Result<Self, Error> {
        let mut folder = Folder::create(workspace).await?;
        folder.end = End::Vanish;
        let tools = Tools::ensure(workspace, progress).await?;
        let emulator = Emulator::start(workspace, &tools, folder.path()).await?;
        Ok(Self { emulator, folder })
    }

    /// The URL of the AWS APIs, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.emulator.endpoint()
    }

    /// The configuration of SDK clients for it.
    #[must_use]
    pub fn configuration(&self) -> SdkConfig {
        aws::configuration(self.endpoint())
    }

    /// Its folder, with its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Builds, deploys and seeds; for a new local cloud and for one that runs already.
pub(crate) async fn deploy(
    workspace: &Workspace,
    tools: &Tools,
    folder: &Path,
    endpoint: &str,
    parameters: &BTreeMap<String, String>,
    progress: &Progress,
) -> Result<(Stack, Timings), Error> {
    let sam = Sam { workspace, tools, folder };
    let step = progress.step("building the functions");
    sam.build(&step).await?;
    let build = step.done();

    let step = progress.step("deploying");
    let name = sam.deploy(endpoint, parameters, &step).await?;
    let stack = Stack::describe(endpoint, &name).await?;
    seed(&stack).await?;
    let deploy = step.done();
    // Uploaded by now, and large.
    let _ = std::fs::remove_dir_all(build_folder(folder));
    Ok((stack, Timings { build, deploy, ..Timings::default() }))
}

/// Creates the secret with the payment gateway's key, as an operator would; answers its ARN.
async fn create_secret(endpoint: &str) -> Result<String, Error> {
    let secrets = aws_sdk_secretsmanager::Client::new(&aws::configuration(endpoint));
    let secret = secrets
        .create_secret()
        .name("payment-gateway-key")
        .secret_string(GATEWAY_KEY)
        .send()
        .await
        .map_err(Error::aws("secretsmanager:CreateSecret"))?;
    secret
        .arn()
        .map(str::to_owned)
        .ok_or_else(|| Error::Missing { what: "ARN of the gateway's secret".to_owned() })
}

/// Verifies the domain of the sender of receipts, as an operator would. One request is not worth an SDK client.
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateEmailIdentity.html>
async fn verify_domain(endpoint: &str) -> Result<(), Error> {
    let url = format!("{endpoint}/v2/email/identities");
    let body = serde_json::json!({ "EmailIdentity": MAIL_DOMAIN }).to_string().into_bytes();
    let headers = [("content-type", "application/json")];
    let answer = HttpClient::new().send(Method::POST, &url, &headers, body).await?;
    if answer.status == 200 {
        return Ok(());
    }
    let message = format!("{} {}", answer.status, answer.text());
    Err(Error::Http { method: Method::POST.to_string(), url, message })
}

/// An instance's folder. Its lock tells other processes that it is in use.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    end: End,
    _lock: Lock,
}

/// What becomes of an instance's folder when its owner lets go.
#[derive(Debug)]
enum End {
    /// The logs stay.
    KeepLogs,
    /// Nothing stays, unless it ends in a panic.
    Vanish,
    /// Everything stays: the local cloud runs on.
    Stay,
}

impl Folder {
    /// Creates the folder of a new instance, and clears away those of instances that have ended.
    async fn create(workspace: &Workspace) -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // One at a time: a folder that is not locked yet must not be swept away.
        let _order = Lock::acquire(&workspace.instances().join("order.lock"), || ()).await?;
        sweep(workspace)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = workspace.instances().join(format!("{}-{number}", std::process::id()));
            if path.exists() {
                continue;
            }
            if let Some(lock) = Lock::try_acquire(&lock_file(&path))? {
                return Ok(Self { path, end: End::KeepLogs, _lock: lock });
            }
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        match self.end {
            End::Stay => (),
            End::Vanish if !std::thread::panicking() => {
                let _ = std::fs::remove_dir_all(&self.path);
            }
            End::Vanish | End::KeepLogs => remove_bulk(&self.path),
        }
    }
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// The folders of all instances.
pub(crate) fn instances(workspace: &Workspace) -> Result<Vec<PathBuf>, Error> {
    let root = workspace.instances();
    create_dir(&root)?;
    let entries = std::fs::read_dir(&root).map_err(Error::file("read", &root))?;
    Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// Removes what is large in an instance's folder; logs stay.
pub(crate) fn remove_bulk(folder: &Path) {
    for part in [folder.join("tmp"), build_folder(folder)] {
        let _ = std::fs::remove_dir_all(part);
    }
}

/// Clears up after instances whose process was killed, and forgets the oldest logs.
fn sweep(workspace: &Workspace) -> Result<(), Error> {
    let mut ended: Vec<(SystemTime, PathBuf)> = instances(workspace)?
        .into_iter()
        .filter(|folder| !is_running(folder))
        .filter(|folder| Lock::try_acquire(&lock_file(folder)).is_ok_and(|lock| lock.is_some()))
        .filter_map(|folder| {
            Some((std::fs::metadata(&folder).and_then(|data| data.modified()).ok()?, folder))
        })
        .collect();
    ended.sort();
    let surplus = ended.len().saturating_sub(KEPT);
    for (position, (_, folder)) in ended.iter().enumerate() {
        if position < surplus {
            let _ = std::fs::remove_dir_all(folder);
        } else {
            remove_bulk(folder);
        }
    }
    Ok(())
}
