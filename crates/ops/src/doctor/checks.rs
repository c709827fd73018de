//! What a deployment should be like, and what to do where it is not.

use super::observe::{Observation, counted};
use super::{Finding, Severity};
use crate::outbox::is_late;
use crate::output::age;

/// A check, by its name.
type Check = (&'static str, fn(&Observation, &mut Vec<Finding>));

const CHECKS: &[Check] = &[
    ("dead letters", dead_letters),
    ("failed messages", failed_messages),
    ("backlog", backlog),
    ("disabled mapping", disabled_mappings),
    ("failing mapping", failing_mappings),
    ("throttled function", throttled_functions),
    ("broken function", broken_functions),
    ("disabled rule", disabled_rules),
    ("outbox", outbox),
    ("overdue order", overdue_orders),
    ("view behind", views_behind),
    ("alarm", alarms),
    ("contract", contracts),
    ("stream", streams),
];

/// The names of all checks.
pub(super) fn names() -> Vec<&'static str> {
    CHECKS.iter().map(|(name, _)| *name).collect()
}

/// More messages than this in a queue is more than a burst.
const BACKLOG: u64 = 1_000;

/// Everything that is wrong, the worst first.
pub(super) fn findings(seen: &Observation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, check) in CHECKS {
        let before = findings.len();
        check(seen, &mut findings);
        for finding in findings.iter_mut().skip(before) {
            finding.check = name;
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn critical(subject: &str, problem: String, advice: String) -> Finding {
    Finding { severity: Severity::Critical, check: "", subject: subject.to_owned(), problem, advice }
}

fn warning(subject: &str, problem: String, advice: String) -> Finding {
    Finding { severity: Severity::Warning, ..critical(subject, problem, advice) }
}

fn dead_letters(seen: &Observation, findings: &mut Vec<Finding>) {
    for (queue, _) in seen.queues.iter().filter(|(queue, dead)| *dead && queue.visible > 0) {
        findings.push(critical(
            &queue.logical_id,
            format!("{} letters wait; SQS keeps them for 14 days", queue.visible),
            "take them in with `ops failed collect`, then look at `ops failed groups`".to_owned(),
        ));
    }
}

fn failed_messages(seen: &Observation, findings: &mut Vec<Finding>) {
    for group in &seen.groups {
        let count = |status: &str| group.failures.get(status).copied().unwrap_or(0);
        let (waiting, dying) = (count("failed"), count("retrying"));
        if waiting + dying > 0 {
            let since = age(seen.now - group.oldest_failed_at);
            findings.push(warning(
                &group.place,
                format!("{} failures wait for a decision, for {since}: {}", waiting + dying, group.cause),
                format!("`ops failed list --group {0}`, then `ops failed retry --group {0}`", group.group),
            ));
        }
    }
}

fn backlog(seen: &Observation, findings: &mut Vec<Finding>) {
    for (queue, _) in seen.queues.iter().filter(|(queue, dead)| !*dead && queue.visible > BACKLOG) {
        findings.push(warning(
            &queue.logical_id,
            format!("{} messages wait and {} are in hand", queue.visible, queue.in_flight),
            "see whether its function is throttled or fails, and whether a circuit breaker is open"
                .to_owned(),
        ));
    }
}

fn disabled_mappings(seen: &Observation, findings: &mut Vec<Finding>) {
    // Those of process-dlq are off until they are wanted; its queues are looked at themselves.
    let wanted = seen.mappings.iter().filter(|mapping| mapping.function != "process-dlq");
    for mapping in wanted.filter(|mapping| !mapping.enabled) {
        findings.push(critical(
            &mapping.function,
            format!("its mapping of {} is off: nothing is handled", mapping.source),
            format!("`aws lambda update-event-source-mapping --uuid {} --enabled`", mapping.id),
        ));
    }
}

fn failing_mappings(seen: &Observation, findings: &mut Vec<Finding>) {
    for mapping in seen.mappings.iter().filter(|mapping| mapping.last_result.starts_with("PROBLEM")) {
        findings.push(critical(
            &mapping.function,
            format!("its mapping of {} says: {}", mapping.source, mapping.last_result),
            "see the function's role and its log".to_owned(),
        ));
    }
}

fn throttled_functions(seen: &Observation, findings: &mut Vec<Finding>) {
    for function in seen.functions.iter().filter(|function| function.reserved == Some(0)) {
        findings.push(critical(
            &function.package,
            "its reserved concurrency is 0: it never runs".to_owned(),
            format!("`aws lambda delete-function-concurrency --function-name {}`", function.name),
        ));
    }
}

fn broken_functions(seen: &Observation, findings: &mut Vec<Finding>) {
    let sound = |state: &str| state.is_empty() || matches!(state, "Active" | "Inactive" | "Pending");
    for function in seen.functions.iter().filter(|function| !sound(&function.state)) {
        findings.push(critical(
            &function.package,
            format!("its state is {}", function.state),
            "deploy again with `sam deploy`".to_owned(),
        ));
    }
}

fn disabled_rules(seen: &Observation, findings: &mut Vec<Finding>) {
    for rule in &seen.disabled_rules {
        findings.push(critical(
            rule,
            "the rule is off: its events go nowhere and are not kept".to_owned(),
            format!("`aws events enable-rule --name {rule} --event-bus-name {}`", seen.stack),
        ));
    }
}

fn outbox(seen: &Observation, findings: &mut Vec<Finding>) {
    let late: Vec<_> = seen.outbox.iter().filter(|row| is_late(row, seen.now)).collect();
    if let Some(oldest) = late.first() {
        let names = counted(late.iter().map(|row| row.detail_type.as_str()));
        let names: Vec<_> = names.iter().map(|(name, count)| format!("{count} {name}")).collect();
        findings.push(critical(
            "outbox",
            format!(
                "{} events are not published, the oldest for {}: {}",
                late.len(),
                age(seen.now - oldest.created_at),
                names.join(", ")
            ),
            "`ops outbox republish`; if they stay, see the logs of relay-outbox and sweep-outbox".to_owned(),
        ));
    }
}

fn overdue_orders(seen: &Observation, findings: &mut Vec<Finding>) {
    if seen.overdue.is_empty() {
        return;
    }
    let steps = counted(seen.overdue.iter().map(|order| order.waits_for));
    let steps: Vec<_> = steps.iter().map(|(step, count)| format!("{count} for {step}")).collect();
    findings.push(critical(
        "orders",
        format!("{} are past their deadline and wait, {}", seen.overdue.len(), steps.join(", ")),
        "`ops saga stuck`, then `ops order ORDER`".to_owned(),
    ));
}

fn views_behind(seen: &Observation, findings: &mut Vec<Finding>) {
    if let Some((order, view, head)) = seen.behind.first() {
        findings.push(warning(
            "views",
            format!("{} are behind their orders, such as {order} at version {view} of {head}", seen.behind.len()),
            "see the log of project-orders, and whether its mapping is on; the next event of an order repairs its view".to_owned(),
        ));
    }
}

fn alarms(seen: &Observation, findings: &mut Vec<Finding>) {
    for (alarm, reason) in &seen.alarms {
        findings.push(critical(
            alarm,
            format!("the alarm is on: {reason}"),
            "its description in the template says what it means".to_owned(),
        ));
    }
}

fn contracts(seen: &Observation, findings: &mut Vec<Finding>) {
    for contract in &seen.contracts {
        findings.push(warning(
            contract,
            "the deployment does not know this contract, which this program was built with".to_owned(),
            "deploy this checkout, or run the ops of the deployed version".to_owned(),
        ));
    }
}

fn streams(seen: &Observation, findings: &mut Vec<Finding>) {
    for table in &seen.silent_tables {
        findings.push(critical(
            table,
            "its stream is off: nothing follows from what is written to it".to_owned(),
            "deploy again with `sam deploy`, then `ops outbox republish`".to_owned(),
        ));
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
