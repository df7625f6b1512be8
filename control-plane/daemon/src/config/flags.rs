use super::{Given, Place, Problem, Raw};

/// Adds what `--set path=value` says.
pub(super) fn read(flags: &[String], given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    for flag in flags {
        match flag.split_once('=') {
            Some((path, value)) => given.push(Given {
                path: path.trim().to_owned(),
                raw: Raw::Untyped(value.trim().to_owned()),
                place: Place::Flag,
            }),
            None => {
                let what = format!("{flag:?} is not path=value");
                problems.push(Problem::new(Place::Flag, what));
            }
        }
    }
}
