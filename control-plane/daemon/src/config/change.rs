use std::fmt;

use super::Config;
use super::setting::every;

/// How a new value comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// While all goes on.
    AtOnce,
    /// As [`Config::LATER`] says.
    Later,
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
    later: &'static str,
}

/// What of one configuration is different in another, and how who began with `began_with` has it.
pub fn changes<C: Config>(old: &C, new: &C, began_with: &C) -> Vec<Change> {
    let values = every::<C>().map(|it| (it, (it.show)(old), (it.show)(new)));
    let different = values.filter(|(_, old, new)| old != new);
    different
        .map(|(it, old, new_value)| {
            let is_other = (it.show)(began_with) != new_value;
            let is_behind = is_other && !C::is_at_once(it.path, new, began_with);
            let applied = if is_behind { Applied::Later } else { Applied::AtOnce };
            Change { path: it.path, applied, old, new: new_value, later: C::LATER }
        })
        .collect()
}

/// Whether who began with one configuration cannot have all of another.
pub fn is_behind<C: Config>(began_with: &C, new: &C) -> bool {
    changes(began_with, new, began_with).iter().any(|change| change.applied == Applied::Later)
}

/// `budget.cpu_percent 5 -> 3 at once`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.applied {
            Applied::AtOnce => "at once",
            Applied::Later => self.later,
        };
        write!(f, "{} {} -> {} {when}", self.path, self.old, self.new)
    }
}
