//! The documentation: what it names exists, and nothing that exists is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use syn::{Item, UseTree, Visibility};

use crate::inspect::{TEMPLATE, files_below};

/// The source's patterns, in its order.
const PATTERNS: [&str; 27] = [
    "Event types",
    "Event contracts",
    "Content-based routing",
    "Event filtering",
    "Event replay and archive",
    "Cross-account event routing",
    "Event transformation",
    "Event aggregation",
    "Event enrichment",
    "Event fork and join",
    "Event store with DynamoDB",
    "Materialized views",
    "Snapshots",
    "Choreography-based saga",
    "Orchestration-based saga",
    "Idempotency",
    "Event versioning",
    "Eventual consistency",
    "Error handling",
    "Message ordering",
    "Deduplication",
    "Backpressure handling",
    "Event replay",
    "Event time vs processing time",
    "Transactional outbox",
    "Event replay for testing",
    "Event mocking",
];

#[test]
fn all_patterns_are_listed_and_each_has_its_section() {
    let page = Page::read("docs/patterns.md");
    let overview = &page.tables[0];

    assert_eq!(overview.rows.iter().map(|row| row[1].text.as_str()).collect::<Vec<_>>(), PATTERNS);
    assert_eq!(page.headings[1..], PATTERNS);
    assert_eq!(sections().len(), PATTERNS.len(), "a table under each pattern");
    for row in &overview.rows {
        assert!(["yes", "partly", "not yet"].contains(&row[2].text.as_str()), "{}", row[1].text);
        let says_so = page.prose_under(&row[1].text).contains("Not yet");
        let incomplete = row[2].text != "yes";
        assert!(says_so || !incomplete, "{} does not say what is missing", row[1].text);
    }
}

#[test]
fn every_function_is_some_patterns_and_each_that_is_named_exists() {
    let exist: BTreeSet<_> = TEMPLATE.functions().into_values().map(|function| function.binary).collect();

    assert_eq!(named("functions"), exist, "left: named in docs/patterns.md, right: deployed");
}

#[test]
fn every_module_of_the_toolkit_is_some_patterns_and_each_that_is_named_exists() {
    let (eda, shop) = (Library::read("eda"), Library::read("shop"));
    let mut used = BTreeSet::new();
    for path in named("modules") {
        let (package, name) = path.split_once("::").unwrap();
        let library = if package == "eda" { &eda } else { &shop };
        assert_eq!(package, library.name, "{path}");
        assert!(library.has(name), "{path} is not public, or not there");
        if package == "eda" {
            used.insert(name.split("::").next().unwrap().to_owned());
        }
    }

    assert_eq!(used, eda.modules, "left: named in docs/patterns.md, right: public modules of eda");
}

#[test]
fn every_resource_that_a_pattern_names_is_deployed() {
    // Those that a parameter calls for too.
    let exist: BTreeSet<_> = TEMPLATE.document()["Resources"].as_object().unwrap().keys().cloned().collect();
    let missing: Vec<_> = named("template").difference(&exist).cloned().collect();

    assert!(missing.is_empty(), "the template has no {missing:?}");
}

#[test]
fn every_test_that_a_pattern_names_exists() {
    let tests = || sections().into_iter().filter_map(|mut rows| rows.remove("tests"));
    assert!(tests().count() > 0, "no pattern names a test");
    for cell in tests() {
        for (file, test) in cell.by_link() {
            let path = system_tests::workspace().join("docs").join(&file);
            let code = read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(is_test(&code, &test), "{file} has no test {test}");
        }
    }
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let workspace = system_tests::workspace();
    let mut pages = vec!["README.md".to_owned()];
    let docs = files_below(&workspace.join("docs"), "md");
    pages.extend(docs.iter().map(|page| page.strip_prefix(workspace).unwrap().to_str().unwrap().to_owned()));
    for name in &pages {
        let page = Page::read(name);
        let folder = workspace.join(name).parent().unwrap().to_owned();
        let own = page.links.iter().filter(|link| !link.contains("://"));
        for link in own {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(folder.join(file).exists(), "{name}: {link} leads nowhere");
            let anchors = page.headings.iter().map(|heading| anchor_of(heading));
            let here = file.is_empty();
            assert!(!here || anchors.into_iter().any(|own| own == anchor), "{name}: no heading is #{anchor}");
        }
    }
}

