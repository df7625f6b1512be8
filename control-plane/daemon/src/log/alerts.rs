//! What is to go out as an event: kept until somebody writes it. A program that never does keeps the first few.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::Record;
use super::{Level, ids};

/// Bytes of a message: all that wait have to fit into one message to a worker.
const MAX_TEXT: usize = 1024;
/// Alerts that wait at most; later ones are counted.
const MAX: usize = 32;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { alerts: VecDeque::new(), lost: 0 });

struct Waiting {
    alerts: VecDeque<Alert>,
    lost: u64,
}

/// A message that is an event too; one process can hand it to another.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Alert {
    /// Boot-clock time, ns.
    #[prost(uint64, tag = "1")]
    pub time: u64,
    /// Its number in the table of ids.
    #[prost(string, tag = "2")]
    pub id: String,
    /// What syslog has for its level, 0 to 7.
    #[prost(uint32, tag = "3")]
    pub severity: u32,
    /// What it says.
    #[prost(string, tag = "4")]
    pub message: String,
}

impl Alert {
    /// The name of its level.
    pub fn level(&self) -> &'static str {
        Level::ALL.get(self.severity as usize).map_or("error", |level| level.name())
    }
}

pub(super) fn add(record: &Record<'_>, now: u64) {
    let mut message = [record.message, record.fields].concat();
    message.truncate(message.floor_char_boundary(MAX_TEXT));
    lock().push(Alert {
        time: now,
        id: record.id.to_owned(),
        severity: record.level.priority().into(),
        message,
    });
}

/// Takes those that wait, the oldest first.
pub fn take() -> Vec<Alert> {
    let mut waiting = lock();
    let lost = std::mem::take(&mut waiting.lost);
    let alerts = Vec::from(std::mem::take(&mut waiting.alerts));
    drop(waiting);
    if lost > 0 {
        tracing::warn!(id = ids::ALERTS_LOST.code, lost, "alerts did not become events");
    }
    alerts
}

/// Has those of another process, or some that were taken in vain, wait before our own.
pub fn hand_over(alerts: Vec<Alert>) {
    let mut waiting = lock();
    let later = std::mem::take(&mut waiting.alerts);
    alerts.into_iter().chain(later).for_each(|alert| waiting.push(alert));
}

impl Waiting {
    fn push(&mut self, alert: Alert) {
        if self.alerts.len() < MAX {
            self.alerts.push_back(alert);
        } else {
            self.lost += 1;
        }
    }
}

fn lock() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_the_rest_counted() {
        let mut waiting = Waiting { alerts: VecDeque::new(), lost: 0 };
        for time in 0..40 {
            waiting.push(Alert { time, ..Alert::default() });
        }
        assert_eq!((waiting.alerts.len(), waiting.lost), (MAX, 8));
        assert_eq!(waiting.alerts[0].time, 0);
    }

    #[test]
    fn an_alert_knows_its_level_by_name() {
        let level = |severity| Alert { severity, ..Alert::default() }.level();
        assert_eq!((level(3), level(99)), ("error", "error"));
    }
}
