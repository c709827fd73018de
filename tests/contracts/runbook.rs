//! The runbook: each alarm has its section, and no section is about an alarm that is not there.

use std::collections::BTreeSet;

use eda::testing::template::list;

use crate::inspect::{TEMPLATE, files_below, text};

/// What the sections are about: the name of an alarm, or how names of alarms end, after a star.
fn sections() -> Vec<String> {
    let runbook = std::fs::read_to_string(system_tests::workspace().join("docs/runbook.md")).unwrap();
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|heading| heading.replace('\\', "")).collect()
}

fn alarms() -> BTreeSet<String> {
    let alarms = TEMPLATE.resources("AWS::CloudWatch::Alarm").into_iter();
    alarms.map(|alarm| alarm.logical_id).collect()
}

fn is_about(section: &str, alarm: &str) -> bool {
    match section.strip_prefix('*') {
        Some(end) => alarm.ends_with(end),
        None => alarm == section,
    }
}

#[test]
fn each_alarm_has_one_section_of_the_runbook() {
    for alarm in alarms() {
        let found: Vec<_> = sections().into_iter().filter(|section| is_about(section, &alarm)).collect();
        assert_eq!(found.len(), 1, "{alarm}: {found:?}");
    }
}

#[test]
fn each_section_of_the_runbook_is_about_an_alarm() {
    for section in sections() {
        assert!(alarms().iter().any(|alarm| is_about(&section, alarm)), "there is no alarm {section}");
    }
}

#[test]
fn each_alarm_says_where_the_runbook_is_about_it() {
    for alarm in TEMPLATE.resources("AWS::CloudWatch::Alarm") {
        let id = &alarm.logical_id;
        let section = sections().into_iter().find(|section| is_about(section, id)).unwrap();
        let anchor = section.to_lowercase().replace('*', "");
        let description = text(&alarm.properties["AlarmDescription"]);
        assert!(
            description.ends_with(&format!("(docs/runbook.md#{anchor})")),
            "{id}: {description} does not end with (docs/runbook.md#{anchor})"
        );
    }
}

#[test]
fn a_saved_query_looks_at_the_logs_of_every_function() {
    let groups = TEMPLATE.functions().into_values();
    let groups: BTreeSet<_> =
        groups.map(|function| text(&function.properties["LoggingConfig"]["LogGroup"]).to_owned()).collect();
    for query in TEMPLATE.resources("AWS::Logs::QueryDefinition") {
        let asked = list(&query.properties["LogGroupNames"]).map(|group| text(group).to_owned());
        let asked: BTreeSet<_> = asked.collect();
        assert_eq!(asked, groups, "{}: left: its groups, right: those of functions", query.logical_id);
    }
}

#[test]
fn the_fields_that_a_saved_query_looks_at_are_logged() {
    let sources: String = ["crates/eda/src", "functions"]
        .iter()
        .flat_map(|folder| files_below(&system_tests::workspace().join(folder), "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let mut looked_at = BTreeSet::new();
    for query in TEMPLATE.resources("AWS::Logs::QueryDefinition") {
        let words = text(&query.properties["QueryString"])
            .split(|letter: char| !letter.is_alphanumeric() && letter != '.');
        looked_at.extend(
            words.filter(|word| word.starts_with("span.") || word.starts_with("fields.")).map(str::to_owned),
        );
    }
    assert!(looked_at.len() >= 5, "{looked_at:?}");
    for field in looked_at.iter().filter(|field| *field != "fields.message") {
        let name = field.rsplit('.').next().unwrap();
        let logged = [format!("{name} = "), format!("%{name}"), format!("?{name}")];
        assert!(logged.iter().any(|way| sources.contains(way)), "nobody logs {field}");
    }
}

#[test]
fn the_queries_that_the_runbook_names_are_saved() {
    let runbook = std::fs::read_to_string(system_tests::workspace().join("docs/runbook.md")).unwrap();
    for query in TEMPLATE.resources("AWS::Logs::QueryDefinition") {
        let name = query.properties["Name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert!(runbook.contains(&format!("`{name}`")), "the runbook never says what {name} is for");
    }
}

#[test]
fn the_dashboard_shows_metrics_of_this_stack() {
    let dashboards = TEMPLATE.resources("AWS::CloudWatch::Dashboard");
    let [dashboard] = dashboards.as_slice() else { panic!("one dashboard is expected") };
    let body: serde_json::Value =
        serde_json::from_str(dashboard.properties["DashboardBody"].as_str().unwrap()).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    assert!(widgets.len() >= 6, "{} widgets", widgets.len());
    for widget in widgets {
        assert!(widget["properties"]["title"].is_string(), "{widget}");
    }
    let sources: String = ["crates/eda/src", "functions"]
        .iter()
        .flat_map(|folder| files_below(&system_tests::workspace().join(folder), "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let shown = widgets.iter().flat_map(|widget| list(&widget["properties"]["metrics"]));
    for metric in shown.filter(|metric| metric[0] == "AWS::StackName") {
        // A field of a batch's report, written in capitals, or a figure by its own name.
        let (name, function) = (text(&metric[1]), text(&metric[3]));
        let field = name.chars().fold(String::new(), |field, letter| match letter.is_uppercase() {
            true if !field.is_empty() => format!("{field}_{}", letter.to_lowercase()),
            _ => format!("{field}{}", letter.to_lowercase()),
        });
        let reported =
            sources.contains(&format!("\"{name}\"")) || sources.contains(&format!("    {field}: "));
        assert!(reported || sources.contains(&format!("{field}: Duration")), "nobody reports {name}");
        assert!(TEMPLATE.function(function).is_some(), "there is no function {function}");
    }
}