#[test]
fn the_readme_lists_the_templates_parameters_with_their_defaults() {
    let expected: BTreeMap<_, _> = TEMPLATE.document()["Parameters"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, parameter)| {
            let default = match &parameter["Default"] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            (name.clone(), default)
        })
        .collect();
    let readme = Page::read("README.md");
    let table = readme.tables.iter().find(|table| table.header[0].text == "parameter").unwrap();
    let documented: BTreeMap<_, _> =
        table.rows.iter().map(|row| (row[0].text.clone(), row[1].text.clone())).collect();

    assert_eq!(documented, expected, "left: README, right: template");
}

#[test]
fn the_readme_lists_every_problem_that_the_api_answers() {
    let workspace = system_tests::workspace();
    let code: String = ["crates/eda/src/http", "functions/place-order/src", "functions/get-order/src"]
        .iter()
        .flat_map(|folder| files_below(&workspace.join(folder), "rs"))
        .map(|file| read_to_string(file).unwrap())
        .collect();
    let answered: BTreeSet<_> = code.split('"').filter(|text| text.starts_with("urn:problem:")).collect();
    let readme = Page::read("README.md");
    let table = readme.tables.iter().find(|table| table.header[0].text == "status").unwrap();
    let documented: BTreeSet<_> = table.rows.iter().map(|row| row[1].text.as_str()).collect();

    assert_eq!(documented, answered, "left: README, right: code");
}

#[test]
fn the_readme_names_suites_that_exist() {
    let readme = Page::read("README.md");
    let table = readme.tables.iter().find(|table| table.header[0].text == "forgotten").unwrap();
    for suite in table.rows.iter().flat_map(|row| row[1].codes()) {
        assert!(system_tests::workspace().join("tests/contracts").join(&suite).is_file(), "no suite {suite}");
    }
}

/// The names that this row holds, over all patterns.
fn named(row: &str) -> BTreeSet<String> {
    sections().into_iter().filter_map(|mut rows| rows.remove(row)).flat_map(|cell| cell.codes()).collect()
}

/// The table under each pattern, by the row's first cell.
fn sections() -> Vec<BTreeMap<String, Cell>> {
    let page = Page::read("docs/patterns.md");
    let tables = page.tables.into_iter().filter(|table| table.header[0].text == "look at");
    let rows = tables.map(|table| {
        let rows: BTreeMap<_, _> =
            table.rows.into_iter().map(|row| (row[0].text.clone(), row[1].clone())).collect();
        let known = ["functions", "modules", "template", "tests"];
        assert!(rows.keys().all(|row| known.contains(&row.as_str())), "{:?}", rows.keys());
        assert!(rows.values().all(|cell| !cell.codes().is_empty()), "an empty row of {:?}", rows.keys());
        rows
    });
    rows.collect()
}

/// Where GitHub puts a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

/// Whether the code has a function of this name with an attribute on the line above, as tests have.
fn is_test(code: &str, name: &str) -> bool {
    let lines: Vec<_> = code.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let function = pair[1].strip_prefix("async ").unwrap_or(pair[1]).strip_prefix("fn ");
        let named = function.and_then(|rest| rest.split('(').next()) == Some(name);
        named && pair[0].starts_with("#[")
    })
}

/// A cell of a table.
#[derive(Debug, Default, Clone)]
struct Cell {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Link(String),
    Code(String),
}

impl Cell {
    fn codes(&self) -> Vec<String> {
        let codes = self.parts.iter().filter_map(|part| match part {
            Part::Code(code) => Some(code.clone()),
            Part::Link(_) => None,
        });
        codes.collect()
    }

    /// Each code with the link that comes before it.
    fn by_link(&self) -> Vec<(String, String)> {
        let mut link = None;
        let mut found = Vec::new();
        for part in &self.parts {
            match part {
                Part::Link(to) => link = Some(to),
                Part::Code(code) => {
                    let file = link.unwrap_or_else(|| panic!("no file is named for {code}"));
                    found.push((file.clone(), code.clone()));
                }
            }
        }
        found
    }
}

