//! What happened, in the words of the last column.

use wanglou_api::event::v1::{Event, Process};

use super::line::Line;
use crate::table::Tone;

/// What stands in the column of actions, and how.
pub(super) fn action(action: &str) -> (&str, Tone) {
    match action {
        "existing_process" => ("existing", Tone::Dim),
        "exec" => (action, Tone::Good),
        "uid_change" => ("uid", Tone::Notice),
        "gid_change" => ("gid", Tone::Notice),
        "container_seen" => ("container", Tone::Notice),
        "gap" | "alert" => (action, Tone::Bad),
        "fork" | "end" | "ledger" | "flow" => (action, Tone::Dim),
        "existing_connection" => ("open", Tone::Dim),
        "listen" => (action, Tone::Notice),
        "connection_attempted" => ("connect", Tone::Good),
        "connection_accepted" => ("accept", Tone::Good),
        "disconnect_received" => ("close", Tone::Dim),
        _ => (action, Tone::Plain),
    }
}

/// Its short name, or what it executes.
pub(super) fn name(process: &Process) -> &str {
    process.name.as_deref().or(process.executable.as_deref()).unwrap_or("-")
}

/// What was executed: the file's own path where the first argument would hide it, then the arguments.
pub(super) fn command(event: &Event, process: &Process, action: &str, line: &mut Line) {
    let marks = event.wanglou.as_ref().and_then(|it| it.executable).unwrap_or_default();
    let executable = process.executable.as_deref().unwrap_or_default();
    let first = process.args.first().map_or("", String::as_str);
    let is_hidden = !executable.is_empty() && file_name(first) != file_name(executable);
    let (is_deleted, is_memfd) = (marks.deleted == Some(true), marks.memfd == Some(true));
    if is_hidden || is_deleted || is_memfd {
        let mark = match (is_memfd, is_deleted) {
            (true, _) => " memfd",
            (false, true) => " deleted",
            (false, false) => "",
        };
        line.put(&format!("[{}{mark}] ", short(executable)), Tone::Notice);
    }
    let tone = if action == "exec" { Tone::Plain } else { Tone::Dim };
    match &process.args[..] {
        [] => line.put(process.name.as_deref().unwrap_or("-"), tone),
        args => line.put(&args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" "), tone),
    }
    if process.args_truncated == Some(true) {
        let missing = process.args_omitted.and_then(|omitted| omitted.bytes);
        let cut = missing.map_or(" (cut)".to_owned(), |bytes| format!(" ({bytes} bytes cut)"));
        line.put(&cut, Tone::Notice);
    }
}

/// An argument as a shell would take it: what a space would tear apart, and what is empty, is quoted.
fn quoted(arg: &str) -> String {
    if !arg.is_empty() && !arg.contains([' ', '\'', '"']) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}

/// Who made a new process.
pub(super) fn creator(process: &Process, line: &mut Line) {
    let Some(parent) = &process.parent else { return };
    let pid = parent.pid.map(|pid| pid.to_string());
    let words = [Some(" by"), parent.name.as_deref(), pid.as_deref()];
    line.put(&words.into_iter().flatten().collect::<Vec<_>>().join(" "), Tone::Dim);
}

/// How it ended, and what it cost.
pub(super) fn ending(process: &Process, line: &mut Line) {
    let (text, tone) = end(process.signal.as_deref().unwrap_or_default(), process.exit_code);
    if !text.is_empty() {
        line.put(&format!(" {text}"), tone);
    }
    if let Some(cpu) = process.cpu_ns {
        let ms = cpu as f64 / 1e6;
        let digits = usize::from(ms < 10.0);
        line.put(&format!("  {ms:.digits$} ms"), Tone::Dim);
    }
    if let Some(rss) = process.max_rss_bytes {
        line.put(&format!("  {:.1} MB", rss as f64 / 1e6), Tone::Dim);
    }
}

/// `SIGKILL`, `exit 1`, or nothing if that is not known.
pub(super) fn end(signal: &str, exit_code: Option<i32>) -> (String, Tone) {
    match (signal, exit_code) {
        ("", Some(0)) => ("exit 0".to_owned(), Tone::Dim),
        ("", Some(code)) => (format!("exit {code}"), Tone::Bad),
        ("", None) => (String::new(), Tone::Plain),
        (signal, _) => (signal.to_owned(), Tone::Bad),
    }
}

