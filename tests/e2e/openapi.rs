//! The API keeps to its description, whatever it is asked: schemathesis makes requests, right and wrong ones, from the description
//! that is deployed, and holds the answers to it.

use localcloud::{Progress, Tools, Workspace};
use serde_json::Value;
use tokio::process::Command;

use super::clouds::{run, shared};

/// Requests per operation that are made up, beside those for each bound that the description names.
const EXAMPLES: &str = "30";

/// How the answers are held to it.
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/schemathesis.toml");

#[test]
fn no_request_is_answered_against_the_description() {
    run(async {
        let stack = shared().await.stack();
        let tester = Tools::ensure_tester(&Workspace::find().unwrap(), &Progress::silent()).await.unwrap();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut description: Value = stack.get("/openapi.json").await.unwrap().json().unwrap();
        // A local cloud checks no signatures.
        description.as_object_mut().unwrap().remove("security").unwrap();
        std::fs::write(folder.path().join("openapi.json"), description.to_string()).unwrap();

        let mut command = Command::new(tester.program("schemathesis"));
        command.args(["--config-file", CONFIGURATION, "run", "openapi.json"]);
        command.args(["--url", &stack.api_url().unwrap(), "--workers", "1", "--no-color"]);
        command.args([
            "--generation-deterministic",
            "--max-examples",
            EXAMPLES,
            "--report-json-path",
            "report.json",
        ]);
        command.current_dir(folder.path()).env("NO_PROXY", "127.0.0.1").kill_on_drop(true);
        let output = command.output().await.unwrap();

        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        let report = std::fs::read(folder.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["complete"], true, "{told}");
        assert_eq!(report["operations"]["tested"], operations(&description), "{told}");
        for phase in ["coverage", "fuzzing", "stateful"] {
            assert_eq!(report["phases"][phase]["status"], "success", "{phase}: {told}");
        }
        // Such as: of an operation nearly all requests were refused, so that it was hardly tried.
        for (warning, about) in report["warnings"].as_object().unwrap() {
            assert_eq!(about.as_array().map(Vec::len), Some(0), "{warning}: {about}: {told}");
        }
    });
}

/// How many operations are described.
fn operations(description: &Value) -> usize {
    description["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum()
}
