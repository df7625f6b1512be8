//! An interval in which events were lost, and what could be done about it.

use crate::ledger::ByAction;

/// Told once it is over, or goes on for a second. What was lost in it, each output knows for itself.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// Boot-clock time at which nothing had been lost yet, ns.
    pub start: u64,
    /// Boot-clock time at which the losses were known, ns.
    pub end: u64,
    /// Whether the process table may be wrong after it.
    pub concerns_processes: bool,
    /// What reconciliation rebuilt.
    pub recovered: ByAction,
}

impl Gap {
    /// Nothing was missing until `start`.
    pub fn since(start: u64) -> Self {
        Self { start, end: start, concerns_processes: false, recovered: ByAction::default() }
    }
}
