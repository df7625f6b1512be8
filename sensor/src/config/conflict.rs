use std::fmt::Display;

use super::{Effective, Problem};
use crate::output::Destination;

/// Adds what is wrong with settings that are each right by themselves.
pub(super) fn find(effective: &Effective, problems: &mut Vec<Problem>) {
    find_no_output(effective, problems);
    find_blind_breaker(effective, problems);
    find_missing_credentials(effective, problems);
}

fn find_no_output(effective: &Effective, problems: &mut Vec<Problem>) {
    const SETTING: &str = "output.stdout.enabled";
    let outputs = &effective.config.outputs;
    if !Destination::ALL.into_iter().any(|it| outputs.has(it)) {
        let what = format!(
            "{SETTING} = false: there is no other output: set output.file.path or control.endpoints"
        );
        problems.push(Problem::new(effective.place(SETTING), what));
    }
}

/// Who is joined to a fleet has to be able to say who it is, and to know whose orders it takes.
fn find_missing_credentials(effective: &Effective, problems: &mut Vec<Problem>) {
    const SETTING: &str = "control.endpoints";
    for missing in effective.config.control.missing() {
        let place = effective.place(SETTING);
        problems.push(Problem::new(place, format!("{SETTING} needs {missing}")));
    }
}

/// The kernel would hold the worker at a limit, and the breaker never see that it is over its budget.
fn find_blind_breaker(effective: &Effective, problems: &mut Vec<Problem>) {
    let (limits, budget) = (&effective.config.limits, &effective.config.budget);
    let mut has_to_be_above = |limit: &str,
                               value: &dyn Display,
                               above: &str,
                               least: &dyn Display| {
        let is_set = effective.places.contains_key(limit);
        let what = format!(
            "{limit} = {value}: it has to be above {above}, {least}, or it would blind the breaker"
        );
        problems.push(Problem::new(effective.place(if is_set { limit } else { above }), what));
    };
    if limits.cpu_percent > 0.0 && limits.cpu_percent <= budget.cpu_percent {
        let (limit, least) = (limits.cpu_percent, budget.cpu_percent);
        has_to_be_above("limits.cpu_percent", &limit, "budget.cpu_percent", &least);
    }
    if limits.memory_bytes > 0 && limits.memory_bytes <= budget.memory_bytes {
        let (limit, least) = (limits.memory_bytes, budget.memory_bytes);
        has_to_be_above("limits.memory_bytes", &limit, "budget.memory_bytes", &least);
    }
}
