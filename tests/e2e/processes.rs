//! What runs on this machine, as the kernel tells: man 5 proc.

use std::collections::HashSet;
use std::path::Path;

/// A process, told from a later one with the same id by its birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) id: i32,
    birth: u64,
}

/// All that run. Those that have ended and wait for their parent do not.
fn all() -> impl Iterator<Item = (Process, i32)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let row = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The command's name, in parentheses, may contain anything.
        let fields: Vec<_> = row.rsplit_once(") ")?.1.split_whitespace().map(str::to_owned).collect();
        let (state, parent, birth) = (fields.first()?, fields.get(1)?, fields.get(19)?);
        let process = Process { id, birth: birth.parse().ok()? };
        (state != "Z").then_some((process, parent.parse().ok()?))
    })
}

/// Those of these that still run.
pub(crate) fn living(processes: &HashSet<Process>) -> HashSet<Process> {
    all().map(|(process, _)| process).filter(|process| processes.contains(process)).collect()
}

/// All that a process has started, and what those have started in turn.
pub(crate) fn descendants(ancestor: i32) -> HashSet<Process> {
    let processes: Vec<_> = all().collect();
    let mut found = HashSet::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        let children = processes.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process);
        parents.extend(children.filter(|child| found.insert(*child)).map(|child| child.id));
    }
    found
}

/// All but this one whose program, command line, environment or open files lie in a folder.
pub(crate) fn that_use(folder: &Path) -> HashSet<Process> {
    let me = i32::try_from(std::process::id()).unwrap();
    all().map(|(process, _)| process).filter(|process| process.id != me && uses(process.id, folder)).collect()
}

fn uses(id: i32, folder: &Path) -> bool {
    let wanted = folder.as_os_str().as_encoded_bytes();
    let mentions = |text: Vec<u8>| text.windows(wanted.len()).any(|part| part == wanted);
    let own = Path::new("/proc").join(id.to_string());
    let texts = ["cmdline", "environ"].into_iter().filter_map(|name| std::fs::read(own.join(name)).ok());
    let open = std::fs::read_dir(own.join("fd")).into_iter().flatten().filter_map(Result::ok);
    let links = ["cwd", "exe"].map(|name| own.join(name)).into_iter().chain(open.map(|entry| entry.path()));
    let mut linked = links.filter_map(|link| std::fs::read_link(link).ok());
    texts.into_iter().any(mentions) || linked.any(|target| target.starts_with(folder))
}

/// Function processes: those whose program lies in a cloud's folder.
pub(crate) fn functions(folder: &Path) -> Vec<Process> {
    let runs = |id: i32| {
        let program = std::fs::read_link(format!("/proc/{id}/exe")).ok();
        program.is_some_and(|program| program.starts_with(folder) && program.ends_with("bootstrap"))
    };
    all().map(|(process, _)| process).filter(|process| runs(process.id)).collect()
}
