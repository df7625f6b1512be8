use super::{Given, Place, Raw};

const PREFIX: &str = "WANGLOU_";
/// Stands for the dot of a path.
const DOT: &str = "__";

/// Adds what variables say: `WANGLOU_BUDGET__CPU_PERCENT` is `budget.cpu_percent`. One without a dot is
/// none of ours.
pub(super) fn read(variables: &[(String, String)], given: &mut Vec<Given>) {
    // The order of the environment is nobody's intention.
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(DOT)) else {
            continue;
        };
        given.push(Given {
            path: path.replace(DOT, ".").to_lowercase(),
            raw: Raw::Untyped(value.clone()),
            place: Place::Environment(name.clone()),
        });
    }
}
