//! A message, and the forms in which it is written. Every form is one line of at most [`LONGEST`] bytes.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use wanglou_api::event::Timestamp;

use super::Level;

/// `PIPE_BUF` (include/uapi/linux/limits.h): so much goes into a pipe whole or not at all.
pub(super) const LONGEST: usize = 4096;
/// Bytes of a message that are kept, and of its fields; of longer ones, the first.
pub(super) const MAX_TEXT: usize = 1800;
/// Stand in what goes through the pipe, and in no message: control characters are escaped.
const BEGIN: char = '\u{1e}';
const BETWEEN: char = '\u{1f}';

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) at: Timestamp,
    pub(super) level: Level,
    pub(super) process: &'a str,
    pub(super) module: &'a str,
    /// Its number in the table of ids, or nothing.
    pub(super) id: &'a str,
    pub(super) message: &'a str,
    /// ` key=value` for each.
    pub(super) fields: &'a str,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people who look on, by the name of the program.
    Short(&'static str),
    /// With all that there is.
    Long,
    /// For a journal that reads standard error: it knows the time, and takes the level as a prefix
    /// (`sd-daemon(3)`).
    Prefixed,
    /// For the supervisor.
    Piped,
}

impl Record<'_> {
    /// Appends it as a line.
    pub(super) fn write(&self, form: Form, line: &mut String) {
        let Self { level, process, module, message, fields, .. } = self;
        let begin = line.len();
        // Writing to a string cannot fail.
        _ = match form {
            Form::Short(program) => writeln!(line, "{program}: {message}{fields}"),
            Form::Long => {
                let (at, id) = (self.time(), self.id_in_brackets());
                writeln!(line, "{at} {level} {process} {module}{id}: {message}{fields}")
            }
            Form::Prefixed => {
                let (priority, id) = (level.priority(), self.id_in_brackets());
                writeln!(line, "<{priority}>{process} {module}{id}: {message}{fields}")
            }
            Form::Piped => {
                let (at, id) = (self.at.as_unix_nanos(), self.id);
                let head = [&at.to_string(), level.name(), process, module, id];
                line.push(BEGIN);
                line.push_str(&head.join(BETWEEN.encode_utf8(&mut [0; 4])));
                writeln!(line, "{BETWEEN}{message}{fields}")
            }
        };
        if line.len() - begin > LONGEST {
            line.truncate(line.floor_char_boundary(begin + LONGEST - 1));
            line.push('\n');
        }
    }

    /// RFC 3339 with milliseconds.
    fn time(&self) -> String {
        const TO_MILLISECONDS: usize = "2026-11-22T09:35:00.000".len();
        let mut text = self.at.to_string();
        text.truncate(TO_MILLISECONDS);
        text.push('Z');
        text
    }

    fn id_in_brackets(&self) -> String {
        if self.id.is_empty() { String::new() } else { format!(" [{}]", self.id) }
    }
}

impl<'a> Record<'a> {
    /// Of a line without its end, as [`Form::Piped`] has it.
    pub(super) fn of_pipe(line: &'a str) -> Option<Self> {
        let mut parts = line.strip_prefix(BEGIN)?.splitn(6, BETWEEN);
        let at = Timestamp::from_unix_nanos(parts.next()?.parse().ok()?);
        let level = parts.next()?.parse().ok()?;
        let (process, module, id) = (parts.next()?, parts.next()?, parts.next()?);
        let message = parts.next()?;
        // None of ours has any, and who reads the log's files may have a terminal.
        let is_clean = |part: &str| !part.chars().any(char::is_control);
        [process, module, id, message].into_iter().all(is_clean).then_some(Self {
            at,
            level,
            process,
            module,
            id,
            message,
            fields: "",
        })
    }
}

/// Now.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_nanos(since.as_nanos() as u64)
}

/// Appends text for one line: control characters, which could make another line or write to a terminal what
/// nobody said, are escaped; what is longer than what is kept is cut.
pub(super) fn append(text: &str, to: &mut String) {
    for c in text.chars() {
        if to.len() >= MAX_TEXT {
            return;
        }
        if c.is_control() { to.extend(c.escape_default()) } else { to.push(c) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> = Record {
        at: Timestamp::from_unix_nanos(1_795_340_100_123_456_789),
        level: Level::Warning,
        process: "worker",
        module: "kernel::run_time",
        id: "WL3008",
        message: "not timed",
        fields: " error=EPERM",
    };

    const SHORT: Form = Form::Short("wanglou-sensor");

    fn written(record: &Record<'_>, form: Form) -> String {
        let mut line = String::new();
        record.write(form, &mut line);
        line
    }

    #[test]
    fn each_form_is_a_line() {
        assert_eq!(written(&RECORD, SHORT), "wanglou-sensor: not timed error=EPERM\n");
        assert_eq!(
            written(&RECORD, Form::Long),
            "2026-11-22T09:35:00.123Z warning worker kernel::run_time [WL3008]: not timed error=EPERM\n"
        );
        assert_eq!(
            written(&Record { id: "", ..RECORD }, Form::Prefixed),
            "<4>worker kernel::run_time: not timed error=EPERM\n"
        );
    }

    #[test]
    fn no_line_is_longer_than_a_pipe_takes_at_once() {
        let long = "ü".repeat(3000);
        for form in [SHORT, Form::Long, Form::Prefixed, Form::Piped] {
            let line = written(&Record { message: &long, ..RECORD }, form);
            assert!(line.len() <= LONGEST && line.ends_with("ü\n"), "{form:?}: {}", line.len());
        }
    }

    #[test]
    fn what_goes_through_the_pipe_is_the_same() {
        let line = written(&RECORD, Form::Piped);
        let line = line.strip_suffix('\n').expect("a line");
        let read = Record::of_pipe(line).expect("a record");
        assert_eq!(read, Record { message: "not timed error=EPERM", fields: "", ..RECORD });
        assert_eq!(Record::of_pipe("thread 'main' panicked"), None);
        assert_eq!(Record::of_pipe(&line.replace("timed", "\u{1b}[31m")), None);
        assert_eq!(Record::of_pipe("\u{1e}1\u{1f}loud\u{1f}a\u{1f}b\u{1f}c\u{1f}d"), None);
    }

    #[test]
    fn no_text_makes_a_line_of_its_own_or_a_long_one() {
        let mut text = String::new();
        append("a\nb\u{1b}[31m\u{1e}", &mut text);
        assert_eq!(text, "a\\nb\\u{1b}[31m\\u{1e}");
        append(&"ü".repeat(5000), &mut text);
        assert!(text.len() < MAX_TEXT + 16, "{}", text.len());
    }
}
