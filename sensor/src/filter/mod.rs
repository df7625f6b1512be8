//! Which connections are reported: rules, of which the first that holds decides. What no rule speaks of
//! is kept.
//!
//! ```text
//! rule      one rule and its text      tables    all rules, as the probes look them up
//! subject   what is asked about, for where there are no probes
//! ```

mod rule;
mod subject;
mod tables;

pub use rule::{Direction, Rule, RuleError};
pub use subject::{Process, Subject};
pub use tables::{Tables, Trie};

use wanglou_sensor_common::RULES_MAX;

/// Rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Rule>);

impl Filter {
    /// Takes the rules unless there are more than [`RULES_MAX`].
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleError> {
        if rules.len() > RULES_MAX { Err(RuleError::TooMany(rules.len())) } else { Ok(Self(rules)) }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// Whether this is not to be told of.
    pub fn drops(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().find(|rule| rule.holds(subject)).is_some_and(|rule| rule.drops)
    }

    /// Whether some rule asks whose a connection is.
    pub fn asks_for_owners(&self) -> bool {
        let names = |rule: &Rule| {
            !rule.users.is_empty() || !rule.cgroups.is_empty() || !rule.executables.is_empty()
        };
        self.0.iter().any(names)
    }
}

#[cfg(test)]
mod tests;
