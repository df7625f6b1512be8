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

/// What of one configuration is different in another.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let values = SETTINGS.iter().map(|it| (it.path, (it.show)(old), (it.show)(new)));
    let different = values.filter(|(_, old, new)| old != new);
    different.map(|(path, old, new)| Change { path, applied: applied(path), old, new }).collect()
}

/// How a new value of a setting comes into force.
pub fn applied(path: &str) -> Applied {
    if AT_ONCE.contains(&path) { Applied::AtOnce } else { Applied::ByANewWorker }
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

    #[test]
    fn only_what_is_different_is_told() {
        let old = Config::default();
        let mut new = old.clone();
        assert_eq!(changes(&old, &new), []);
        new.budget.cpu_percent = 3.0;
        new.network.loopback = true;
        let told: Vec<_> = changes(&old, &new).iter().map(Change::to_string).collect();
        let expected = [
            "network.include_loopback false -> true by a new worker",
            "budget.cpu_percent 5 -> 3 at once",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_applied_at_once_is_a_setting() {
        for path in AT_ONCE {
            assert!(SETTINGS.iter().any(|setting| setting.path == *path), "{path}");
        }
    }
}
