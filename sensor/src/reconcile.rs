//! The process table against the kernel: built at start and mended after a loss, from a snapshot,
//! without a gap or a duplicate against the events that arrive meanwhile.
//!
//! A snapshot and the events run side by side, so "the table does not know it" may only mean that
//! its fork still waits. Hence two passes: the first notes who is missing; then everything that
//! waits is drained; who is missing in the second pass as well has lost its events.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use crate::action::Action;
use crate::clock;
use crate::enrich::InSnapshot;
use crate::ledger::{ByAction, Cause};
use crate::module::Modules;
use crate::observation::Observation;
use crate::outlets::Outlets;
use crate::source::Source;

/// A process that began so long before the probes were attached has had its fork before them; one
/// that is younger may be on its way through the kernel's fork.
const YOUNG_NS: u64 = 1_000_000_000;
/// Time for the output to take what a snapshot says, before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

type Key = (u32, Option<u64>);

/// Reports every process that was there when observing began at `attached`, boot-clock ns.
pub fn begin(
    source: &mut dyn Source,
    modules: &mut Modules,
    outlets: &mut Outlets,
    attached: u64,
) -> io::Result<()> {
    modules.enricher().begin_snapshot();
    let mut patience = PATIENCE;
    let mut young = HashSet::new();
    source.snapshot(&mut |seen| {
        if modules.enricher().seen_in_snapshot(seen) != InSnapshot::Missing {
            return;
        }
        if seen.start.is_some_and(|start| start + YOUNG_NS < attached) {
            adopt(modules, outlets, seen, false, &mut patience);
        } else {
            young.insert((seen.pid, seen.start));
        }
    })?;
    drain(source, modules, outlets);
    second_pass(source, modules, outlets, &young, false)?;
    Ok(())
}

/// Rebuilds what can be after a loss; says how many events of each action.
pub fn mend(
    source: &mut dyn Source,
    modules: &mut Modules,
    outlets: &mut Outlets,
) -> io::Result<ByAction> {
    drain(source, modules, outlets);
    let began = clock::boot_ns();
    modules.enricher().begin_snapshot();
    let mut missing = HashSet::new();
    source.snapshot(&mut |seen| {
        let older = seen.start.is_none_or(|start| start < began);
        if older && modules.enricher().seen_in_snapshot(seen) != InSnapshot::Known {
            missing.insert((seen.pid, seen.start));
        }
    })?;
    drain(source, modules, outlets);

    let mut recovered = ByAction::default();
    let now = clock::boot_ns();
    recovered[Action::End as usize] = modules.enricher().end_unseen(began, now, outlets);
    recovered[Action::ExistingProcess as usize] =
        second_pass(source, modules, outlets, &missing, true)?;
    Ok(recovered)
}

/// Reports those of `missing` that are there and still do not agree with the table.
fn second_pass(
    source: &mut dyn Source,
    modules: &mut Modules,
    outlets: &mut Outlets,
    missing: &HashSet<Key>,
    recovered: bool,
) -> io::Result<u64> {
    let mut adopted = 0;
    let mut patience = PATIENCE;
    if missing.is_empty() {
        return Ok(0);
    }
    source.snapshot(&mut |seen| {
        if missing.contains(&(seen.pid, seen.start))
            && modules.enricher().seen_in_snapshot(seen) != InSnapshot::Known
        {
            adopt(modules, outlets, seen, recovered, &mut patience);
            adopted += 1;
        }
    })?;
    Ok(adopted)
}

/// Waits for an output that is stuck once, not once for every process.
fn adopt(
    modules: &mut Modules,
    outlets: &mut Outlets,
    seen: &Observation<'_>,
    recovered: bool,
    patience: &mut Duration,
) {
    if outlets.wait_for_room(*patience) {
        modules.enricher().adopt(seen, recovered, outlets);
    } else {
        *patience = Duration::ZERO;
        modules.lose(Cause::QueueFull, Action::ExistingProcess, 1, outlets);
    }
}

/// Takes everything that waits now.
fn drain(source: &mut dyn Source, modules: &mut Modules, outlets: &mut Outlets) {
    let until = clock::boot_ns();
    let mut last = 0;
    while last < until && outlets.wait_for_room(PATIENCE) {
        let any = source.drain(&mut |seen| {
            last = seen.time;
            modules.observe(seen, outlets);
        });
        if !any {
            break;
        }
    }
}
