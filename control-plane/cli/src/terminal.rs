//! The terminal, if there is one: its size, its colours, and a screen of one's own on it.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::tcgetwinsize;

/// What standard output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Of a terminal; nothing is cut where there is none.
    pub(crate) columns: Option<usize>,
    /// Of a terminal.
    pub(crate) rows: Option<usize>,
    /// Colours are wanted.
    pub(crate) colour: bool,
}

impl Look {
    /// As it is now.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self { columns: None, rows: None, colour: false };
        }
        // A terminal that does not know its size is taken for the smallest that there was.
        let size = tcgetwinsize(&stdout).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) =
            size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { columns: Some(columns), rows: Some(rows), colour: !is_set("NO_COLOR") && !is_dumb }
    }

    /// Somebody sees what is written.
    pub(crate) fn is_terminal(self) -> bool {
        self.columns.is_some()
    }
}

/// A line to standard output.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Lines to standard output.
pub(crate) fn say_all(lines: &[String]) -> io::Result<()> {
    let mut text = lines.join("\n");
    if !lines.is_empty() {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What people have to know beside what they asked for: to standard error.
pub(crate) fn note(text: &str) {
    // Who has closed it does not want to know.
    let _ = writeln!(io::stderr(), "wanglou: {text}");
}

/// A screen of one's own, which ends with the value.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    /// Begins it; what was there comes back when it ends.
    pub(crate) fn new() -> io::Result<Self> {
        let mut stdout = io::stdout();
        stdout.write_all(b"\x1b[?1049h\x1b[?25l")?;
        stdout.flush()?;
        Ok(Self(()))
    }

    /// Shows these lines in place of what it shows; none of them may be wider than it.
    pub(crate) fn show(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        text.push_str(
            &lines.iter().map(|line| format!("{line}\x1b[K")).collect::<Vec<_>>().join("\r\n"),
        );
        text.push_str("\x1b[J");
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout();
        // A terminal that has gone needs no repair.
        let _ = stdout.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| stdout.flush());
    }
}

/// A line that is written over until it is the last.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    is_open: bool,
}

impl Ticker {
    /// In place of the line before.
    pub(crate) fn show(&mut self, line: &str) -> io::Result<()> {
        self.is_open = true;
        let mut stdout = io::stdout();
        write!(stdout, "\r{line}\x1b[K")?;
        stdout.flush()
    }

    /// What comes next is on a line of its own.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_open) { say("") } else { Ok(()) }
    }
}
