use std::fmt::Debug;

use super::{Effective, Problem, Raw};
use crate::log;
use crate::telemetry::Telemetry;

/// All settings of a program. One more is a field of the structure and an entry of a table.
pub trait Config: Clone + Debug + Default + PartialEq + 'static {
    /// The program as people start it: `wanglou-sensor`.
    const PROGRAM: &'static str;
    /// Where it looks for its file unless it is told another.
    const FILE: &'static str;
    /// Every setting, in the order in which they are shown; in groups, so that shared ones can be among them.
    const SETTINGS: &'static [&'static [Setting<Self>]];
    /// How a new value comes into force that does not at once, in a few words: `by a new worker`.
    const LATER: &'static str;

    /// What is told of the program, and where.
    fn log(&self) -> &log::Settings;

    /// The same, to be set.
    fn log_mut(&mut self) -> &mut log::Settings;

    /// Where it answers for itself.
    fn telemetry(&self) -> &Telemetry;

    /// The same, to be set.
    fn telemetry_mut(&mut self) -> &mut Telemetry;

    /// Whether the value of a setting in `new` counts at once for who began with the values in `began_with`.
    fn is_at_once(path: &str, new: &Self, began_with: &Self) -> bool;

    /// Adds what is wrong with settings that are each right by themselves.
    fn conflicts(effective: &Effective<Self>, problems: &mut Vec<Problem>) {
        let _ = (effective, problems);
    }

    /// What else would keep the program from working, such as files that are missing: for `config check`, a line each.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A setting.
#[derive(Debug)]
pub struct Setting<C> {
    /// Where it stands, with dots.
    pub path: &'static str,
    /// Checks a value and keeps it, or says in half a sentence what it has to be.
    pub set: fn(&mut C, &Raw) -> Result<(), String>,
    /// How it is written in a file.
    pub show: fn(&C) -> String,
}

/// Every setting of a program.
pub(super) fn every<C: Config>() -> impl Iterator<Item = &'static Setting<C>> {
    C::SETTINGS.iter().copied().flatten()
}
