//! What happened, for whoever wants to know why.

use std::fmt::Write as _;
use std::sync::Mutex;

use wanglou_api::identity::Name;

use super::lock;
use crate::clock;
use crate::fleet::Millis;

/// Lines that are shown, at most: the last ones say why.
const SHOWN: usize = 120;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Trace(Mutex<Vec<Line>>);

#[derive(Debug)]
struct Line {
    at: Millis,
    /// `None`: of all hosts.
    host: Option<Name>,
    what: String,
}

impl Trace {
    /// Something happened to one host, or to all of them.
    pub(super) fn note(&self, host: Option<&Name>, what: String) {
        lock(&self.0).push(Line { at: clock::millis(), host: host.cloned(), what });
    }

    /// All that one host may have to do with.
    pub(super) fn of(&self, host: &Name) -> String {
        let lines = lock(&self.0);
        let its: Vec<_> =
            lines.iter().filter(|it| it.host.as_ref().is_none_or(|other| other == host)).collect();
        let mut text = String::new();
        for line in &its[its.len().saturating_sub(SHOWN)..] {
            let seconds = line.at as f64 / 1_000.0;
            // A string takes all that is written to it.
            let _ = writeln!(text, "{seconds:9.3}  {}", line.what);
        }
        text
    }

    /// A figure for all of it: two runs of one seed have the same.
    pub(super) fn figure(&self) -> (usize, u64) {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let (lines, mut hasher) = (lock(&self.0), DefaultHasher::new());
        for line in lines.iter() {
            (line.at, line.host.as_ref().map(Name::as_str), &line.what).hash(&mut hasher);
        }
        (lines.len(), hasher.finish())
    }
}
