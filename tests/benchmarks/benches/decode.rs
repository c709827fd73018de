//! What it costs to read an order, in instructions: `cargo bench -p benchmarks`.
//!
//! Time is noise, so valgrind counts instructions: twice, for many repetitions and for twice as many, so that the difference is
//! what the reading costs and nothing else. It fails where an order of an old producer costs more than it may.

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use eda::event::Event;
use jiff::Timestamp;
use shop::events::OrderPlaced;

/// What an order of version 1.0 may cost at most, decoded and lifted: a multiple of what serde_json takes for the newest type.
const LIMIT: f64 = 1.5;

/// Repetitions of the shorter run.
const TIMES: u32 = 1_000;

/// How this program is told to repeat one reading: `--repeat NAME TIMES`.
const REPEAT: &str = "--repeat";

/// A way to read an order.
struct Reading {
    name: &'static str,
    detail: &'static str,
    read: fn(&str),
}

const NEWEST: &str = r#"{"version":"2.0","orderId":"83460ba5-58d1-4f1e-9a63-0b8f2a5741de","customerId":"customer-1","items":[{"productId":"keyboard","quantity":2,"price":49.5},{"productId":"mouse","quantity":1,"price":19.99}],"totalAmount":118.99,"currency":"USD","timestamp":"2026-01-15T10:30:00Z","paymentMethod":"pm_card_visa","shippingAddress":{"name":"Jo Doe","line1":"1 Main Street","city":"Springfield","postalCode":"12345","country":"US"},"metadata":{"eventId":"019bc0a6-4a10-7cc3-8000-000000000001","eventTime":"2026-01-15T10:30:00Z","correlationId":"019bc0a6-4a10-7cc3-8000-000000000001","saga":"choreographed"}}"#;
const FIRST: &str = r#"{"version":"1.0","orderId":"83460ba5-58d1-4f1e-9a63-0b8f2a5741de","customerId":"customer-1","items":[{"productId":"keyboard","quantity":2,"price":49.5},{"productId":"mouse","quantity":1,"price":19.99}],"totalAmount":118.99,"timestamp":"2026-01-15T10:30:00Z","paymentMethod":"pm_card_visa","shippingAddress":{"name":"Jo Doe","line1":"1 Main Street","city":"Springfield","postalCode":"12345","country":"US"},"metadata":{"eventId":"019bc0a6-4a10-7cc3-8000-000000000001","eventTime":"2026-01-15T10:30:00Z","correlationId":"019bc0a6-4a10-7cc3-8000-000000000001","saga":"choreographed"}}"#;
/// From before there were versions and metadata: what it says about itself is derived from a digest of it, which costs extra.
const OLDEST: &str = r#"{"orderId":"83460ba5-58d1-4f1e-9a63-0b8f2a5741de","customerId":"customer-1","items":[{"productId":"keyboard","quantity":2,"price":49.5},{"productId":"mouse","quantity":1,"price":19.99}],"amount":118.99,"timestamp":"2026-01-15T10:30:00Z","paymentMethod":"pm_card_visa","shippingAddress":{"name":"Jo Doe","line1":"1 Main Street","city":"Springfield","postalCode":"12345","country":"US"}}"#;

/// The first is what the others are measured by.
const READINGS: [Reading; 4] = [
    Reading { name: "bare", detail: NEWEST, read: bare },
    Reading { name: "2.0", detail: NEWEST, read: decoded },
    Reading { name: "1.0", detail: FIRST, read: decoded },
    Reading { name: "unversioned", detail: OLDEST, read: decoded },
];

/// As serde_json reads the newest type from the newest version; `version` and `metadata` are skipped.
fn bare(detail: &str) {
    drop(black_box(serde_json::from_str::<OrderPlaced>(detail)));
}

/// As every consumer reads it: any version, lifted to the newest, with its metadata.
fn decoded(detail: &str) {
    drop(black_box(Event::<OrderPlaced>::from_detail(detail, Timestamp::UNIX_EPOCH)));
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().collect();
    let asked = arguments.iter().position(|argument| argument == REPEAT);
    if let Some(asked) = asked
        && let [name, times] = arguments.iter().skip(asked + 1).map(String::as_str).collect::<Vec<_>>()[..]
    {
        repeat(name, times.parse().unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    match compare() {
        Ok(within) if within => ExitCode::SUCCESS,
        Ok(_) => {
            eprintln!(
                "error: an order of version 1.0 costs more than {LIMIT} × a bare decode of the newest type"
            );
            ExitCode::FAILURE
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn repeat(name: &str, times: u32) {
    let Some(reading) = READINGS.iter().find(|reading| reading.name == name) else { return };
    for _ in 0..times {
        (reading.read)(black_box(reading.detail));
    }
}

/// Prints what each reading costs; answers whether that of version 1.0 costs no more than it may.
fn compare() -> Result<bool, String> {
    println!("OrderPlaced: instructions to read it");
    let mut costs = Vec::new();
    for reading in &READINGS {
        let cost = count(reading.name, 2 * TIMES)?.saturating_sub(count(reading.name, TIMES)?);
        let cost = cost as f64 / f64::from(TIMES);
        let share = cost / costs.first().copied().unwrap_or(cost);
        println!("  {:12} {cost:8.0}  {share:.2} ×", reading.name);
        costs.push(cost);
    }
    let [bare, _, first, ..] = &costs[..] else { return Ok(false) };
    Ok(*first <= bare * LIMIT)
}

/// How many instructions this program takes to repeat a reading so often.
fn count(name: &str, times: u32) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.arg(program).args([REPEAT, name, &times.to_string()]);
    let output = valgrind.output().map_err(|error| {
        format!("valgrind counts the instructions and cannot be run ({error}): install it, for example with `apt-get install valgrind`")
    })?;
    let told = String::from_utf8_lossy(&output.stderr);
    // ==1234== I refs:        1,234,567
    let line =
        told.lines().find_map(|line| line.split_once("refs:").filter(|(before, _)| before.contains(" I ")));
    let digits: Option<String> = line.map(|(_, count)| count.chars().filter(char::is_ascii_digit).collect());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("valgrind counted nothing: {told}"))
}
