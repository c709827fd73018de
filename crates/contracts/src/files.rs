//! The committed files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use shop::events::schema::Published;

use crate::Finding;
use crate::openapi::openapi;
use crate::registry::{Committed, NoPlace, with_schemas};

/// Where schemas are committed, in the checkout.
const SCHEMAS: &str = "crates/shop/schemas";
const OPENAPI: &str = "crates/shop/openapi.json";
const LOCK: &str = "published.lock";
const LOCK_HEADER: &str =
    "# SHA-256 of every published schema. A line, once here, never changes: publish a new version instead.\n";

/// Why files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read, written or listed.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {message}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The template has no place for schemas.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

/// A checkout.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout at this folder.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The checkout that this program was built from.
    #[must_use]
    pub fn of_this_program() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::at(package.ancestors().nth(2).unwrap_or(package))
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn schemas(&self) -> PathBuf {
        self.root.join(SCHEMAS)
    }

    pub(crate) fn template_path(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    pub(crate) fn read(&self, path: &Path) -> Result<String, FileError> {
        std::fs::read_to_string(path).map_err(|source| FileError::File { path: path.to_owned(), source })
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), FileError> {
        let failed = |source| FileError::File { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(path, text).map_err(failed)
    }

    /// The committed schemas, by path below their folder: oldest version first.
    ///
    /// # Errors
    /// [`FileError`] where one cannot be read, or is no JSON.
    pub fn committed(&self) -> Result<BTreeMap<String, Committed>, FileError> {
        let mut found = BTreeMap::new();
        for source in folder(&self.schemas())?.into_iter().filter(|path| path.is_dir()) {
            for path in folder(&source)? {
                let text = self.read(&path)?;
                let wrong = |message: String| FileError::Content { path: path.clone(), message };
                let schema: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
                let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
                let (detail_type, version) = name
                    .split_once('-')
                    .ok_or_else(|| wrong("is not called TYPE-VERSION.json".to_owned()))?;
                let source = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let committed = Committed {
                    source: source.to_owned(),
                    detail_type: detail_type.to_owned(),
                    version: version.to_owned(),
                    schema,
                };
                found.insert(format!("{source}/{name}.json"), committed);
            }
        }
        Ok(found)
    }

    /// The hashes of published files, by path.
    fn lock(&self) -> Result<BTreeMap<String, String>, FileError> {
        let path = self.schemas().join(LOCK);
        let text = if path.is_file() { self.read(&path)? } else { String::new() };
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        Ok(lines.map(|(hash, path)| (path.to_owned(), hash.to_owned())).collect())
    }

    /// What was changed in published files, or lost.
    ///
    /// # Errors
    /// [`FileError`] where one cannot be read.
    pub fn tampered(&self) -> Result<Vec<Finding>, FileError> {
        let lock = self.lock()?;
        let mut found = Vec::new();
        for (path, hash) in &lock {
            let file = self.schemas().join(path);
            let name = format!("{SCHEMAS}/{path}");
            if !file.is_file() {
                found.push(Finding::new(name, "", "is published and gone; bring the file back"));
            } else if hash_of(&self.read(&file)?) != *hash {
                found.push(Finding::new(
                    name,
                    "",
                    "is published and was changed; bring it back and publish a new version",
                ));
            }
        }
        for path in self.committed()?.into_keys().filter(|path| !lock.contains_key(path)) {
            found.push(Finding::new(
                format!("{SCHEMAS}/{path}"),
                "",
                "is not in published.lock; run `cargo xtask contracts`",
            ));
        }
        Ok(found)
    }

    /// Publishes what is not yet published, and brings the template's copy up to date. What is published stays as it is.
    ///
    /// # Errors
    /// [`FileError`] where a file cannot be read or written.
    pub fn publish(&self, published: &[Published]) -> Result<Vec<String>, FileError> {
        let mut lock = self.lock()?;
        let mut written = Vec::new();
        for contract in published {
            let path = contract.path();
            let file = self.schemas().join(&path);
            if !file.is_file() {
                self.write(&file, &format!("{:#}\n", contract.schema))?;
                written.push(format!("{SCHEMAS}/{path}"));
            }
            let hash = hash_of(&self.read(&file)?);
            lock.entry(path).or_insert(hash);
        }
        let lines: String = lock.iter().map(|(path, hash)| format!("{hash}  {path}\n")).collect();
        self.write_if_changed(&self.schemas().join(LOCK), &format!("{LOCK_HEADER}{lines}"), &mut written)?;
        let template = self.read(&self.template_path())?;
        let schemas: Vec<_> = self.committed()?.into_values().collect();
        self.write_if_changed(&self.template_path(), &with_schemas(&template, &schemas)?, &mut written)?;
        let described = format!("{:#}\n", openapi());
        self.write_if_changed(&self.root.join(OPENAPI), &described, &mut written)?;
        Ok(written)
    }

    fn write_if_changed(&self, path: &Path, text: &str, written: &mut Vec<String>) -> Result<(), FileError> {
        if !path.is_file() || self.read(path)? != text {
            self.write(path, text)?;
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            written.push(name.display().to_string());
        }
        Ok(())
    }

    /// Whether the committed description of the API is that of the types.
    ///
    /// # Errors
    /// [`FileError`] where it cannot be read.
    pub fn misdescribed(&self) -> Result<Vec<Finding>, FileError> {
        let path = self.root.join(OPENAPI);
        let current = path.is_file() && self.read(&path)? == format!("{:#}\n", openapi());
        let reason = "is not what the types say; run `cargo xtask contracts`";
        Ok((!current).then(|| Finding::new(OPENAPI, "", reason)).into_iter().collect())
    }

    /// Whether the template registers the committed schemas.
    ///
    /// # Errors
    /// [`FileError`] where a file cannot be read.
    pub fn unregistered(&self) -> Result<Vec<Finding>, FileError> {
        let template = self.read(&self.template_path())?;
        let schemas: Vec<_> = self.committed()?.into_values().collect();
        let stale = with_schemas(&template, &schemas)? != template;
        let reason = "does not register the committed schemas; run `cargo xtask contracts`";
        Ok(stale.then(|| Finding::new("template.yaml", "", reason)).into_iter().collect())
    }
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| FileError::File { path: path.to_owned(), source };
    let entries = std::fs::read_dir(path).map_err(failed)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn hash_of(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}
