//! `docs/patterns.md` names nothing that is not there, and leaves no pattern and no function out.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::inspect::TEMPLATE;

/// The patterns of the source, in its order.
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
    "Event store",
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

/// A cell: its text, and what stands in it as code.
#[derive(Default, Clone)]
struct Cell {
    text: String,
    named: Vec<String>,
}

/// The rows of the page's table, without its head.
fn rows() -> Vec<Vec<Cell>> {
    let page = std::fs::read_to_string(system_tests::workspace().join("docs/patterns.md")).unwrap();
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), Cell::default());
    for event in Parser::new_ext(&page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableCell) => cell = Cell::default(),
            Event::Text(text) => cell.text.push_str(&text),
            Event::Code(code) => cell.named.push(code.into_string()),
            Event::End(TagEnd::TableCell) => row.push(std::mem::take(&mut cell)),
            Event::End(TagEnd::TableHead) => row.clear(),
            Event::End(TagEnd::TableRow) => rows.push(std::mem::take(&mut row)),
            _ => {}
        }
    }
    rows
}

/// Everything that the table's column of this number names.
fn named(column: usize) -> BTreeSet<String> {
    rows().iter().flat_map(|row| row[column].named.clone()).collect()
}

#[test]
fn every_pattern_of_the_source_has_its_row() {
    let patterns: Vec<_> = rows().iter().map(|row| row[0].text.clone()).collect();
    assert_eq!(patterns, PATTERNS);
}

#[test]
fn a_pattern_without_functions_says_so() {
    for row in rows() {
        let (functions, note) = (&row[1], &row[5].text);
        if functions.named.is_empty() {
            assert!(functions.text == "-" && note.starts_with("nothing yet"), "{}: {note}", row[0].text);
        }
    }
}

#[test]
fn the_functions_that_are_named_are_the_functions_that_there_are() {
    let deployed: BTreeSet<_> = TEMPLATE.functions().values().map(|function| function.binary.clone()).collect();
    assert_eq!(named(1), deployed);
}

#[test]
fn the_files_that_are_named_exist() {
    for path in named(2) {
        assert!(system_tests::workspace().join(&path).is_file(), "{path} is no file");
    }
}

#[test]
fn the_resources_that_are_named_are_in_the_template() {
    let resources: BTreeSet<_> = TEMPLATE.all_resources().map(|resource| resource.logical_id).collect();
    let missing: Vec<_> = named(3).into_iter().filter(|name| !resources.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_tests_that_are_named_exist() {
    for name in named(4) {
        let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("{name} names no file"));
        let source = std::fs::read_to_string(system_tests::workspace().join(file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}()")), "{file} has no test {test}");
    }
}
