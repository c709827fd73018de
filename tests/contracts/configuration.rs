//! Environment variables: what the template sets, the function reads, and the other way round.
//!
//! A function reads the variables of the structs that derive `Envconfig` in its package, of those nested in them,
//! wherever in the workspace they are, of the one that it names as its `Config`, and of the serving layer it chooses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Field, Item, Lit, Meta, Token, Type};

use crate::inspect::{TEMPLATE, files_below};

#[test]
fn every_variable_that_the_template_sets_is_read_by_the_function() {
    let workspace = Workspace::read();
    for function in TEMPLATE.functions().values() {
        let read = workspace.variables_of(&function.binary);
        let set: BTreeSet<_> = function.environment.keys().cloned().collect();
        let unread: Vec<_> = set.iter().filter(|name| !read.contains_key(*name)).collect();

        assert!(unread.is_empty(), "{} never reads {unread:?}", function.binary);
    }
}

#[test]
fn every_variable_that_a_function_needs_is_set_by_the_template() {
    let workspace = Workspace::read();
    for function in TEMPLATE.functions().values() {
        let missing: Vec<_> = workspace
            .variables_of(&function.binary)
            .into_iter()
            .filter(|(name, needed)| *needed == Needed::Yes && !function.environment.contains_key(name))
            .map(|(name, _)| name)
            .collect();

        assert!(missing.is_empty(), "{} needs {missing:?}, which the template does not set", function.binary);
    }
}

#[test]
fn a_variable_that_names_a_resource_names_the_one_it_says() {
    for function in TEMPLATE.functions().values() {
        for (variable, value) in &function.environment {
            let spoken: String = value
                .chars()
                .flat_map(|letter| if letter.is_uppercase() { vec!['_', letter] } else { vec![letter] })
                .collect::<String>()
                .trim_start_matches('_')
                .to_uppercase();
            let agrees = match variable.as_str() {
                name if name.ends_with("_TABLE") => spoken == *name,
                name if name.ends_with("_BUS_NAME") => format!("{spoken}_NAME") == *name,
                "DEAD_LETTER_QUEUE_URL" => {
                    *value == function.logical_id.replace("Function", "DeadLetterQueue")
                }
                "QUEUE_URL" => *value == function.logical_id.replace("Function", "Queue"),
                _ => true,
            };

            assert!(agrees, "{}: {variable} is {value}", function.binary);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Yes,
    /// It has a default or is an `Option`.
    No,
}

/// What a struct that derives `Envconfig` reads.
#[derive(Debug, Default, Clone)]
struct Config {
    variables: BTreeMap<String, Needed>,
    nested: Vec<String>,
}

struct Workspace {
    /// By the name of their type.
    shared: BTreeMap<String, Config>,
    /// By package, then by the name of their type.
    functions: BTreeMap<String, BTreeMap<String, Config>>,
}

impl Workspace {
    fn read() -> Self {
        let crates = ["eda", "shop"].map(|name| system_tests::workspace().join("crates").join(name));
        let shared: BTreeMap<_, _> = crates.iter().flat_map(|package| configs_in(package)).collect();
        assert!(shared.contains_key("ParkingConfig"), "no configuration is found in the crates");
        let functions = system_tests::function_folders()
            .unwrap()
            .iter()
            .map(|folder| (folder.file_name().unwrap().to_str().unwrap().to_owned(), configs_in(folder)))
            .collect();
        Self { shared, functions }
    }

    fn variables_of(&self, package: &str) -> BTreeMap<String, Needed> {
        let own = self.functions.get(package).unwrap_or_else(|| panic!("{package} has no package"));
        let mut variables = BTreeMap::new();
        let mut open: Vec<&Config> = own.values().collect();
        open.extend(borrowed(package).iter().filter_map(|name| self.shared.get(name)));
        while let Some(config) = open.pop() {
            variables.extend(config.variables.clone());
            open.extend(config.nested.iter().map(|name| {
                own.get(name)
                    .or_else(|| self.shared.get(name))
                    .unwrap_or_else(|| panic!("{package}: the nested configuration {name} is nowhere"))
            }));
        }
        variables
    }
}

/// The configurations that a function reads though they are not its own: the one named in `type Config = …;`, where
/// metrics go, and where a queue's poison goes.
fn borrowed(package: &str) -> Vec<String> {
    let source = system_tests::workspace().join("functions").join(package).join("src");
    let read = |file: &str| std::fs::read_to_string(source.join(file)).unwrap();
    let lib = read("lib.rs");
    let named = lib.split_once("type Config = ").and_then(|(_, rest)| rest.split_once(';'));
    let mut borrowed = vec!["TelemetryConfig".to_owned()];
    borrowed.extend(named.map(|(name, _)| name.to_owned()));
    let main = read("main.rs");
    let layers = ["queue", "queue_batches", "long_queue", "ordered_queue", "saga_step"];
    if layers.iter().any(|layer| main.contains(&format!("serve::{layer}::<"))) {
        borrowed.push("ParkingConfig".to_owned());
    }
    if main.contains("serve::facts::<") {
        borrowed.push("FactsConfig".to_owned());
    }
    if main.contains("serve::ordered_queue::<") {
        borrowed.push("SequencesConfig".to_owned());
    }
    borrowed
}

fn configs_in(package: &Path) -> BTreeMap<String, Config> {
    files_below(&package.join("src"), "rs")
        .iter()
        .flat_map(|file| syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap().items)
        .filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        })
        .map(|item| (item.ident.to_string(), config_of(item.fields.iter())))
        .filter(|(_, config)| !config.variables.is_empty() || !config.nested.is_empty())
        .collect()
}

fn config_of<'a>(fields: impl Iterator<Item = &'a Field>) -> Config {
    let mut config = Config::default();
    for field in fields {
        let settings = field.attrs.iter().filter(|attribute| attribute.path().is_ident("envconfig"));
        for setting in settings.map(settings_of) {
            let optional = type_name(&field.ty) == "Option" || setting.has_default;
            if setting.nested {
                config.nested.push(type_name(&field.ty));
            } else if let Some(variable) = setting.from {
                config.variables.insert(variable, if optional { Needed::No } else { Needed::Yes });
            }
        }
    }
    config
}

#[derive(Default)]
struct Settings {
    from: Option<String>,
    has_default: bool,
    nested: bool,
}

/// The words of `#[envconfig(from = "NAME", default = "…")]` and `#[envconfig(nested)]`.
fn settings_of(attribute: &Attribute) -> Settings {
    let mut settings = Settings::default();
    let words = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap();
    for word in words {
        settings.nested |= word.path().is_ident("nested");
        settings.has_default |= word.path().is_ident("default");
        if let Meta::NameValue(pair) = &word
            && pair.path.is_ident("from")
            && let Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) = &pair.value
        {
            settings.from = Some(name.value());
        }
    }
    settings
}

fn type_name(kind: &Type) -> String {
    match kind {
        Type::Path(path) => path.path.segments.last().unwrap().ident.to_string(),
        _ => String::new(),
    }
}
