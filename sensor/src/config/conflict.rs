use std::fmt::Display;

use super::{Effective, Place, Problem};

/// Adds what is wrong with settings that are each right by themselves.
///
/// The kernel would hold the worker at a limit, and the breaker never see that it is over its budget.
pub(super) fn find(effective: &Effective, problems: &mut Vec<Problem>) {
    let (limits, budget) = (&effective.config.limits, &effective.config.budget);
    let mut has_to_be_above = |limit: &str,
                               value: &dyn Display,
                               above: &str,
                               least: &dyn Display| {
        let place = effective.places.get(limit).or_else(|| effective.places.get(above));
        let what = format!(
            "{limit} = {value}: it has to be above {above}, {least}, or it would blind the breaker"
        );
        problems.push(Problem::new(place.cloned().unwrap_or(Place::Flag), what));
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
