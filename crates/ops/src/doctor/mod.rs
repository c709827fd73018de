//! `ops doctor`: looks at the whole deployment, and says what to do about each thing that is wrong.
//!
//! What is seen and what it means are apart: [`observe`] asks AWS, [`checks`] decides, without asking anybody.

mod alarms;
mod checks;
mod observe;
mod schemas;

use serde::Serialize;

use crate::Verdict;
use crate::cli::Manner;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{print, print_json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// Work stands still, or is about to be lost.
    Critical,
    /// Somebody should look at it today.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    severity: Severity,
    /// Which check found it.
    check: &'static str,
    /// What it is about.
    subject: String,
    /// What is wrong.
    problem: String,
    /// What to do.
    advice: String,
}

pub(crate) async fn run(deployment: &Deployment, manner: Manner) -> Result<Verdict, Error> {
    let seen = observe::observe(deployment).await?;
    let findings = checks::findings(&seen);
    let verdict = if findings.is_empty() { Verdict::Well } else { Verdict::Attention };
    if manner.json {
        print_json(&serde_json::json!({
            "checked": checks::names(), "findings": findings, "unchecked": seen.unchecked,
        }))?;
        return Ok(verdict);
    }
    for finding in &findings {
        let Finding { severity, subject, problem, advice, .. } = finding;
        let mark = if *severity == Severity::Critical { "✗" } else { "!" };
        print(format_args!("{mark} {subject}: {problem}\n  → {advice}"))?;
    }
    for unchecked in &seen.unchecked {
        print(format_args!("? {unchecked}"))?;
    }
    if findings.is_empty() {
        print(format_args!("✓ {} checks: all is well.", checks::names().len()))?;
    } else {
        print(format_args!("\n{} checks, {} findings.", checks::names().len(), findings.len()))?;
    }
    Ok(verdict)
}
