//! Which commands have been seen: one that comes twice is done once, and answered twice.

use std::collections::VecDeque;

use wanglou_api::sensor::v1::CommandResult;

/// So many of the last are remembered.
const REMEMBERED: usize = 256;
/// Bytes of what is remembered of why not, at most.
const MAX_ERROR: usize = 1_024;
/// Bytes of an id, at most.
const MAX_ID: usize = 256;

/// What is known of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing: it is to be done.
    Never,
    /// It is under way.
    Running,
    /// What came of it.
    Done(CommandResult),
}

/// Those that were seen last.
#[derive(Debug, Default)]
pub(super) struct Commands(VecDeque<(String, Option<String>)>);

impl Commands {
    /// Takes one with an id.
    pub(super) fn take(&mut self, id: &str) -> Seen {
        if id.is_empty() || id.len() > MAX_ID {
            let error = format!("its id has to have 1 to {MAX_ID} bytes");
            let command_id = id.chars().take(MAX_ID).collect();
            return Seen::Done(CommandResult { command_id, error });
        }
        if let Some((_, result)) = self.0.iter().find(|(seen, _)| seen == id) {
            let done = |error: &String| {
                Seen::Done(CommandResult { command_id: id.to_owned(), error: error.clone() })
            };
            return result.as_ref().map_or(Seen::Running, done);
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((id.to_owned(), None));
        Seen::Never
    }

    /// One is done.
    pub(super) fn done(&mut self, result: &CommandResult) {
        if let Some((_, of)) = self.0.iter_mut().find(|(id, _)| *id == result.command_id) {
            let error = &result.error;
            *of = Some(error[..error.floor_char_boundary(MAX_ERROR)].to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_done_once() {
        let mut commands = Commands::default();
        assert_eq!(commands.take("a"), Seen::Never);
        assert_eq!(commands.take("a"), Seen::Running);
        let result = CommandResult { command_id: "a".to_owned(), error: "no".to_owned() };
        commands.done(&result);
        assert_eq!(commands.take("a"), Seen::Done(result));
    }

    #[test]
    fn memory_has_an_end() {
        let mut commands = Commands::default();
        for n in 0..10_000 {
            assert_eq!(commands.take(&n.to_string()), Seen::Never);
        }
        assert_eq!(commands.0.len(), REMEMBERED);
        assert_eq!(commands.take("9999"), Seen::Running);
        assert_eq!(commands.take("0"), Seen::Never);
        assert!(matches!(commands.take(&"a".repeat(257)), Seen::Done(_)));
        assert!(matches!(commands.take(""), Seen::Done(_)));
    }
}
