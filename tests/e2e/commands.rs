//! The commands of the README, as their users run them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::clouds::run;
use super::xtask::Place;

#[test]
fn two_demos_at_once_do_not_disturb_each_other_and_leave_nothing_behind() {
    run(async {
        let place = Place::new();
        let arguments = ["demo", "--json"];
        let (one, other) = tokio::join!(place.json(&arguments), place.json(&arguments));
        for report in [&one, &other] {
            is_the_documented_report(report);
            assert_eq!(report["orders"]["placed"], 20);
            assert_eq!(report["orders"]["unfinished"], 0);
            assert_eq!(report["outboxPending"], 0);
            all(report, "sagas", |saga| saga["outcome"] == saga["expected"]);
            for saga in ["choreographed", "orchestrated"] {
                for outcome in ["confirmed", "cancelled"] {
                    let sagas = report["sagas"].as_array().unwrap();
                    let told = sagas.iter().any(|one| one["saga"] == saga && one["outcome"] == outcome);
                    assert!(told, "no {saga} order is {outcome}");
                }
            }
            all(report, "invariants", |invariant| invariant["holds"] == true);
        }
        place.is_left().await;
    });
}

#[test]
fn a_cloud_that_is_up_is_found_used_updated_and_stopped() {
    run(async {
        let place = Place::new();
        assert_eq!(place.run(&["down"]).await, "No local cloud was running.\n");
        let none = place.try_run(&["invoke", "sweep-outbox"]).await;
        assert_eq!(none.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&none.stderr).contains("no local cloud is running"));

        let up = place.json(&["up", "--json"]).await;
        let keys = ["endpoint", "apiUrl", "envFile", "stack", "outputs", "sampleOrder"];
        assert_eq!(keys_of(&up), BTreeSet::from(keys));
        assert_eq!(place.json(&["up", "--json"]).await, up, "the same is described again");
        let placed = place.json(&["invoke", "place-order"]).await;
        assert_eq!(placed["statusCode"], 202);

        super::watch::every_sample_works_outside_of_the_cloud(&up).await;

        assert!(place.run(&["deploy"]).await.starts_with("Deployed order-fulfilment to http://127.0.0.1:"));
        let got = place.json(&["invoke", "get-order", "get-order"]).await;
        assert_eq!(got["statusCode"], 200, "its data stays: {got}");

        assert_eq!(place.run(&["down"]).await, "Stopped the local cloud.\n");
        place.is_left().await;
    });
}

fn is_the_documented_report(report: &Value) {
    let keys = ["orders", "sagas", "invariants", "outboxPending", "dlq", "timings"];
    assert_eq!(keys_of(report), BTreeSet::from(keys));
    let keys = ["placed", "confirmed", "cancelled", "unfinished"];
    assert_eq!(keys_of(&report["orders"]), BTreeSet::from(keys));
    let keys = ["orderId", "saga", "scenario", "expected", "outcome", "events", "durationMs"];
    all(report, "sagas", |saga| keys_of(saga) == BTreeSet::from(keys));
    all(report, "invariants", |one| keys_of(one) == BTreeSet::from(["name", "holds", "detail"]));
    assert!(report["dlq"].as_object().unwrap().values().all(Value::is_u64));
    let keys = ["toolsMs", "buildMs", "deployMs", "ordersMs"];
    assert_eq!(keys_of(&report["timings"]), BTreeSet::from(keys));
}

fn keys_of(document: &Value) -> BTreeSet<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

fn all(report: &Value, list: &str, holds: impl Fn(&Value) -> bool) {
    let entries = report[list].as_array().unwrap();
    assert!(!entries.is_empty(), "no {list}");
    for entry in entries {
        assert!(holds(entry), "{entry:#}");
    }
}
