//! Function processes die at any time, in the middle of anything: it costs time, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use localcloud::Progress;
use localcloud::demo::{self, Options};
use rustix::process::{Pid, Signal, kill_process};

use super::clouds::{own_with, run};
use super::processes::functions;

/// A killing per pause: one in a handful of invocations while orders run.
const PAUSE: Duration = Duration::from_millis(150);
/// More than the sweeper's minute, which an event waits for whose doorbell was given up, and less than the demonstration's patience.
const DEADLINE_SECONDS: &str = "150";
/// What the emulator says about an invocation whose process died.
const DIED: &str = "Runtime exited before returning a response";

#[test]
fn killing_function_processes_at_random_changes_nothing_but_time() {
    run(async {
        let deadline = ("OrderDeadlineSeconds".to_owned(), DEADLINE_SECONDS.to_owned());
        let cloud = own_with(BTreeMap::from([deadline])).await;
        let killer = tokio::spawn(kill_for_ever(cloud.folder().to_owned()));

        let options = Options { orders: 60, seed: 7, killed: true };
        let report = demo::run(&cloud, &options, &Progress::silent()).await.unwrap();

        killer.abort();
        let log = std::fs::read_to_string(cloud.folder().join("emulator.log")).unwrap();
        assert_eq!(report.broken().count(), 0, "{report}");
        assert_eq!((report.orders.placed, report.orders.unfinished), (60, 0), "{report}");
        let hit = log.matches(DIED).count();
        assert!(hit > 0, "no invocation was under way when its process was killed");
        eprintln!("{hit} invocations lost their process");
    });
}

async fn kill_for_ever(folder: PathBuf) {
    let mut rng = Rng::with_seed(11);
    let mut pause = tokio::time::interval(PAUSE);
    loop {
        pause.tick().await;
        if let Some(victim) = rng.choice(functions(&folder)).and_then(|process| Pid::from_raw(process.id)) {
            // It may have ended by itself meanwhile.
            let _ = kill_process(victim, Signal::KILL);
        }
    }
}
