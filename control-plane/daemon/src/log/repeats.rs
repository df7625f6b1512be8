//! Identical messages are summed: the first is written at once, those after it as a count, at growing
//! intervals. Fields may differ: the last ones are shown.

use std::time::Duration;

use super::record::{self, Record};
use super::{Level, ids};

/// Messages that are told apart at a time.
const MAX_ENTRIES: usize = 64;
/// How long a message is held back after it has been written, each time longer, ns.
const INTERVALS: [u64; 3] = [1_000_000_000, 10_000_000_000, 60_000_000_000];
/// One that has not come for so long after it could be written again is new, ns.
const FORGOTTEN: u64 = 60_000_000_000;

/// What has been written lately. Times are the boot clock's, ns.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    entries: Vec<Entry>,
    /// Those that there is no room for.
    others: Option<Entry>,
}

/// A message, and how often it came.
#[derive(Debug)]
struct Entry {
    level: Level,
    process: String,
    module: String,
    id: String,
    message: String,
    /// Those of the last.
    fields: String,
    written: u64,
    until: u64,
    step: usize,
    held: u64,
}

/// A line that stands for many.
#[derive(Debug)]
pub(super) struct Sum {
    level: Level,
    process: String,
    module: String,
    id: String,
    text: String,
}

impl Sum {
    /// As it is written.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            at: record::now(),
            level: self.level,
            process: &self.process,
            module: &self.module,
            id: &self.id,
            message: &self.text,
            fields: "",
        }
    }
}

impl Repeats {
    /// Whether it is to be written now; if not, it is counted.
    pub(super) fn admit(&mut self, record: &Record<'_>, now: u64) -> bool {
        let same = |entry: &&mut Entry| entry.id == record.id && entry.message == record.message;
        if let Some(entry) = self.entries.iter_mut().find(same) {
            return entry.admit(record, now);
        }
        if self.entries.len() >= MAX_ENTRIES && !self.make_room(now) {
            let text = Record { id: ids::OTHERS.code, message: OTHERS, fields: "", ..*record };
            let others = self.others.get_or_insert_with(|| Entry::of(&text, now));
            others.level = Level::Warning;
            others.held += 1;
            return false;
        }
        self.entries.push(Entry::of(record, now));
        true
    }

    /// Sums that are due, or all that there are.
    pub(super) fn due(&mut self, now: u64, all: bool) -> Vec<Sum> {
        self.entries.retain(|entry| entry.held > 0 || now < entry.until + FORGOTTEN);
        let entries = self.entries.iter_mut().chain(self.others.as_mut());
        let due = entries.filter(|entry| entry.held > 0 && (all || now >= entry.until));
        due.map(|entry| entry.sum(now)).collect()
    }

    /// Whether something waits.
    pub(super) fn holds_any(&self) -> bool {
        self.entries.iter().chain(&self.others).any(|entry| entry.held > 0)
    }

    /// Forgets the oldest one that nothing waits for.
    fn make_room(&mut self, now: u64) -> bool {
        let idle = self.entries.iter().enumerate();
        let idle = idle.filter(|(_, entry)| entry.held == 0 && now >= entry.until);
        let oldest = idle.min_by_key(|(_, entry)| entry.until).map(|(n, _)| n);
        oldest.map(|n| self.entries.swap_remove(n)).is_some()
    }
}

const OTHERS: &str = "too many different messages: others are not written";

impl Entry {
    fn of(record: &Record<'_>, now: u64) -> Self {
        Self {
            level: record.level,
            process: record.process.to_owned(),
            module: record.module.to_owned(),
            id: record.id.to_owned(),
            message: record.message.to_owned(),
            fields: record.fields.to_owned(),
            written: now,
            until: now + INTERVALS[0],
            step: 0,
            held: 0,
        }
    }

    fn admit(&mut self, record: &Record<'_>, now: u64) -> bool {
        if now < self.until {
            self.held += 1;
            record.fields.clone_into(&mut self.fields);
            return false;
        }
        self.wait_longer(now);
        true
    }

