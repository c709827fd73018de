//! Local clouds of this process: one for all tests, or one's own.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use localcloud::{GatewayHost, LocalCloud, Options, Progress, Workspace};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// One for all tests: clients of the shared cloud keep connections, which end with their runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Never dropped. The emulator ends with this process, because its standard input does: see `shims/lifeline.py`.
static SHARED: OnceCell<LocalCloud> = OnceCell::const_new();

/// How long anything is waited for that takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

const POLL: Duration = Duration::from_millis(50);

/// Runs a test.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// The cloud for tests that do not disturb others.
pub(crate) async fn shared() -> &'static LocalCloud {
    SHARED.get_or_init(own).await
}

/// A cloud for one test.
pub(crate) async fn own() -> LocalCloud {
    own_with(BTreeMap::new()).await
}

/// A cloud for one test, with parameters of its own.
pub(crate) async fn own_with(parameters: BTreeMap<String, String>) -> LocalCloud {
    let workspace = Workspace::find().unwrap();
    let options = Options { gateway: GatewayHost::Thread, parameters };
    LocalCloud::up(&workspace, options, &Progress::silent()).await.unwrap()
}

/// Asks until there is an answer, for much longer than a loaded machine takes.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask).await
}

/// Asks until there is an answer, for as long as `patience`.
pub(crate) async fn within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "not within {patience:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}
