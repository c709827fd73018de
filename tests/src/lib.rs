//! Support shared by the test suites of this package.

use std::path::{Path, PathBuf};

use eda::testing::template::{Template, TemplateError};

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The template of the stack, with the default values of its parameters.
///
/// # Errors
/// [`TemplateError`] where it cannot be read.
pub fn template() -> Result<Template, TemplateError> {
    Template::load(workspace().join("template.yaml"))
}

/// The folder of each function's package, which bears the function's name.
///
/// # Errors
/// Where `functions/` cannot be listed.
pub fn function_folders() -> std::io::Result<Vec<PathBuf>> {
    let mut folders = std::fs::read_dir(workspace().join("functions"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    folders.retain(|path| path.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}
