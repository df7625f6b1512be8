//! Arguments as `process.args` and `process.command_line` have them.

use wanglou_api::event::{ArgsOmitted, Process, Strings};

use super::text;
use crate::observation::Args;

/// Room for arguments that must be put together, used again for each event.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    joined: String,
    command_line: String,
    escaped: bool,
}

/// Buffers that one process with long arguments has blown up are given back.
const KEEP_BYTES: usize = 16 << 10;

impl Arguments {
    /// Takes the next process's arguments.
    pub(super) fn set(&mut self, args: &Args<'_>) {
        for buffer in [&mut self.joined, &mut self.command_line] {
            buffer.clear();
            buffer.shrink_to(KEEP_BYTES);
        }
        self.escaped = text::push(args.head, &mut self.joined);
        self.escaped |= text::push(args.tail, &mut self.joined);
        // The last NUL ends the last argument and separates nothing.
        let line = self.joined.strip_suffix('\0').unwrap_or(&self.joined);
        for (n, argument) in line.split('\0').enumerate() {
            if n > 0 {
                self.command_line.push(' ');
            }
            self.command_line.push_str(argument);
        }
    }

    /// Some bytes were not UTF-8.
    pub(super) fn escaped(&self) -> bool {
        self.escaped
    }

    /// Fills the fields of `process`.
    pub(super) fn fill<'a>(&'a self, args: &Args<'_>, process: &mut Process<'a>) {
        process.args_count = args.count;
        if args.head.is_empty() && args.bytes > 0 {
            // They could not be read.
            return;
        }
        process.args = Some(Strings::Nul(&self.joined));
        process.command_line = Some(&self.command_line);
        let kept = (args.head.len() + args.tail.len()) as u64;
        if kept < args.bytes {
            process.args_truncated = Some(true);
            process.args_bytes = Some(args.bytes);
            process.args_omitted = Some(ArgsOmitted {
                index: Some(args.head.iter().filter(|&&byte| byte == 0).count() as u64),
                bytes: Some(args.bytes - kept),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(args: &Args<'_>) -> (Vec<String>, Option<String>, Option<ArgsOmitted>) {
        let mut arguments = Arguments::default();
        arguments.set(args);
        let mut process = Process::default();
        arguments.fill(args, &mut process);
        (
            process.args.iter().flat_map(Strings::iter).map(str::to_owned).collect(),
            process.command_line.map(str::to_owned),
            process.args_omitted,
        )
    }

    #[test]
    fn empty_arguments_count() {
        let args = Args { head: b"a\0\0b c\0\0", tail: b"", bytes: 8, count: Some(4) };
        let (list, line, omitted) = filled(&args);
        assert_eq!(list, ["a", "", "b c", ""]);
        assert_eq!(line.as_deref(), Some("a  b c "));
        assert!(omitted.is_none());
    }

    #[test]
    fn what_is_missing_is_said() {
        let args = Args { head: b"a\0xx", tail: b"yy\0z\0", bytes: 100, count: Some(3) };
        let (list, _, omitted) = filled(&args);
        assert_eq!(list, ["a", "xxyy", "z"]);
        let omitted = omitted.expect("cut");
        assert_eq!((omitted.index, omitted.bytes), (Some(1), Some(91)));
    }
}
