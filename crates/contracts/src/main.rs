//! Writes or checks the contracts as files; started by `cargo xtask contracts`.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use contracts::check::{CheckError, check, evolution};
use contracts::files::Checkout;
use contracts::openapi::openapi;
use shop::events::schema::published;

/// Publishes the schemas of new events and versions.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask contracts")]
struct Arguments {
    /// Writes nothing; fails if anything is wrong
    #[arg(long)]
    check: bool,
    /// Prints a document instead
    #[arg(long, value_enum, conflicts_with = "check")]
    print: Option<Document>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Document {
    /// The HTTP API, as OpenAPI 3.1
    Openapi,
    /// All schemas, by path
    Schemas,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, CheckError> {
    let checkout = Checkout::of_this_program();
    match arguments.print {
        Some(Document::Openapi) => {
            println!("{:#}", openapi());
            return Ok(ExitCode::SUCCESS);
        }
        Some(Document::Schemas) => {
            let all = published().into_iter().map(|contract| (contract.path(), contract.schema));
            println!("{:#}", serde_json::Value::Object(all.collect()));
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    if !arguments.check {
        // What is published is never written again: a type that changed is a mistake to be named, below.
        let missing = "is not published";
        let all = evolution(&published(), &checkout.committed()?);
        if all.iter().all(|finding| finding.reason.starts_with(missing)) {
            for path in checkout.publish(&published())? {
                println!("wrote {path}");
            }
        }
    }
    let findings = check(&checkout)?;
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    if findings.is_empty() {
        println!("{} contracts hold", published().len());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