/// Which ids became which.
pub(super) fn changes(event: &Event, line: &mut Line) {
    let mut change = |name: &str, old: Option<&String>, new: Option<&String>| {
        if let Some(new) = new.filter(|_| old != new) {
            line.put(&format!(" {name} {} → {new}", old.map_or("?", String::as_str)), Tone::Notice);
        }
    };
    if let Some(user) = &event.user
        && let Some(new) = &user.changes
    {
        change("uid", user.id.as_ref(), new.id.as_ref());
        let effective = user.effective.as_ref().and_then(|it| it.id.as_ref());
        change("euid", effective, new.effective.as_ref().and_then(|it| it.id.as_ref()));
    }
    if let Some(group) = &event.group
        && let Some(new) = &group.changes
    {
        change("gid", group.id.as_ref(), new.id.as_ref());
        let effective = group.effective.as_ref().and_then(|it| it.id.as_ref());
        change("egid", effective, new.effective.as_ref().and_then(|it| it.id.as_ref()));
    }
}

/// A path without its folder where that is a usual one: on a narrow terminal it would hide the rest.
fn short(executable: &str) -> &str {
    const USUAL: [&str; 6] =
        ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];
    match executable.rsplit_once('/') {
        Some((folder, name)) if USUAL.contains(&folder) => name,
        _ => executable,
    }
}

fn file_name(path: &str) -> &str {
    // A login shell's first argument begins with a dash.
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_prefix('-').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use wanglou_api::event::v1::{EffectiveUser, ParentProcess, User, UserChanges};

    use super::*;

    fn shown(put: impl FnOnce(&mut Line)) -> String {
        let mut line = Line::default();
        put(&mut line);
        line.finish(None, false)
    }

    fn executed(executable: &str, args: &[&str]) -> String {
        let process = Process {
            executable: Some(executable.to_owned()),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..Process::default()
        };
        shown(|line| command(&Event::default(), &process, "exec", line))
    }

    #[test]
    fn a_first_argument_that_hides_the_file_does_not() {
        assert_eq!(executed("/tmp/miner", &["[kworker/0:1]"]), "[/tmp/miner] [kworker/0:1]");
        assert_eq!(executed("/usr/bin/dash", &["/bin/sh"]), "[dash] /bin/sh");
        assert_eq!(executed("/usr/bin/bash", &["-bash"]), "-bash");
        assert_eq!(
            executed("/bin/sh", &["sh", "-c", "echo 'a  b'", "", "\x1b[2J"]),
            r"sh -c 'echo '\''a  b'\''' '' \u{1b}[2J"
        );
    }

    #[test]
    fn an_end_says_how_and_what_it_cost() {
        let process = Process {
            exit_code: Some(1),
            cpu_ns: Some(1_234_567_890),
            max_rss_bytes: Some(34_100_000),
            ..Process::default()
        };
        assert_eq!(shown(|line| ending(&process, line)), " exit 1  1235 ms  34.1 MB");
        let killed = Process { signal: Some("SIGKILL".to_owned()), exit_code: None, ..process };
        assert!(shown(|line| ending(&killed, line)).starts_with(" SIGKILL  "));
    }

    #[test]
    fn creators_and_changes_are_named() {
        let parent =
            ParentProcess { pid: Some(7), name: Some("sh".to_owned()), ..ParentProcess::default() };
        let process = Process { parent: Some(parent), ..Process::default() };
        assert_eq!(shown(|line| creator(&process, line)), " by sh 7");
        let root = || Some(EffectiveUser { id: Some("0".to_owned()) });
        let user = User {
            id: Some("1000".to_owned()),
            effective: root(),
            changes: Some(UserChanges { id: Some("0".to_owned()), effective: root() }),
        };
        let event = Event { user: Some(user), ..Event::default() };
        assert_eq!(shown(|line| changes(&event, line)), " uid 1000 → 0");
    }
}