    fn sum(&mut self, now: u64) -> Sum {
        let Self { level, message, fields, held, .. } = self;
        let took = Duration::from_nanos(now.saturating_sub(self.written)).as_secs_f64();
        let text = format!("{message}{fields} ({held} times more in {took:.1} s)");
        let level = *level;
        self.held = 0;
        self.wait_longer(now);
        let (process, module) = (self.process.clone(), self.module.clone());
        Sum { level, process, module, id: self.id.clone(), text }
    }

    fn wait_longer(&mut self, now: u64) {
        self.step = (self.step + 1).min(INTERVALS.len() - 1);
        (self.written, self.until) = (now, now + INTERVALS[self.step]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn record<'a>(message: &'a str, fields: &'a str) -> Record<'a> {
        let (level, process, module) = (Level::Error, "worker", "source");
        Record { at: record::now(), level, process, module, id: "WL3002", message, fields }
    }

    fn texts(sums: &[Sum]) -> Vec<&str> {
        sums.iter().map(|sum| sum.text.as_str()).collect()
    }

    #[test]
    fn an_error_loop_is_a_few_lines() {
        let mut repeats = Repeats::default();
        let mut lines = Vec::new();
        // An hour, a thousand times a second.
        for now in (0..3600 * SECOND).step_by(1_000_000) {
            lines.extend(repeats.due(now, false).into_iter().map(|sum| sum.text));
            if repeats.admit(&record("refused", ""), now) {
                lines.push("refused".to_owned());
            }
        }
        assert_eq!(lines[0], "refused");
        assert!(lines.len() < 65, "{} lines in an hour", lines.len());
        assert!(lines[lines.len() - 1].ends_with("(60000 times more in 60.0 s)"), "{lines:?}");
    }

    #[test]
    fn the_first_comes_at_once_and_the_rest_in_sums() {
        let mut repeats = Repeats::default();
        assert!(repeats.admit(&record("refused", " n=1"), 0));
        assert!(!repeats.admit(&record("refused", " n=2"), SECOND / 2));
        assert!(!repeats.admit(&record("refused", " n=3"), SECOND / 2));
        assert!(repeats.admit(&record("lost", ""), SECOND / 2), "that is another one");
        assert!(repeats.due(SECOND - 1, false).is_empty());
        assert_eq!(
            texts(&repeats.due(SECOND, false)),
            ["refused n=3 (2 times more in 1.0 s)"],
            "with what the last one said"
        );
        assert!(!repeats.holds_any());
        assert!(!repeats.admit(&record("refused", ""), 10 * SECOND), "the next one waits longer");
        assert!(repeats.due(10 * SECOND, false).is_empty());
        assert_eq!(texts(&repeats.due(11 * SECOND, false)).len(), 1);
    }

    #[test]
    fn at_the_end_all_is_told() {
        let mut repeats = Repeats::default();
        repeats.admit(&record("refused", ""), 0);
        repeats.admit(&record("refused", ""), 1);
        assert_eq!(texts(&repeats.due(SECOND / 2, true)), ["refused (1 times more in 0.5 s)"]);
    }

    #[test]
    fn one_that_has_been_silent_is_new() {
        let mut repeats = Repeats::default();
        assert!(repeats.admit(&record("refused", ""), 0));
        assert!(repeats.due(61 * SECOND, false).is_empty());
        assert!(repeats.entries.is_empty());
    }

    #[test]
    fn many_different_ones_are_counted_together() {
        let mut repeats = Repeats::default();
        let written = (0..1000).filter(|n| repeats.admit(&record(&n.to_string(), ""), 0)).count();
        assert_eq!(written, MAX_ENTRIES);
        let sums = repeats.due(SECOND, false);
        let [sum] = &sums[..] else { panic!("{sums:?}") };
        assert!(sum.text.ends_with("(936 times more in 1.0 s)"), "{}", sum.text);
        assert_eq!((sum.record().id, sum.record().level), (ids::OTHERS.code, Level::Warning));
        assert!(repeats.admit(&record("another", ""), 2 * SECOND), "room is made");
        assert_eq!(repeats.entries.len(), MAX_ENTRIES);
    }
}
