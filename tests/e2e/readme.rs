//! Every command of the README is run by this suite or by CI, or stands in a block that is marked as being for AWS.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// How a command is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// By a test of this suite that runs the same.
    Tested(&'static str),
    /// CI itself is this command.
    Ci,
    /// Here, to its end.
    Run,
    /// Prepares the shell or the checkout.
    Setup,
}

/// Beginnings of commands; the longest that fits counts.
const COMMANDS: &[(&str, Cover)] = &[
    (
        "cargo xtask demo",
        Cover::Tested("two_demos_at_once_do_not_disturb_each_other_and_leave_nothing_behind"),
    ),
    ("cargo xtask up", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    ("cargo xtask down", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    ("cargo xtask deploy", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    ("cargo xtask invoke", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    (
        "cargo xtask rebuild",
        Cover::Tested("views_are_built_anew_under_traffic_and_readers_are_sent_there_and_back"),
    ),
    (
        "cargo xtask ops",
        Cover::Tested("poison_on_every_queue_is_found_explained_edited_and_retried_to_success"),
    ),
    ("cargo lambda watch", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    ("cargo lambda invoke", Cover::Tested("a_cloud_that_is_up_is_found_used_updated_and_stopped")),
    ("curl", Cover::Tested("an_order_is_accepted_can_be_read_at_once_and_is_confirmed")),
    ("cargo xtask test", Cover::Ci),
    // Its campaigns are the tests of tests/simulation.
    ("cargo xtask simulate", Cover::Ci),
    // Its explorations are the tests of tests/model, as is the program that it runs.
    ("cargo xtask model", Cover::Ci),
    ("cargo xtask contracts --check", Cover::Ci),
    ("cargo test", Cover::Ci),
    ("cargo fmt", Cover::Ci),
    ("cargo clippy", Cover::Ci),
    ("sam validate", Cover::Ci),
    ("cargo xtask --help", Cover::Run),
    ("cargo xtask help", Cover::Run),
    ("git clone", Cover::Setup),
    ("cd ", Cover::Setup),
    ("export PATH=", Cover::Setup),
];

fn readme() -> String {
    std::fs::read_to_string(system_tests::workspace().join("README.md")).unwrap()
}

/// The commands of its shell blocks, continued lines joined, comments and a session's output left out. Those of blocks marked
/// `sh aws` need an account.
fn commands(markdown: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut block: Option<&str> = None;
    let mut continued = String::new();
    for line in markdown.lines() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language) };
            continue;
        }
        let text = match block {
            Some("sh" | "bash" | "shell") => line,
            Some("console") if !continued.is_empty() => line,
            Some("console") => line.strip_prefix("$ ").unwrap_or_default(),
            _ => continue,
        };
        let text = text.split(" #").next().unwrap_or_default().trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match text.strip_suffix('\\') {
            Some(part) => continued.push_str(part),
            None => {
                let whole = std::mem::take(&mut continued) + text;
                commands.extend(whole.split(" && ").map(|command| command.trim().to_owned()));
            }
        }
    }
    commands
}

fn cover(command: &str) -> Option<Cover> {
    // A variable that takes what a command prints.
    let inner = command.split_once("=\"$(").filter(|_| command.starts_with("export "));
    let text = format!("{} ", inner.map_or(command, |(_, inner)| inner));
    let fitting = COMMANDS.iter().filter(|(beginning, _)| text.starts_with(beginning));
    fitting.max_by_key(|(beginning, _)| beginning.len()).map(|(_, cover)| *cover)
}

#[test]
fn every_command_of_the_readme_is_accounted_for() {
    let commands = commands(&readme());
    assert!(commands.iter().any(|command| command.starts_with("cargo xtask demo")), "{commands:?}");
    let unknown: Vec<_> = commands.iter().filter(|command| cover(command).is_none()).collect();
    assert!(unknown.is_empty(), "nobody runs {unknown:#?}");
}

#[test]
fn the_tests_that_cover_commands_exist() {
    let mut suite = String::new();
    for entry in std::fs::read_dir(system_tests::workspace().join("tests/e2e")).unwrap() {
        suite += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    for (command, cover) in COMMANDS {
        if let Cover::Tested(test) = cover {
            assert!(suite.contains(&format!("fn {test}()")), "{command}: there is no test {test}");
        }
    }
}

#[test]
fn options_in_the_readme_are_known() {
    for command in commands(&readme()) {
        let Some(arguments) = command.strip_prefix("cargo xtask ") else { continue };
        let words: Vec<_> = arguments.split_whitespace().take_while(|word| *word != ">").collect();
        let help = xtask(&[words[0], "--help"]);
        let known: BTreeSet<_> = help.split(|letter: char| letter.is_whitespace() || letter == ',').collect();
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let name = option.split('=').next().unwrap_or_default();
            assert!(known.contains(name), "{command}: {name} is unknown");
        }
    }
}

#[test]
fn commands_that_only_tell_something_work() {
    let mut run: Vec<_> = commands(&readme());
    run.retain(|command| cover(command) == Some(Cover::Run));
    run.push("cargo xtask --help".to_owned());
    for command in run {
        let words: Vec<_> = command.split_whitespace().skip(2).collect();
        assert!(xtask(&words).contains("Usage"), "{command}");
    }
}

/// What a command prints.
fn xtask(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("xtask").args(arguments).current_dir(system_tests::workspace()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "cargo xtask {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn commands_are_read_from_shell_blocks_only() {
    let text = "a\n```sh\n# no\none --x \\\n  two # why\na=1 b && c\n```\n```json\n{}\n```\n```console\n$ three\nsaid\n```";
    assert_eq!(commands(text), ["one --x two", "a=1 b", "c", "three"]);
    assert_eq!(commands("```sh aws\nsam delete\n```"), [""; 0]);
    assert_eq!(cover("cd x"), Some(Cover::Setup));
    assert!(matches!(cover("export A=\"$(cargo xtask up --json | b)\""), Some(Cover::Tested(_))));
    assert_eq!(cover("sam deploy"), None);
}
