//! Where things lie in the checkout.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// Names another folder for instances, so that commands neither see nor stop those of somebody else.
pub const INSTANCES: &str = "LOCALCLOUD_INSTANCES";

/// The checkout this program was built from.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout: the nearest folder with a `template.yaml` above the package that cargo runs, else above the
    /// folder this crate was compiled in.
    ///
    /// # Errors
    /// [`Error::Content`] if there is none, for example because a binary was copied away from its checkout.
    pub fn find() -> Result<Self, Error> {
        let compiled = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let started = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| compiled.clone(), PathBuf::from);
        [&started, &compiled]
            .into_iter()
            .flat_map(|folder| folder.ancestors())
            .find(|folder| folder.join("template.yaml").is_file() && folder.join("Cargo.lock").is_file())
            .map(|root| Self { root: root.to_owned() })
            .ok_or_else(|| Error::Content {
                path: started.clone(),
                message: "not inside a checkout: no template.yaml above it".to_owned(),
            })
    }

    /// The checkout's root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a function package.
    #[must_use]
    pub fn function(&self, package: &str) -> PathBuf {
        self.root.join("functions").join(package)
    }

    /// Names of all function packages, sorted.
    ///
    /// # Errors
    /// [`Error::File`] if `functions/` cannot be read.
    pub fn functions(&self) -> Result<Vec<String>, Error> {
        let folder = self.root.join("functions");
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .map_err(Error::file("read", &folder))?
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// This crate's folder: shims, pinned tools, seed data.
    pub(crate) fn localcloud(&self) -> PathBuf {
        self.root.join("crates/localcloud")
    }

    /// The folder for everything the local cloud writes.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("target/localcloud")
    }

    /// The folder of the instances: in [`Workspace::state`], unless the environment variable [`INSTANCES`] names another.
    #[must_use]
    pub fn instances(&self) -> PathBuf {
        env::var_os(INSTANCES).map_or_else(|| self.state().join("instances"), PathBuf::from)
    }
}

/// Creates a folder and those above it.
pub(crate) fn create_dir(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::file("create", path))
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file("read", path))
}

/// Writes a file as a whole: a reader sees the old content or the new, never a part.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Error> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    std::fs::write(&partial, content).map_err(Error::file("write", &partial))?;
    std::fs::rename(&partial, path).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::Workspace;

    #[test]
    fn the_workspace_is_found_from_a_test() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.localcloud().join("shims/__main__.py").is_file());
    }
}
