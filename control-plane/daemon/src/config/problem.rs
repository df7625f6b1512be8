use std::fmt;

use super::setting::every;
use super::{Config, Place};

/// Something that is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    what: String,
}

impl Problem {
    /// That at a place.
    pub fn new(place: Place, what: String) -> Self {
        Self { place, what }
    }
}

/// One line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// There is no such setting; perhaps one with a name that is almost the same.
pub(super) fn unknown<C: Config>(path: &str) -> String {
    const ALIKE: f64 = 0.6;
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(path, known);
    let known = every::<C>().map(|setting| (likeness(setting.path), setting.path));
    let nearest = known.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest.filter(|(likeness, _)| *likeness >= ALIKE) {
        Some((_, nearest)) => format!("there is no setting {path:?}: {nearest} is near"),
        None => {
            format!("there is no setting {path:?} (`{} config show` lists all)", C::PROGRAM)
        }
    }
}
