//! `events --tree`: a process with its ancestors and its descendants.
//!
//! ```text
//! systemd
//! └─ sshd
//!    └─ bash ◀
//!       ├─ curl
//!       └─ sleep
//! ```

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use jiff::Timestamp;
use wanglou_api::fleet::v1::{ReadProcessTreeRequest, TreeProcess};

use super::words;
use crate::Done;
use crate::cli::Output;
use crate::connection::Fleet;
use crate::failure::one_line;
use crate::table::{Cell, Column, Table, Tone};
use crate::terminal::{Look, note, say, say_all};
use crate::text::{clean, width};
use crate::when::When;
use crate::{json, units};

const READ: &str = "read the process tree";
const COLUMNS: [Column; 7] = [
    Column::new("PROCESS").least(18),
    Column::new("PID").number(),
    Column::new("USER").least(5),
    Column::new("START"),
    Column::new("END"),
    Column::new("CONN").number().spare(1),
    Column::new("COMMAND").least(10),
];
/// Of a terminal, what indents take at most: a third.
const INDENT_PART: usize = 3;

/// Draws it.
pub(super) async fn run(
    fleet: &mut Fleet,
    id: &str,
    since: Option<When>,
    output: Output,
) -> Result<Done> {
    let now = Timestamp::now();
    let request = ReadProcessTreeRequest {
        entity_id: id.to_owned(),
        since_time: since.map(|since| since.moment(now)),
        max_processes: 0,
    };
    let told =
        fleet.call_events(READ, async |mut it| it.read_process_tree(request.clone()).await).await?;
    if told.processes.is_empty() {
        note(&format!("nothing is stored of a process {} in this time (--since)", one_line(id)));
        return Ok(Done::Badly);
    }
    match output {
        Output::Json => {
            for process in &told.processes {
                say(&json::line(&json::TreeProcess::from(process))?)?;
            }
        }
        Output::Table => {
            let look = Look::of_stdout();
            say_all(&table(&told.processes, id, look, now).lines(look.columns, look.colour))?;
        }
    }
    if told.truncated {
        let count = units::count(told.processes.len() as u64);
        note(&format!("there are more processes: these are the {count} nearest"));
    }
    Ok(Done::Well)
}

fn table(processes: &[TreeProcess], asked: &str, look: Look, now: Timestamp) -> Table {
    let most = look.columns.map_or(usize::MAX, |columns| columns / INDENT_PART);
    let mut table = Table::new(&COLUMNS);
    for (process, branch) in drawn(processes) {
        table.row(row(process, &shorten(&branch, most), process.entity_id == asked, now));
    }
    table
}

fn row(process: &TreeProcess, branch: &str, is_asked: bool, now: Timestamp) -> Vec<Cell> {
    let TreeProcess { name, executable, command_line, .. } = process;
    let name = [name, executable, &process.entity_id].into_iter().find(|name| !name.is_empty());
    let name = clean(name.map_or("?", String::as_str));
    let name = if is_asked {
        Cell::new(format!("{branch}{name} ◀"), Tone::Bold)
    } else {
        Cell::from(format!("{branch}{name}"))
    };
    let pid = if process.pid > 0 { process.pid.to_string() } else { String::new() };
    let connections = u64::from(process.connections);
    let connections = if connections > 0 { units::count(connections) } else { String::new() };
    vec![
        name,
        Cell::from(pid),
        Cell::from(&process.user_id),
        Cell::from(process.start_time.as_ref().and_then(|it| moment(it, now)).unwrap_or_default()),
        end(process),
        Cell::from(connections),
        Cell::from(if command_line.is_empty() { executable } else { command_line }),
    ]
}

/// How it ended, as far as that is known.
fn end(process: &TreeProcess) -> Cell {
    let (text, tone) = words::end(&process.signal, process.exit_code);
    if text.is_empty() && process.end_time.is_some() {
        return Cell::new("ended", Tone::Dim);
    }
    Cell::new(text, tone)
}

/// Of this day to the second, of others to the minute.
fn moment(of: &prost_types::Timestamp, now: Timestamp) -> Option<String> {
    let moment = units::moment(of)?;
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let form = if day(moment) == day(now) { "%H:%M:%S" } else { "%m-%d %H:%M" };
    Some(moment.strftime(form).to_string())
}

/// Each process with what stands before its name, parents before their children.
fn drawn(processes: &[TreeProcess]) -> Vec<(&TreeProcess, String)> {
    let known: HashSet<_> = processes.iter().map(|it| it.entity_id.as_str()).collect();
    let mut children: HashMap<&str, Vec<&TreeProcess>> = HashMap::new();
    let mut left = Vec::new();
    for process in processes {
        let parent = process.parent_entity_id.as_str();
        if known.contains(parent) && parent != process.entity_id {
            children.entry(parent).or_default().push(process);
        } else {
            left.push((process, String::new(), String::new()));
        }
    }
    left.reverse();
    let mut drawn = Vec::new();
    // Whose parents are each other's is reached from nowhere, and twice named is shown once.
    while let Some((process, branch, below)) = left.pop() {
        let kin = children.remove(process.entity_id.as_str()).unwrap_or_default();
        for (at, child) in kin.iter().enumerate().rev() {
            let is_last = at + 1 == kin.len();
            let (branch, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            left.push((child, format!("{below}{branch}"), format!("{below}{more}")));
        }
        drawn.push((process, branch));
    }
    drawn
}

/// Of a deep branch its end.
fn shorten(branch: &str, most: usize) -> String {
    let over = width(branch).saturating_sub(most);
    if over == 0 {
        return branch.to_owned();
    }
    // An ellipsis takes the place of one more; all of them are one column wide.
    format!("…{}", branch.chars().skip(over + 1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: &str, parent: &str) -> TreeProcess {
        TreeProcess {
            entity_id: id.to_owned(),
            parent_entity_id: parent.to_owned(),
            name: id.to_owned(),
            ..TreeProcess::default()
        }
    }

    fn lines(processes: &[TreeProcess], columns: usize) -> Vec<String> {
        let look = Look { columns: Some(columns), rows: None, colour: false };
        let table = table(processes, "bash", look, Timestamp::UNIX_EPOCH);
        table.lines(look.columns, false).into_iter().skip(1).collect()
    }

    #[test]
    fn children_stand_below_their_parents() {
        let mut processes = [("init", ""), ("sshd", "init"), ("bash", "sshd"), ("curl", "bash")]
            .map(|(id, parent)| process(id, parent))
            .to_vec();
        processes.push(process("cron", "init"));
        processes.push(process("sleep", "bash"));
        assert_eq!(
            lines(&processes, 80),
            ["init", "├─ sshd", "│  └─ bash ◀", "│     ├─ curl", "│     └─ sleep", "└─ cron"]
        );
    }

    #[test]
    fn a_deep_tree_fits_and_shows_its_names() {
        let ids: Vec<_> = (0..100).map(|n| format!("p{n}")).collect();
        let processes: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| process(id, n.checked_sub(1).map_or("", |n| &ids[n])))
            .collect();
        let lines = lines(&processes, 80);
        assert_eq!(lines.len(), 100);
        assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
        assert!(lines[99].starts_with('…') && lines[99].ends_with("└─ p99"), "{lines:#?}");
    }

    #[test]
    fn what_makes_no_tree_ends_all_the_same() {
        let circle = [process("a", "b"), process("b", "a"), process("c", "c")];
        assert_eq!(lines(&circle, 80), ["c"]);
        let twice = [process("a", ""), process("a", ""), process("b", "a")];
        assert_eq!(lines(&twice, 80), ["a", "└─ b", "a"]);
    }
}
