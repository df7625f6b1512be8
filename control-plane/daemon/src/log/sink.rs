use std::io::{self, IsTerminal as _};
use std::path::Path;

use super::files::Files;
use super::journal::{self, Journal};
use super::record::{self, Form, Record};
use super::settings::{Destination, Settings};
use super::stderr::Stderr;
use super::{LOG, Level, PIPE, Process, Role, ids};

/// Where a place that does not work is tried again, ns.
const PAUSE: u64 = 10_000_000_000;

/// Where records go. A place that does not work harms nothing: standard error stands in for it, and it is
/// tried again later.
#[derive(Debug)]
pub(super) struct Sink {
    program: &'static str,
    place: Place,
    stderr: Stderr,
    failing: Option<Failing>,
    /// Lines that not even standard error took.
    lost: u64,
}

#[derive(Debug)]
enum Place {
    Stderr,
    Files(Files),
    /// Opened when there is something to say.
    Journal(&'static str, Option<Journal>),
}

/// A place that does not work.
#[derive(Debug)]
struct Failing {
    again: u64,
    /// Lines that are not there.
    lines: u64,
}

impl Sink {
    /// Standard error, in the form that suits what it is.
    pub(super) fn stderr(process: Process, looks_for_faults: bool) -> Self {
        let program = process.program;
        let form = match process.role {
            _ if std::env::var_os(PIPE).is_some() => Form::Piped,
            _ if looks_for_faults => Form::Long,
            Role::Service if io::stderr().is_terminal() => Form::Short(program),
            Role::Service if journal::reads_stderr() => Form::Prefixed,
            Role::Service => Form::Long,
            Role::Helper | Role::Other => Form::Short(program),
        };
        Self { program, place: Place::Stderr, stderr: Stderr::new(form), failing: None, lost: 0 }
    }

    /// Goes elsewhere.
    pub(super) fn direct(&mut self, settings: &Settings) {
        self.failing = None;
        self.place = match settings.to {
            Destination::Stderr => Place::Stderr,
            Destination::Journald => Place::Journal(self.program, None),
            Destination::Files => {
                let stem = self.program.strip_prefix("wanglou-").unwrap_or(self.program);
                Place::Files(Files::new(settings.directory.clone(), stem, settings.file_bytes))
            }
        };
    }

    /// Writes it where it can be written.
    pub(super) fn write(&mut self, record: &Record<'_>, now: u64) {
        let waits = self.failing.as_ref().is_some_and(|failing| now < failing.again);
        let failure = if waits { None } else { Some(self.place.write(record)) };
        match failure {
            Some(Ok(true)) => return self.works_again(),
            Some(Err(error)) => self.fails(&error, now),
            Some(Ok(false)) | None => {}
        }
        if let Some(failing) = &mut self.failing {
            failing.lines += 1;
        }
        self.write_to_stderr(record);
    }

    fn fails(&mut self, error: &io::Error, now: u64) {
        let again = now + PAUSE;
        if let Some(failing) = &mut self.failing {
            failing.again = again;
            return;
        }
        self.failing = Some(Failing { again, lines: 0 });
        let place = self.place.name();
        let message = format!(
            "cannot write the log to {place}: {error}: standard error stands in, make room or see log.to"
        );
        own(ids::LOG_NOT_WRITTEN.code, &message, &mut |record| self.write_to_stderr(record));
    }

    fn works_again(&mut self) {
        let Some(Failing { lines, .. }) = self.failing.take() else { return };
        let message = format!("the log can be written again; lines that are not here: {lines}");
        own(ids::LOG_LINES_LOST.code, &message, &mut |record| {
            // The next line will say why, if that fails.
            let _ = self.place.write(record);
        });
    }

    fn write_to_stderr(&mut self, record: &Record<'_>) {
        if self.stderr.write(record).is_err() {
            self.lost += 1;
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let message = format!("standard error took nothing; lines lost: {lost}");
            own(ids::LOG_LINES_LOST.code, &message, &mut |record| {
                self.lost += u64::from(self.stderr.write(record).is_err());
            });
        }
    }
}

/// What the log has to say of itself.
fn own(id: &str, message: &str, write: &mut dyn FnMut(&Record<'_>)) {
    let process = LOG.get().map_or("-", |log| log.process.name);
    let (at, level) = (record::now(), Level::Warning);
    write(&Record { at, level, process, module: "log", id, message, fields: "" });
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Stderr => "standard error".to_owned(),
            Self::Files(files) => files.directory.display().to_string(),
            Self::Journal(..) => journal::SOCKET.to_owned(),
        }
    }

    /// `false` where standard error is the place.
    fn write(&mut self, record: &Record<'_>) -> io::Result<bool> {
        match self {
            Self::Stderr => return Ok(false),
            Self::Files(files) => {
                let mut line = String::new();
                record.write(Form::Long, &mut line);
                files.write(line.as_bytes())?;
            }
            Self::Journal(program, journal) => {
                let mut open = match journal.take() {
                    Some(open) => open,
                    None => Journal::open(Path::new(journal::SOCKET), program)?,
                };
                open.write(record)?;
                *journal = Some(open);
            }
        }
        Ok(true)
    }
}
