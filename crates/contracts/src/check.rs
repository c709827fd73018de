//! What must hold between the types, the committed schemas, and those who use them.

use std::collections::BTreeMap;
use std::path::Path;

use eda::failure::chain;
use eda::testing::template::{Template, TemplateError};
use fastrand::Rng;
use serde_json::Value;
use shop::events::schema::{Published, published};

use crate::Finding;
use crate::files::{Checkout, FileError};
use crate::openapi::{openapi, routes};
use crate::registry::Committed;
use crate::sample::sample;
use crate::schema::{differences, fields};
use crate::usage::{consumers_naming, missed_by_rules, transformers_reading};

/// How many documents of an old version are read by the newest.
const SAMPLES: usize = 300;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// The template is unreadable.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Checks a checkout against the types of this program.
///
/// # Errors
/// [`CheckError`] where files are missing or unreadable.
pub fn check(checkout: &Checkout) -> Result<Vec<Finding>, CheckError> {
    let (published, committed) = (published(), checkout.committed()?);
    let template = Template::load(checkout.template_path())?;
    let mut found = checkout.tampered()?;
    found.extend(evolution(&published, &committed));
    found.extend(published.iter().flat_map(undescribed));
    found.extend(usage(&published, &committed, &template, checkout.root()));
    found.extend(checkout.unregistered()?);
    found.extend(checkout.misdescribed()?);
    found.extend(routes(&openapi(), &template));
    Ok(found)
}

/// How types changed since they were published, and what the newest cannot read any more.
#[must_use]
pub fn evolution(published: &[Published], committed: &BTreeMap<String, Committed>) -> Vec<Finding> {
    let mut found = Vec::new();
    for contract in published {
        let name = format!("{} {}", contract.detail_type, contract.version);
        let Some(before) = committed.get(&contract.path()) else {
            found.push(Finding::new(name, "", "is not published; run `cargo xtask contracts`"));
            continue;
        };
        for change in differences(&name, &before.schema, &contract.schema) {
            let reason = format!("{}: changed without a new version", change.reason);
            found.push(Finding { reason, ..change });
        }
        found.extend(unreadable(contract, before));
    }
    for path in committed.keys().filter(|path| !published.iter().any(|one| one.path() == **path)) {
        found.push(Finding::new(path.as_str(), "", "is published and no type reads it any more"));
    }
    found
}

/// What was valid when this version was published, and is not read now.
fn unreadable(contract: &Published, published: &Committed) -> Option<Finding> {
    // The same documents in every run: a check does not depend on luck.
    let mut rng = Rng::with_seed(contract.path().bytes().map(u64::from).sum());
    (0..SAMPLES).find_map(|_| {
        let document = sample(&published.schema, &mut rng).to_string();
        let error = (contract.decode)(&document).err()?;
        let newest = contract.versions.last().copied().unwrap_or(contract.version);
        let said = chain(&error);
        let said = said.split_once("is malformed: ").map_or(said.as_str(), |(_, said)| said);
        let (field, reason) = said.split_once(": ").unwrap_or(("", said));
        let reason = format!("cannot be read from version {}: {reason}", contract.version);
        Some(Finding::new(format!("{} {newest}", contract.detail_type), field, reason))
    })
}

/// An event without a description, or a field of one.
#[must_use]
pub fn undescribed(contract: &Published) -> Vec<Finding> {
    let name = format!("{} {}", contract.detail_type, contract.version);
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
    let mut found = Vec::new();
    if !described(&contract.schema) {
        found.push(Finding::new(name.as_str(), "", "has no description; write a doc comment on its type"));
    }
    for (path, _) in fields(&contract.schema).into_iter().filter(|(_, schema)| !described(schema)) {
        if path != "metadata" {
            found.push(Finding::new(
                name.as_str(),
                path,
                "has no description; write a doc comment on the field",
            ));
        }
    }
    found
}

/// What rules, transformers and consumers use, and a version does not have, or has as something else.
#[must_use]
pub fn usage(
    published: &[Published],
    committed: &BTreeMap<String, Committed>,
    template: &Template,
    root: &Path,
) -> Vec<Finding> {
    let current = |contract: &Published| Committed {
        source: contract.source.to_owned(),
        detail_type: contract.detail_type.to_owned(),
        version: contract.version.to_owned(),
        schema: contract.schema.clone(),
    };
    let mut found = Vec::new();
    for contract in published {
        let now = current(contract);
        found.extend(missed_by_rules(template, &now));
        let before =
            contract.versions.iter().rev().skip_while(|version| **version != contract.version).nth(1);
        let before = before.map_or_else(
            || contract.path(),
            |before| format!("{}/{}-{before}.json", contract.source, contract.detail_type),
        );
        let Some(before) = committed.get(&before) else { continue };
        let name = format!("{} {}", contract.detail_type, contract.version);
        for change in differences(&name, &before.schema, &now.schema) {
            let what = if change.reason == "is removed" {
                "is removed"
            } else if change.reason.starts_with("type was") {
                "is of another type"
            } else {
                continue;
            };
            let mut users = consumers_naming(template, root, &now, &change.field);
            users.extend(transformers_reading(template, &now, &change.field));
            if !users.is_empty() {
                let reason = format!("{what}, and {} uses it", users.join(", "));
                found.push(Finding { reason, ..change });
            }
        }
    }
    found
}
