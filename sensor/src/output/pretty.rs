//! Events for people: aligned columns, one line each, as wide as the terminal.

mod connection;
mod summary;
mod words;

use std::collections::HashMap;
use std::io::{IsTerminal as _, stdout};

use wanglou_api::event::{Event, Timestamp};

use super::canvas::{Canvas, Style};
use super::tree::Tree;

/// Where the columns begin.
const ACTION: usize = 13;
const PID: usize = 22;
const USER: usize = 30;
const PROCESS: usize = 39;

/// Of a narrow terminal the tree's indent takes this part at most.
const INDENT_PART: usize = 3;
const INDENT: usize = 2;

/// The columns, and what they need to know.
#[derive(Debug)]
pub struct Pretty {
    terminal: bool,
    colour: bool,
    columns: Option<usize>,
    tree: Option<Tree>,
    users: HashMap<String, String>,
    headed: bool,
    /// Reused from line to line.
    text: String,
}

impl Pretty {
    /// For whatever stdout is: colours and a width only if that is a terminal.
    pub fn for_stdout(tree: bool) -> Self {
        let terminal = stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            terminal,
            colour: terminal && !plain,
            columns: None,
            tree: tree.then(Tree::default),
            users: users(&std::fs::read_to_string("/etc/passwd").unwrap_or_default()),
            headed: false,
            text: String::new(),
        }
    }

    /// Appends the event as one line, the first one below the names of the columns.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.terminal {
            // Asked anew each time: people resize windows.
            self.columns = Some(terminal_columns());
        }
        if !self.headed {
            self.headed = true;
            self.head(out);
        }
        let depth = self.tree.as_mut().map_or(0, |tree| tree.depth(event));
        let mut line = Canvas::new(out, self.columns, self.colour);
        self.event(event, depth, &mut line);
        line.finish();
    }

    fn head(&self, out: &mut Vec<u8>) {
        let mut line = Canvas::new(out, self.columns, self.colour);
        line.style(Style::Bold);
        for (column, name) in
            [(0, "UTC"), (ACTION, "ACTION"), (PID + 4, "PID"), (USER, "USER"), (PROCESS, "PROCESS")]
        {
            if column > 0 {
                line.column(column);
            }
            line.text(name);
        }
        line.finish();
    }

    fn event(&mut self, event: &Event<'_>, depth: usize, line: &mut Canvas<'_>) {
        line.style(Style::Dim);
        line.text(event.timestamp.map(time_of_day).as_deref().unwrap_or("-"));
        line.column(ACTION);

        let action = event.event.and_then(|e| e.action).unwrap_or("-");
        let (name, style) = match action {
            "existing_process" => ("existing", Style::Dim),
            "exec" => (action, Style::Good),
            "uid_change" => ("uid", Style::Notice),
            "gid_change" => ("gid", Style::Notice),
            "container_seen" => ("container", Style::Notice),
            "gap" | "alert" => (action, Style::Bad),
            "fork" | "end" | "ledger" => (action, Style::Dim),
            _ => connection::action(action).unwrap_or((action, Style::Plain)),
        };
        line.style(style);
        line.text(name);

        let wanglou = event.wanglou.unwrap_or_default();
        match (wanglou.ledger, wanglou.gap) {
            (Some(ledger), _) => self.summary(line, |text| summary::ledger(ledger, text)),
            (_, Some(gap)) => self.summary(line, |text| summary::gap(event, gap, text)),
            _ if event.message.is_some() => self.summary(line, |text| summary::alert(event, text)),
            _ if action == "container_seen" => {
                self.summary(line, |text| summary::container(event, text));
            }
            _ => self.process(event, action, depth, line),
        }
    }

    /// A record that has no process: its sum takes those columns as well.
    fn summary(&mut self, line: &mut Canvas<'_>, sum: impl FnOnce(&mut String)) {
        line.column(PID + 1);
        line.style(Style::Plain);
        self.text.clear();
        sum(&mut self.text);
        line.text(&self.text);
    }

    fn process(&mut self, event: &Event<'_>, action: &str, depth: usize, line: &mut Canvas<'_>) {
        let process = event.process.unwrap_or_default();
        let wanglou = event.wanglou.unwrap_or_default();
        line.style(Style::Plain);
        let pid = process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        line.column(PID.max((USER - 1).saturating_sub(pid.len())));
        line.text(&pid);
        line.column(USER);
        self.user(event, line);
        line.column(PROCESS);
        self.indent(depth, line);

        match action {
            "exec" | "existing_process" => {
                let style = if action == "exec" { Style::Plain } else { Style::Dim };
                words::command(&process, &wanglou, style, line);
            }
            _ => line.text(process.name.or(process.executable).unwrap_or("-")),
        }
        match action {
            "fork" => words::creator(&process, line),
            "end" => words::ending(&process, line),
            "uid_change" | "gid_change" => words::changes(event, line),
            _ if event.network.is_some() => connection::describe(event, line),
            _ => {}
        }
        if wanglou.incomplete == Some(true) {
            line.style(Style::Notice);
            line.text(" (gone before it could be read)");
        }
        if wanglou.recovered == Some(true) {
            line.style(Style::Notice);
            line.text(" (rebuilt after a loss)");
        }
    }

    fn user(&self, event: &Event<'_>, line: &mut Canvas<'_>) {
        let Some(id) = event.user.and_then(|user| user.id) else { return line.text("-") };
        let name = self.users.get(id).map_or(id, String::as_str);
        let room = PROCESS - USER - 1;
        match name.char_indices().nth(room) {
            None => line.text(name),
            Some(_) => {
                line.text(&name.chars().take(room - 1).collect::<String>());
                line.text("…");
            }
        }
    }

    fn indent(&self, depth: usize, line: &mut Canvas<'_>) {
        let most = self
            .columns
            .map_or(usize::MAX, |columns| columns.saturating_sub(PROCESS) / INDENT_PART / INDENT);
        for _ in 0..depth.min(most) {
            line.text("  ");
        }
    }
}

/// `HH:MM:SS.mmm` of the written form.
fn time_of_day(time: Timestamp) -> String {
    time.to_string().get(11..23).unwrap_or_default().to_owned()
}

fn terminal_columns() -> usize {
    const USUAL: usize = 80;
    let size = rustix::termios::tcgetwinsize(stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0).unwrap_or(USUAL)
}

/// Names by id from the text of /etc/passwd. Other sources of names would need libc's plug-ins, which
/// a static binary must not load: there the id itself is shown.
fn users(passwd: &str) -> HashMap<String, String> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        Some((id.to_owned(), name.to_owned()))
    };
    // Of two names for one id the first counts, as for libc.
    passwd.lines().rev().filter_map(entry).collect()
}

#[cfg(test)]
mod tests;
