//! An event in columns, one line each, as `wanglou-sensor watch` has them, with its host.

use wanglou_api::event::v1::{Event, Process};

use super::line::Line;
use super::{network, records, words};
use crate::table::Tone;
use crate::terminal::Look;
use crate::text::cut;
use crate::units;

/// From so many columns on there is room for milliseconds and long names.
const WIDE: usize = 120;
/// Of an id whose name is not known here.
const USER: usize = 7;
const PID: usize = 8;
const ACTION: usize = 9;

/// The columns, and what they need to know.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Of the event before: a day that begins has a head of its own.
    day: String,
}

/// Where columns begin.
#[derive(Clone, Copy)]
struct Columns {
    /// Bytes of the time of day.
    time: usize,
    host: usize,
    action: usize,
    pid: usize,
    user: usize,
    what: usize,
}

impl Columns {
    fn of(look: Look) -> Self {
        let is_wide = look.columns.is_none_or(|columns| columns >= WIDE);
        let (time, host) = if is_wide { (12, 21) } else { (8, 13) };
        let action = time + 1 + host;
        let pid = action + ACTION;
        let user = pid + PID;
        Self { time, host: time + 1, action, pid, user, what: user + USER }
    }
}

impl Rows {
    /// The event as a line, below another one for each day.
    pub(super) fn lines(&mut self, event: &Event, look: Look) -> Vec<String> {
        let columns = Columns::of(look);
        let written = event.timestamp.as_ref().and_then(units::nanoseconds).unwrap_or_default();
        let (day, time) = written.split_once('T').unwrap_or(("-", "-"));
        let mut lines = Vec::new();
        if self.day != day {
            self.day = day.to_owned();
            lines.push(head(day, columns).finish(look.columns, look.colour));
        }
        let time = time.get(..columns.time).unwrap_or(time);
        lines.push(line(event, time, columns).finish(look.columns, look.colour));
        lines
    }
}

/// The date stands over the times of its day.
fn head(day: &str, columns: Columns) -> Line {
    let mut line = Line::default();
    // Without the year where there is no room for it.
    let day = if day.len() > columns.time { day.get(5..).unwrap_or(day) } else { day };
    line.put(day, Tone::Bold);
    line.column(columns.host);
    line.put("HOST", Tone::Bold);
    line.column(columns.action);
    line.put("ACTION", Tone::Bold);
    line.right("PID", columns.pid, columns.user, Tone::Bold);
    line.column(columns.user);
    line.put("USER", Tone::Bold);
    line.column(columns.what);
    line.put("PROCESS", Tone::Bold);
    line
}

fn line(event: &Event, time: &str, columns: Columns) -> Line {
    let mut line = Line::default();
    line.put(time, Tone::Dim);
    line.column(columns.host);
    let host = event.host.as_ref().and_then(|host| host.name.as_ref().or(host.id.as_ref()));
    line.put(
        &cut(host.map_or("-", String::as_str), columns.action - columns.host - 1),
        Tone::Plain,
    );
    line.column(columns.action);
    let action = event.event.as_ref().and_then(|it| it.action.as_deref()).unwrap_or("-");
    let (name, tone) = words::action(action);
    line.put(name, tone);

    let wanglou = event.wanglou.clone().unwrap_or_default();
    let record = match (&wanglou.ledger, &wanglou.gap) {
        (Some(ledger), _) => Some(records::ledger(ledger)),
        (_, Some(gap)) => Some(records::gap(gap)),
        _ => event.message.as_ref().map(|message| records::alert(event, message)),
    };
    if let Some(record) = record {
        // It has no process, and takes those columns as well.
        line.column(columns.pid + 1);
        line.put(&record, Tone::Plain);
        return line;
    }
    let process = event.process.clone().unwrap_or_default();
    let pid = process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    line.right(&pid, columns.pid, columns.user, Tone::Plain);
    line.column(columns.user);
    line.put(event.user.as_ref().and_then(|user| user.id.as_deref()).unwrap_or("-"), Tone::Plain);
    line.column(columns.what);
    what(event, action, &process, &mut line);
    line
}

fn what(event: &Event, action: &str, process: &Process, line: &mut Line) {
    match action {
        "exec" | "existing_process" => words::command(event, process, action, line),
        _ => line.put(words::name(process), Tone::Plain),
    }
    match action {
        "fork" => words::creator(process, line),
        "end" => words::ending(process, line),
        "uid_change" | "gid_change" => words::changes(event, line),
        _ if event.network.is_some() => network::describe(event, line),
        _ => {}
    }
    let wanglou = event.wanglou.as_ref();
    if wanglou.is_some_and(|it| it.incomplete == Some(true)) {
        line.put(" (gone before it could be read)", Tone::Notice);
    }
    if wanglou.is_some_and(|it| it.recovered == Some(true)) {
        line.put(" (rebuilt after a loss)", Tone::Notice);
    }
}

#[cfg(test)]
mod tests {
    use wanglou_api::event::v1::{EventMeta, Host, User};

    use super::*;
    use crate::text::width;

    fn exec(seconds: i64, host: &str, args: &[&str]) -> Event {
        Event {
            timestamp: Some(prost_types::Timestamp { seconds, nanos: 123_456_789 }),
            event: Some(EventMeta { action: Some("exec".to_owned()), ..EventMeta::default() }),
            host: Some(Host { name: Some(host.to_owned()), ..Host::default() }),
            process: Some(Process {
                pid: Some(4_711),
                executable: Some("/usr/bin/ls".to_owned()),
                args: args.iter().map(|&arg| arg.to_owned()).collect(),
                ..Process::default()
            }),
            user: Some(User { id: Some("1000".to_owned()), ..User::default() }),
            ..Event::default()
        }
    }

    fn look(columns: Option<usize>) -> Look {
        Look { columns, rows: None, colour: false }
    }

    #[test]
    fn each_day_has_a_head_over_its_columns() {
        let mut rows = Rows::default();
        let seconds = 1_795_340_100;
        let events = [exec(seconds, "web-1", &["ls", "-l"]), exec(seconds + 1, "web-2", &["ls"])];
        let lines: Vec<_> =
            events.iter().flat_map(|event| rows.lines(event, look(Some(160)))).collect();
        assert_eq!(
            lines,
            [
                "2026-11-22   HOST                 ACTION       PID USER   PROCESS",
                "09:35:00.123 web-1                exec        4711 1000   ls -l",
                "09:35:01.123 web-2                exec        4711 1000   ls",
            ]
        );
        let next = rows.lines(&exec(seconds + 86_400, "web-1", &["ls"]), look(Some(80)));
        assert_eq!(
            next,
            [
                "11-23    HOST         ACTION       PID USER   PROCESS",
                "09:35:00 web-1        exec        4711 1000   ls",
            ]
        );
    }

    #[test]
    fn a_terminal_cuts_and_a_file_does_not() {
        let event =
            exec(1_795_340_100, "a-host-with-a-long-name.example", &["ls", &"x".repeat(300)]);
        for columns in [80, 160] {
            let lines = Rows::default().lines(&event, look(Some(columns)));
            assert_eq!(width(&lines[1]), columns);
            assert!(lines[1].ends_with("x…"), "{lines:?}");
        }
        let lines = Rows::default().lines(&event, look(None));
        assert!(
            lines[1].ends_with("xxx") && lines[1].contains("a-host-with-a-long-…"),
            "{lines:?}"
        );
    }

    #[test]
    fn an_event_of_which_nothing_is_known_is_a_line() {
        let lines = Rows::default().lines(&Event::default(), look(Some(80)));
        assert_eq!(lines[1], "-        -            -              - -      -");
    }
}
