//! Correcting a failure: a copy of it, with another content.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use eda::dead_letters::{Edited, FailedMessage, Retried};
use serde_json::{Value, json};

use super::find;
use crate::Verdict;
use crate::cli::Manner;
use crate::deployment::Deployment;
use crate::error::Error;
use crate::output::{confirm, print, print_json};

/// What becomes of the copy.
pub(super) struct Edit {
    pub(super) set: Vec<String>,
    pub(super) body: Option<PathBuf>,
    pub(super) retry: bool,
}

pub(super) async fn run(
    deployment: &Deployment,
    manner: Manner,
    id: &str,
    edit: &Edit,
) -> Result<Verdict, Error> {
    let desk = deployment.desk()?;
    let row = find(&desk, id).await?;
    let before = desk.body(&row).await?;
    let after = edited(&row, &before, edit)?;
    if after == before {
        return Err(Error::Usage("the message is as it was; nothing was done".to_owned()));
    }
    if manner.dry_run {
        let holds: Value = serde_json::from_str(&after).unwrap_or(Value::String(after));
        if manner.json {
            print_json(&json!({ "would": { "failureId": row.failure_id, "body": holds } }))?;
        } else {
            print(format_args!("{holds:#}\nWould make this copy; nothing was done."))?;
        }
        return Ok(Verdict::Well);
    }
    let verb = if edit.retry { "Make the copy and retry it" } else { "Make the copy" };
    confirm(manner, verb)?;
    let copy = match desk.edit(&row.failure_id, &after).await? {
        Edited::Copied(copy) => copy,
        Edited::Unknown => return Err(Error::NoFailure(id.to_owned())),
        Edited::Standing(status) => {
            let status = eda::step::State::name(status);
            return Err(Error::Usage(format!("{} is {status} and no longer to be edited", row.failure_id)));
        }
        Edited::Moved => return Err(Error::Usage("it changed meanwhile: look at it again".to_owned())),
    };
    let retried = if edit.retry { Some(desk.retry(&copy, &deployment.routes().await?).await?) } else { None };
    let (outcome, verdict) = match &retried {
        None => ("waits to be retried", Verdict::Well),
        Some(Retried::Sent) => ("is in its queue", Verdict::Well),
        Some(Retried::Done) => ("was done by its function", Verdict::Well),
        Some(Retried::FailedAgain(_)) => ("failed again", Verdict::Attention),
        Some(_) => ("was not sent", Verdict::Attention),
    };
    if manner.json {
        print_json(&json!({ "failureId": copy, "editOf": row.failure_id, "outcome": outcome }))?;
    } else {
        print(format_args!("{copy} {outcome}. The original {} is kept as replaced.", row.failure_id))?;
    }
    Ok(verdict)
}

fn edited(row: &FailedMessage, before: &str, edit: &Edit) -> Result<String, Error> {
    if let Some(path) = &edit.body {
        return read(path);
    }
    if !edit.set.is_empty() {
        return set(before, &edit.set);
    }
    let pretty: Option<Value> = serde_json::from_str(before).ok();
    let text = pretty.as_ref().map_or_else(|| before.to_owned(), |value| format!("{value:#}\n"));
    let written = in_editor(&row.failure_id, &text)?;
    if written == text {
        return Ok(before.to_owned());
    }
    // JSON stays JSON, without the white space that was for people.
    match (pretty, serde_json::from_str::<Value>(&written)) {
        (Some(_), Ok(value)) => Ok(value.to_string()),
        (Some(_), Err(source)) => Err(Error::Json { what: "what you wrote".to_owned(), source }),
        (None, _) => Ok(written),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Error::io("read standard input"))?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

/// Sets values by their JSON pointers (RFC 6901). A value that is no JSON is a text.
fn set(before: &str, changes: &[String]) -> Result<String, Error> {
    let document = serde_json::from_str(before);
    let mut document: Value = document.map_err(|source| Error::Json {
        what: "the message (it is not JSON, so write it whole with --body)".to_owned(),
        source,
    })?;
    for change in changes {
        let (pointer, value) = change.split_once('=').ok_or_else(|| {
            Error::Usage(format!("--set {change}: write POINTER=JSON, such as /detail/version=\"1.0\""))
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let place = match document.pointer_mut(pointer) {
            Some(place) => place,
            None => {
                let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
                let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
                let missing = || {
                    Error::Usage(format!(
                        "--set {change}: the message has no {pointer}, and nowhere to put it"
                    ))
                };
                parent.ok_or_else(missing)?.entry(field.to_owned()).or_insert(Value::Null)
            }
        };
        *place = value;
    }
    Ok(document.to_string())
}

/// Lets somebody edit a text in the editor of their choice.
fn in_editor(name: &str, text: &str) -> Result<String, Error> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.map_err(|_| {
        Error::Usage("there is no editor: set EDITOR, or say what to change with --set or --body".to_owned())
    })?;
    let path = std::env::temp_dir().join(format!("{name}-{}.json", std::process::id()));
    std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    let ended = command.args(words).arg(&path).status().map_err(Error::io(format!("run {editor}")));
    let written = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())));
    // It may hold an address.
    let _ = std::fs::remove_file(&path);
    if !ended?.success() {
        return Err(Error::Usage(format!("{editor} failed; nothing was done")));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn values_are_set_by_their_pointers() {
        let changes = ["/a/0=2".to_owned(), "/b=text".to_owned(), "/c={\"d\":1}".to_owned()];
        assert_eq!(set(r#"{"a":[1],"b":1}"#, &changes).unwrap(), r#"{"a":[2],"b":"text","c":{"d":1}}"#);
    }

    #[test]
    fn a_change_that_leads_nowhere_is_refused() {
        assert!(set("{}", &["/a/b=1".to_owned()]).is_err());
        assert!(set("{}", &["a".to_owned()]).is_err());
        assert!(set("no JSON", &["/a=1".to_owned()]).is_err());
    }
}
