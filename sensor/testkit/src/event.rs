//! Reading events.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

/// The value at a dotted path: `field(event, "process.parent.pid")`.
pub fn field<'e>(event: &'e Value, path: &str) -> Option<&'e Value> {
    path.split('.').try_fold(event, |value, key| value.get(key))
}

/// The text at a dotted path.
pub fn text<'e>(event: &'e Value, path: &str) -> Option<&'e str> {
    field(event, path)?.as_str()
}

/// The number at a dotted path.
pub fn number(event: &Value, path: &str) -> Option<u64> {
    field(event, path)?.as_u64()
}

/// The `event.action`, empty where there is none.
pub fn action(event: &Value) -> &str {
    text(event, "event.action").unwrap_or_default()
}

/// The pid of the process that the event is about.
pub fn pid(event: &Value) -> Option<u32> {
    number(event, "process.pid")?.try_into().ok()
}

/// The entity id of the process that the event is about.
pub fn entity(event: &Value) -> Option<&str> {
    text(event, "process.entity_id")
}

/// The UTC time at a dotted path, in ns since 1970; RFC 3339 as the sensor writes it.
pub fn time_ns(event: &Value, path: &str) -> Option<u64> {
    let text = text(event, path)?.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, by: char| -> Option<[u64; 3]> {
        let numbers: Result<Vec<u64>, _> = text.split(by).map(str::parse).collect();
        numbers.ok()?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    // Years that begin in March put the leap day at their end.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    const DAYS_TO_1970: u64 = 719_469;
    let seconds = (((days - DAYS_TO_1970) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000_000 + format!("{fraction:0<9.9}").parse::<u64>().ok()?)
}

/// Whether the event was rebuilt after a loss rather than seen.
pub fn recovered(event: &Value) -> bool {
    field(event, "wanglou.recovered") == Some(&Value::Bool(true))
}

/// Whether this is one of the lines that the sensor writes of itself.
pub fn is_metric(event: &Value) -> bool {
    matches!(action(event), "ledger" | "gap" | "alert")
}

/// All events of a run, in order.
#[derive(Debug)]
pub struct Stream(Vec<Value>);

impl Stream {
    /// Of these events.
    pub fn new(events: Vec<Value>) -> Self {
        Self(events)
    }

    /// All of them.
    pub fn events(&self) -> &[Value] {
        &self.0
    }

    /// The events of a span of time.
    pub fn during(&self, time: &Range<SystemTime>) -> Self {
        let within = |event: &&Value| {
            let at = time_ns(event, "@timestamp").map(Duration::from_nanos);
            at.is_some_and(|at| time.contains(&(SystemTime::UNIX_EPOCH + at)))
        };
        Self(self.0.iter().filter(within).cloned().collect())
    }

    /// The lives of the processes that had this pid, in order of their first event. What was there
    /// before the run and what was rebuilt after a loss counts.
    pub fn lives(&self, wanted: u32) -> Vec<Life<'_>> {
        let mut lives: Vec<Life<'_>> = Vec::new();
        for event in self.0.iter().filter(|event| pid(event) == Some(wanted)) {
            match lives.iter_mut().find(|life| life.entity == entity(event)) {
                Some(life) => life.events.push(event),
                None => lives.push(Life { entity: entity(event), events: vec![event] }),
            }
        }
        lives
    }

    /// The last process that had this pid, which must have a proper entity id.
    pub fn life(&self, pid: u32) -> Result<Life<'_>> {
        let Some(life) = self.lives(pid).pop() else { bail!("no event of pid {pid}") };
        let Some(id) = life.entity else { bail!("pid {pid} has no process.entity_id") };
        let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ensure!(id.len() == 16 && id.chars().all(alphabet), "entity_id {id:?} is not 16 base64url");
        Ok(life)
    }
}

/// The events of one process, in order.
#[derive(Debug)]
pub struct Life<'e> {
    /// Its identity; absent if the sensor did not learn when it started.
    pub entity: Option<&'e str>,
    /// From its first to its last.
    pub events: Vec<&'e Value>,
}

impl<'e> Life<'e> {
    /// The events of one action.
    pub fn of(&self, wanted: &str) -> Vec<&'e Value> {
        self.events.iter().copied().filter(|event| action(event) == wanted).collect()
    }

    /// The one event of an action.
    pub fn one(&self, wanted: &str) -> Result<&'e Value> {
        match self.of(wanted)[..] {
            [event] => Ok(event),
            [] => bail!("no `{wanted}` among {:?}", self.actions()),
            _ => bail!("more than one `{wanted}`: {:?}", self.actions()),
        }
    }

    /// What it did, in order, changes of credentials left out (when they are seen depends on the
    /// kernel).
    pub fn actions(&self) -> Vec<&'e str> {
        let change = |action: &&str| !matches!(*action, "uid_change" | "gid_change");
        self.events.iter().map(|event| action(event)).filter(change).collect()
    }

    /// It was forked, execed so many times and ended, in this order and with nothing else.
    pub fn ran(&self, execs: usize) -> Result<()> {
        let mut wanted = vec!["fork"];
        wanted.resize(1 + execs, "exec");
        wanted.push("end");
        ensure!(self.actions() == wanted, "expected {wanted:?}, saw {:?}", self.actions());
        self.in_order()
    }

    /// No event of it is earlier than the one before, and all agree on when it started.
    fn in_order(&self) -> Result<()> {
        let times: Vec<_> = self.events.iter().map(|e| time_ns(e, "@timestamp")).collect();
        ensure!(!times.contains(&None), "an event without @timestamp: {times:?}");
        ensure!(times.is_sorted(), "the times of {:?} are {times:?}", self.actions());
        let starts = || self.events.iter().map(|event| text(event, "process.start"));
        ensure!(
            starts().all(|start| start == text(self.events[0], "process.start")),
            "starts: {:?}",
            starts().collect::<Vec<_>>()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::time_ns;

    #[test]
    fn times_are_read() {
        let read = |text: &str| time_ns(&json!({"t": text}), "t");
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2024-02-29T12:34:56.000000789Z"), Some(1_709_210_096_000_000_789));
        assert_eq!(read("2026-12-31T23:59:59.5Z"), Some(1_798_761_599_500_000_000));
        assert_eq!(read("2026-12-31 23:59:59Z"), None);
    }
}