#[derive(Debug, Default)]
struct Table {
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

/// A Markdown page.
#[derive(Debug, Default)]
struct Page {
    headings: Vec<String>,
    tables: Vec<Table>,
    links: Vec<String>,
    /// By heading.
    prose: BTreeMap<String, String>,
}

impl Page {
    fn read(name: &str) -> Self {
        let text = read_to_string(system_tests::workspace().join(name)).unwrap();
        let mut page = Self::default();
        let mut cells: Vec<Cell> = Vec::new();
        let (mut heading, mut in_table) = (None, false);
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.headings.extend(heading.take()),
                Event::Start(Tag::Table(_)) => {
                    in_table = true;
                    page.tables.push(Table::default());
                }
                Event::End(TagEnd::Table) => in_table = false,
                Event::Start(Tag::TableCell) => cells.push(Cell::default()),
                Event::End(TagEnd::TableHead) => page.table().header = std::mem::take(&mut cells),
                Event::End(TagEnd::TableRow) => {
                    let row = std::mem::take(&mut cells);
                    page.table().rows.push(row);
                }
                Event::Start(Tag::Link { dest_url, .. }) => {
                    page.links.push(dest_url.to_string());
                    if let Some(cell) = cells.last_mut() {
                        cell.parts.push(Part::Link(dest_url.to_string()));
                    }
                }
                Event::Text(text) | Event::Code(text) if heading.is_some() => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&text));
                }
                Event::Code(code) if in_table => {
                    let cell = cells.last_mut().unwrap();
                    cell.text.push_str(&code);
                    cell.parts.push(Part::Code(code.to_string()));
                }
                Event::Text(text) if in_table => cells.last_mut().unwrap().text.push_str(&text),
                Event::Text(text) => {
                    let under = page.headings.last().cloned().unwrap_or_default();
                    page.prose.entry(under).or_default().push_str(&text);
                }
                _ => {}
            }
        }
        page
    }

    fn table(&mut self) -> &mut Table {
        self.tables.last_mut().unwrap()
    }

    fn prose_under(&self, heading: &str) -> &str {
        self.prose.get(heading).map_or("", String::as_str)
    }
}

/// The public names of a crate.
struct Library {
    name: &'static str,
    modules: BTreeSet<String>,
    /// Public constants and the like at the crate's root.
    root: BTreeSet<String>,
    /// By module: what it declares or re-exports, in the module's own file.
    items: BTreeMap<String, BTreeSet<String>>,
}

impl Library {
    fn read(name: &'static str) -> Self {
        let source = system_tests::workspace().join("crates").join(name).join("src");
        let root = syn::parse_file(&read_to_string(source.join("lib.rs")).unwrap()).unwrap();
        let is_module = |item: &&Item| matches!(item, Item::Mod(module) if public(&module.vis));
        let modules: BTreeSet<_> = root.items.iter().filter(is_module).flat_map(names_of).collect();
        let items = modules.iter().map(|module| (module.clone(), public_names(&source, module))).collect();
        Self { name, modules, root: root.items.iter().flat_map(names_of).collect(), items }
    }

    /// Whether it has `module` or `module::Item` or an item at its root.
    fn has(&self, path: &str) -> bool {
        match path.split_once("::") {
            None => self.root.contains(path),
            Some((module, item)) => self.items.get(module).is_some_and(|items| items.contains(item)),
        }
    }
}

fn public_names(source: &Path, module: &str) -> BTreeSet<String> {
    let file = [source.join(format!("{module}.rs")), source.join(module).join("mod.rs")];
    let file = file.iter().find(|file| file.is_file()).unwrap();
    let file = syn::parse_file(&read_to_string(file).unwrap()).unwrap();
    file.items.iter().flat_map(names_of).collect()
}

/// The names that an item makes public.
fn names_of(item: &Item) -> Vec<String> {
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, item.ident.to_string()),
        Item::Enum(item) => (&item.vis, item.ident.to_string()),
        Item::Fn(item) => (&item.vis, item.sig.ident.to_string()),
        Item::Mod(item) => (&item.vis, item.ident.to_string()),
        Item::Struct(item) => (&item.vis, item.ident.to_string()),
        Item::Trait(item) => (&item.vis, item.ident.to_string()),
        Item::Use(item) if public(&item.vis) => return leaves(&item.tree),
        _ => return Vec::new(),
    };
    if public(visibility) { vec![name] } else { Vec::new() }
}

fn public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn leaves(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Path(path) => leaves(&path.tree),
        UseTree::Name(name) => vec![name.ident.to_string()],
        UseTree::Rename(rename) => vec![rename.rename.to_string()],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Glob(_) => Vec::new(),
    }
}
