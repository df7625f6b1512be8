use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::setting::every;
use super::{Config, Given, Place, Problem, file, problem};

/// Settings, and where those come from that are not the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective<C> {
    /// What is in force.
    pub config: C,
    /// By path.
    pub places: BTreeMap<&'static str, Place>,
}

impl<C: Config> Effective<C> {
    /// Of what [`Display`](fmt::Display) writes.
    pub fn of_text(text: &str) -> Result<Self, Vec<Problem>> {
        let (mut given, mut problems) = (Vec::new(), Vec::new());
        file::parse(Path::new("-"), text, &mut given, &mut problems);
        Self::of(given, problems)
    }

    /// Where a value comes from; of a default, where another could be set.
    pub fn place(&self, path: &str) -> Place {
        self.places.get(path).cloned().unwrap_or(Place::Flag)
    }

    pub(super) fn of(given: Vec<Given>, mut problems: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let mut effective = Self::default();
        for given in given {
            match effective.set(&given) {
                Ok(path) => {
                    effective.places.insert(path, given.place);
                }
                Err(what) => problems.push(Problem::new(given.place, what)),
            }
        }
        C::conflicts(&effective, &mut problems);
        if let Some(what) = effective.config.telemetry().problem() {
            problems.push(Problem::new(effective.place("telemetry.listen"), what));
        }
        if problems.is_empty() { Ok(effective) } else { Err(problems) }
    }

    /// Of the values of all settings, wherever they come from: 16 hexadecimal digits that are the same where
    /// the same is in force.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for setting in every::<C>() {
            digest.update(format!("{} = {}\n", setting.path, (setting.show)(&self.config)));
        }
        digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn set(&mut self, given: &Given) -> Result<&'static str, String> {
        let Some(setting) = every::<C>().find(|setting| setting.path == given.path) else {
            return Err(problem::unknown::<C>(&given.path));
        };
        (setting.set)(&mut self.config, &given.raw)
            .map_err(|what| format!("{} = {}: {what}", given.path, given.raw))?;
        Ok(setting.path)
    }
}

/// As a file that would say the same, with where each value comes from.
impl<C: Config> fmt::Display for Effective<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = every::<C>().map(|setting| {
            let value = (setting.show)(&self.config);
            let place =
                self.places.get(setting.path).map_or("default".to_owned(), Place::to_string);
            (format!("{} = {value}", setting.path), place)
        });
        let lines: Vec<_> = lines.collect();
        // One long value shall not push the others' places off the screen.
        const WIDEST: usize = 46;
        let width = lines.iter().map(|(line, _)| line.len()).filter(|len| *len <= WIDEST).max();
        for (line, place) in &lines {
            writeln!(f, "{line:width$}  # {place}", width = width.unwrap_or(0))?;
        }
        Ok(())
    }
}
