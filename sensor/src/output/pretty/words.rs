//! What happened, in the words of the last column.

use wanglou_api::event::{Event, Process, Strings, Wanglou};

use super::super::canvas::{Canvas, Style};

/// What was executed: the file's own path where the first argument would hide it, then the arguments.
pub(super) fn command(
    process: &Process<'_>,
    wanglou: &Wanglou<'_>,
    style: Style,
    line: &mut Canvas<'_>,
) {
    let first = process.args.and_then(|args| args.iter().next()).unwrap_or_default();
    let marks = wanglou.executable.unwrap_or_default();
    let executable = process.executable.unwrap_or_default();
    let hidden = !executable.is_empty() && file_name(first) != file_name(executable);
    if hidden || marks.deleted == Some(true) || marks.memfd == Some(true) {
        line.style(Style::Notice);
        line.text("[");
        line.text(short(executable));
        if marks.memfd == Some(true) {
            line.text(" memfd");
        } else if marks.deleted == Some(true) {
            line.text(" deleted");
        }
        line.text("] ");
    }
    line.style(style);
    match process.args {
        Some(args) if !args.is_empty() => arguments(args, line),
        _ => line.text(process.name.unwrap_or("-")),
    }
    if process.args_truncated == Some(true) {
        line.style(Style::Notice);
        let missing = process.args_omitted.and_then(|omitted| omitted.bytes);
        line.text(&missing.map_or(" (cut)".to_owned(), |bytes| format!(" ({bytes} bytes cut)")));
    }
}

/// Arguments as a shell would take them: what a space would tear apart, and what is empty, is quoted.
fn arguments(args: Strings<'_>, line: &mut Canvas<'_>) {
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            line.text(" ");
        }
        if !arg.is_empty() && !arg.contains([' ', '\'', '"']) {
            line.text(arg);
            continue;
        }
        line.text("'");
        for (n, part) in arg.split('\'').enumerate() {
            line.text(if n > 0 { r"'\''" } else { "" });
            line.text(part);
        }
        line.text("'");
    }
}

pub(super) fn creator(process: &Process<'_>, line: &mut Canvas<'_>) {
    let Some(parent) = process.parent else { return };
    line.style(Style::Dim);
    line.text(" by ");
    if let Some(name) = parent.name {
        line.text(name);
        line.text(" ");
    }
    if let Some(pid) = parent.pid {
        line.text(&pid.to_string());
    }
}

pub(super) fn ending(process: &Process<'_>, line: &mut Canvas<'_>) {
    match (process.signal, process.exit_code) {
        (Some(signal), _) => {
            line.style(Style::Bad);
            line.text(" ");
            line.text(signal);
        }
        (None, Some(0)) => {
            line.style(Style::Dim);
            line.text(" exit 0");
        }
        (None, Some(code)) => {
            line.style(Style::Bad);
            line.text(&format!(" exit {code}"));
        }
        (None, None) => {}
    }
    line.style(Style::Dim);
    if let Some(cpu) = process.cpu_ns {
        let ms = cpu as f64 / 1e6;
        line.text(&if ms < 10.0 { format!("  {ms:.1} ms") } else { format!("  {ms:.0} ms") });
    }
    if let Some(rss) = process.max_rss_bytes {
        line.text(&format!("  {:.1} MB", rss as f64 / 1e6));
    }
}

pub(super) fn changes(event: &Event<'_>, line: &mut Canvas<'_>) {
    let mut change = |name: &str, old: Option<&str>, new: Option<&str>| {
        if let Some(new) = new.filter(|_| old != new) {
            line.style(Style::Notice);
            line.text(&format!(" {name} {} → {new}", old.unwrap_or("?")));
        }
    };
    let (user, group) = (event.user.unwrap_or_default(), event.group.unwrap_or_default());
    if let Some(new) = user.changes {
        change("uid", user.id, new.id);
        let old = user.effective.and_then(|user| user.id);
        change("euid", old, new.effective.and_then(|user| user.id));
    }
    if let Some(new) = group.changes {
        change("gid", group.id, new.id);
        let old = group.effective.and_then(|group| group.id);
        change("egid", old, new.effective.and_then(|group| group.id));
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
