use std::fmt;

use super::Config;
use super::settings::{AT_ONCE, SETTINGS};

/// How a new value comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// While the worker goes on.
    AtOnce,
    /// The worker ends, and another one begins with it.
    ByANewWorker,
}

/// A setting with two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stands.
    pub path: &'static str,
    /// How the new value comes into force.
    pub applied: Applied,
    old: String,
    new: String,
}

/// What of one configuration is different in another, and how a worker that began with `worker` has it.
pub fn changes(old: &Config, new: &Config, worker: &Config) -> Vec<Change> {
    let values = SETTINGS.iter().map(|it| (it, (it.show)(old), (it.show)(new)));
    let different = values.filter(|(_, old, new)| old != new);
    different
        .map(|(it, old, new_value)| {
            let is_behind = (it.show)(worker) != new_value && !is_at_once(it.path, new, worker);
            let applied = if is_behind { Applied::ByANewWorker } else { Applied::AtOnce };
            Change { path: it.path, applied, old, new: new_value }
        })
        .collect()
}

/// Whether a worker needs another one to begin.
pub fn is_behind(worker: &Config, new: &Config) -> bool {
    changes(worker, new, worker).iter().any(|change| change.applied == Applied::ByANewWorker)
}

/// Modules begin and end while the others go on, if their probes are there.
fn is_at_once(path: &str, new: &Config, worker: &Config) -> bool {
    AT_ONCE.contains(&path)
        || path == "sensor.events" && new.events.iter().all(|event| worker.events.contains(event))
}

/// `budget.cpu_percent 5 -> 3 at once`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.applied {
            Applied::AtOnce => "at once",
            Applied::ByANewWorker => "by a new worker",
        };
        write!(f, "{} {} -> {} {when}", self.path, self.old, self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Category;

    #[test]
    fn only_what_is_different_is_told() {
        let old = Config::default();
        let mut new = old.clone();
        assert_eq!(changes(&old, &new, &old), []);
        new.budget.cpu_percent = 3.0;
        new.network.loopback = true;
        let told: Vec<_> = changes(&old, &new, &old).iter().map(Change::to_string).collect();
        let expected = [
            "network.include_loopback false -> true by a new worker",
            "budget.cpu_percent 5 -> 3 at once",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_worker_takes_what_it_has_been_without() {
        let full = Config::default();
        let less = Config { events: vec![Category::Process], ..full.clone() };
        assert!(!is_behind(&full, &less), "it ends a module");
        assert!(is_behind(&less, &full), "it has no probes for it");
        let back = changes(&less, &full, &full);
        assert_eq!(back[0].applied, Applied::AtOnce, "it had it before");
    }

    #[test]
    fn what_is_applied_at_once_is_a_setting() {
        for path in AT_ONCE {
            assert!(SETTINGS.iter().any(|setting| setting.path == *path), "{path}");
        }
    }
}
